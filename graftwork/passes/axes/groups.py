"""Sharing instead of repeating: keys and values that several query heads read are never copied.

A program repeats them: it broadcasts them over `groups` and merges `kv_heads * groups` into
`heads`. Where the queries' heads are taken apart in the same way, the keys need no groups at all,
since an op maps over the axes that only one of its operands has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from attrs import frozen

from graftwork.ir.attributes import AXIS_SEQ, AXIS_SET, Attrs
from graftwork.ir.graph import Graph, Node, Region, Value
from graftwork.ir.levels import defined, levels
from graftwork.ir.op import REGISTRY
from graftwork.ir.origin import Origin
from graftwork.ir.sizes import Size
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.sweep import sweep

Parts = Mapping[str, tuple[str, ...]]
_JOINS = {"split": "into", "merge": "axes"}  # where a part may stand among other axes


@frozen
class ShareGroups(Pass):
    """Take axes apart that were merged with a repetition, down to the ops that need them whole.

    The repetition itself is left as a broadcast, for `Cleanup` to drop.
    """

    promise: ClassVar[str] = "tolerance"

    def __call__(self, graph: Graph) -> Graph:
        parts = _repeated(graph)
        if not parts:
            return graph
        sizes = {w: tuple(graph.axes[axis] for axis in split) for w, split in parts.items()}
        return sweep(graph, lambda level: (_Apart(parts, sizes).nodes_of(level), {}))


def _repeated(graph: Graph) -> Parts:
    """Merged axis -> its parts, one of which is a repetition; no value has the axis and a part."""
    parts: dict[str, tuple[str, ...]] = {}
    for _, level in levels(graph):
        spread = {n.output: n.attrs["axes"] for n in level.nodes if n.op.name == "broadcast"}
        for node in level.nodes:
            repetition = spread.get(node.inputs[0], ()) if node.op.name == "merge" else ()
            if not set(repetition).isdisjoint(node.attrs["axes"] if repetition else ()):
                parts.setdefault(node.attrs["into"], node.attrs["axes"])
    mixed = {
        axis
        for _, level in levels(graph)
        for value in (defined(level) if parts else ())
        for axis in value.axes
        if axis in parts and not value.type.axis_set.isdisjoint(parts[axis])
    }
    mixed |= {whole for whole, split in parts.items() if not parts.keys().isdisjoint(split)}
    return {whole: split for whole, split in parts.items() if whole not in mixed}


class _Apart:
    """One level with axes taken apart, and made whole again for the ops that bind them."""

    def __init__(self, parts: Parts, sizes: Mapping[str, tuple[Size, ...]]) -> None:
        self.parts = parts
        self.sizes = sizes
        self.nodes: list[Node] = []
        self.apart: dict[Value, Value] = {}  # value -> what it is with its axes taken apart
        self.pending: set[Value] = set()  # values that are there only so

    def nodes_of(self, level: Region) -> Sequence[Node]:
        for node in level.nodes:
            self.node(node)
        for last in level.nodes[-1:]:  # a body may hand on its inputs alone
            for value in level.outputs:
                self.need_whole(value, last)
        return self.nodes

    def node(self, node: Node) -> None:
        attrs = node.attrs
        wholes = {axis for value in (*node.inputs, *node.outputs) for axis in self.of(value)}
        if node.op.name == "merge" and attrs["axes"] == self.parts.get(attrs["into"]):
            self.apart[node.output] = self.taken(node.inputs[0], node)
            self.pending.add(node.output)
        elif not node.regions and self.separable(node, wholes):
            inputs = tuple([self.taken(value, node) for value in node.inputs])
            outputs = tuple([self.stand_in(value) for value in node.outputs])
            same = inputs == node.inputs and outputs == node.outputs
            made = Node(node.op, inputs, outputs, self.attrs(node), (), _signed(node))
            self.nodes.append(node if same else made)
        else:
            for value in node.inputs:
                self.need_whole(value, node)
            self.nodes.append(node)

    def separable(self, node: Node, wholes: set[str]) -> bool:
        """Whether the op binds none of the axes, or only among others that it joins or makes."""
        return all(
            spec.kind is AXIS_SET
            or _JOINS.get(node.op.name) == spec.name
            or wholes.isdisjoint(spec.kind.axes(value))
            for spec, (_, value) in zip(node.op.attrs, node.attrs.items, strict=True)
        )

    def attrs(self, node: Node) -> Attrs:
        """The attributes with parts in the place of whole axes, and their sizes beside them."""
        given: dict[str, Any] = node.attrs.as_dict()
        if node.op.name == "split":
            pairs = zip(given["into"], given["sizes"], strict=True)
            sizes = [self.sizes.get(axis, (size,)) for axis, size in pairs]
            given["sizes"] = tuple(size for each in sizes for size in each)
        for spec in node.op.attrs:
            if spec.kind in (AXIS_SET, AXIS_SEQ):
                given[spec.name] = self.spread(given[spec.name])
        return node.op.attributes(given)

    def spread(self, axes: Sequence[str], wholes: Sequence[str] | None = None) -> tuple[str, ...]:
        """Axes with parts in the place of all, or of some, that are taken apart."""
        chosen = self.parts if wholes is None else wholes
        return tuple(
            part for axis in axes for part in (self.parts[axis] if axis in chosen else (axis,))
        )

    def of(self, value: Value) -> list[str]:
        return [axis for axis in value.axes if axis in self.parts]

    def stand_in(self, value: Value) -> Value:
        """The value that is made in the place of one with whole axes."""
        if not self.of(value):
            return value
        self.pending.add(value)
        self.apart[value] = Value(value.type.with_axes(self.spread(value.axes)), value.name)
        return self.apart[value]

    def taken(self, value: Value, reader: Node) -> Value:
        """A value with its axes taken apart, for a node that reads it."""
        if value not in self.apart:
            wholes, now = self.of(value), value
            for count, whole in enumerate(wholes, start=1):
                axes = self.spread(value.axes, wholes[:count])
                made = Value(value.type.with_axes(axes), value.name)
                words = {"into": self.parts[whole], "sizes": self.sizes[whole]}
                self.view("split", now, made, reader, axis=whole, **words)
                now = made
            self.apart[value] = now
        return self.apart[value]

    def need_whole(self, value: Value, reader: Node) -> None:
        """Define a value as it was, if so far it is there only with its axes taken apart."""
        if value not in self.pending:
            return
        self.pending.remove(value)
        wholes, now = self.of(value), self.apart[value]
        for count, whole in enumerate(wholes, start=1):
            axes = self.spread(value.axes, wholes[count:])
            last = count == len(wholes)
            made = value if last else Value(value.type.with_axes(axes), value.name)
            self.view("merge", now, made, reader, axes=self.parts[whole], into=whole)
            now = made

    def view(self, word: str, x: Value, made: Value, reader: Node, **attrs: Any) -> None:
        op = REGISTRY[word]
        self.nodes.append(Node(op, (x,), (made,), op.attributes(attrs), (), _signed(reader)))


def _signed(node: Node) -> Origin:
    return node.origin.through("ShareGroups")
