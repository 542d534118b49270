"""Taking apart axes that programs merge for the while: `batch * seq` around a matrix product.

Where all that happens to a merged axis is that it is carried along, summed over and split again,
its parts can take its place everywhere: ops map over axes that they do not bind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from attrs import evolve, frozen

from graftwork.ir.attributes import AXIS_SET, Attrs
from graftwork.ir.graph import Graph, Node, Region, Value
from graftwork.ir.levels import levels
from graftwork.ir.op import REGISTRY
from graftwork.ir.types import Type
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.sweep import sweep

Parts = Mapping[str, tuple[str, ...]]


@frozen
class Unmerge(Pass):
    """Let parts stand for merged axes wherever no op needs the whole."""

    promise: ClassVar[str] = "tolerance"
    idempotent: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        while parts := _separable(graph):
            new = sweep(graph, _Apart(parts).clean)
            graph = new.evolve(axes={a: size for a, size in new.axes.items() if a not in parts})
        return graph


def _separable(graph: Graph) -> Parts:
    """Merged axis -> its parts, of those axes that can go; none is a part of another."""
    parts: dict[str, tuple[str, ...]] = {}
    for node in graph.walk():
        if node.op.name == "merge":
            parts.setdefault(node.attrs["into"], node.attrs["axes"])
    if not parts:
        return parts
    for axis in _needed(graph, parts):
        parts.pop(axis, None)
    return {w: split for w, split in parts.items() if not any(axis in parts for axis in split)}


def _needed(graph: Graph, parts: Parts) -> Iterator[str]:
    """Axes that must stay whole."""
    for _, level in levels(graph):
        for value in (*level.inputs, *level.outputs):
            yield from value.axes
    sizes = {whole: tuple(graph.axes[axis] for axis in split) for whole, split in parts.items()}
    seen: set[Type] = set()
    for node in graph.walk():
        yield from _bound(node, parts, sizes)
        for value in node.outputs:
            if value.type not in seen:
                seen.add(value.type)
                merged = [axis for axis in value.axes if axis in parts]
                yield from (w for w in merged if not value.type.axis_set.isdisjoint(parts[w]))


def _bound(node: Node, parts: Parts, sizes: Mapping[str, tuple[object, ...]]) -> Iterator[str]:
    """The merged axes that a node binds as a whole."""
    attrs = node.attrs
    if node.regions:
        yield from (axis for value in (*node.inputs, *node.outputs) for axis in value.axes)
    elif node.op.name == "merge" and attrs["axes"] == parts.get(attrs["into"]):
        yield from attrs["axes"]
    elif node.op.name == "split" and attrs["sizes"] == sizes.get(attrs["axis"]):
        yield from attrs["into"]
    else:
        for spec, (_, value) in zip(node.op.attrs, attrs.items, strict=True):
            if spec.kind is not AXIS_SET:
                yield from spec.kind.axes(value)


class _Apart:
    """The rewrite that puts parts in the place of whole axes."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.values: dict[Value, Value] = {}

    def clean(self, region: Region) -> tuple[Sequence[Node], Mapping[Value, Value]]:
        return [new for node in region.nodes for new in self.node(node)], self.values

    def node(self, node: Node) -> Iterator[Node]:
        inputs = tuple([self.values.get(value, value) for value in node.inputs])
        if node.op.name == "merge" and node.attrs["into"] in self.parts:
            self.values[node.output] = inputs[0]
        elif node.op.name == "split" and node.attrs["axis"] in self.parts:
            names = zip(self.parts[node.attrs["axis"]], node.attrs["into"], strict=True)
            renamed = {old: new for old, new in names if old != new}
            if renamed:
                op = REGISTRY["rename"]
                attrs = op.attributes({"axes": renamed})
                origin = node.origin.through("Unmerge")
                yield Node(op, inputs, node.outputs, attrs, (), origin)
            else:
                self.values[node.output] = inputs[0]
        else:
            outputs = tuple([self.value(value) for value in node.outputs])
            if inputs == node.inputs and outputs == node.outputs:
                yield node
            else:
                origin = node.origin.through("Unmerge")
                yield evolve(
                    node, inputs=inputs, outputs=outputs, attrs=self.attrs(node), origin=origin
                )

    def value(self, old: Value) -> Value:
        if any(axis in self.parts for axis in old.axes):
            self.values[old] = Value(old.type.with_axes(self.apart(old.axes)), old.name)
        return self.values.get(old, old)

    def attrs(self, node: Node) -> Attrs:
        return node.op.attributes(
            {
                spec.name: tuple(self.apart(value)) if spec.kind is AXIS_SET else value
                for spec, (_, value) in zip(node.op.attrs, node.attrs.items, strict=True)
            }
        )

    def apart(self, axes: Iterable[str]) -> Iterator[str]:
        for axis in axes:
            yield from self.parts.get(axis, (axis,))
