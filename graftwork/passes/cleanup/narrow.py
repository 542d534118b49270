"""Computing only what is looked at: an index or slice moves up before whatever it can.

Ops map over the axes that they do not bind. So where all that anybody reads of a value is one
position of such an axis (the last row of the logits, say), or very few (the logits of two tokens),
the op may compute these alone from the same positions of its operands, and so on up to where all
positions are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from attrs import evolve, frozen

from graftwork.ir.attributes import Attrs
from graftwork.ir.graph import Graph, Node, Region, Value
from graftwork.ir.infer import infer
from graftwork.ir.op import Op
from graftwork.ir.origin import Origin
from graftwork.ir.types import Typing
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.sweep import sited, sweep


@frozen
class NarrowEarly(Pass):
    """Move indices and slices up through the ops that map over their axis."""

    promise: ClassVar[str] = "tolerance"

    def __call__(self, graph: Graph) -> Graph:
        # An index moves past all but another index, so one of another axis needs a second look.
        return _narrowed(_narrowed(graph))


def _narrowed(graph: Graph) -> Graph:
    kept, typing = sited(graph), Typing(graph.axes)
    return sweep(graph, lambda region: _Narrowing(typing, region, kept).run())


@frozen
class _Part:
    """An index or a slice of an axis, as it is taken of any value."""

    op: Op
    attrs: Attrs

    @property
    def axis(self) -> str:
        return str(self.attrs["axis"])


_Parts = tuple[_Part, ...]
_FEW = 4
"""So many indices of one axis are each computed apart, rather than all positions at once."""


def _both(known: _Parts | None, more: _Parts | None) -> _Parts | None:
    """What two readers want together: few indices of one axis, or one slice; else everything."""
    if known is None or more is None:
        return None
    parts = tuple(dict.fromkeys((*known, *more)))
    if len(parts) == 1:
        return parts
    same = len({part.axis for part in parts}) == 1 and len(parts) <= _FEW
    return parts if same and all(part.op.name == "index" for part in parts) else None


class _Narrowing:
    """One level: what is read of each value, and then the level that computes just that."""

    def __init__(self, typing: Typing, region: Region, kept: frozenset[Value]) -> None:
        self.typing = typing
        self.region = region
        self.parts = self._demands(kept)
        self.narrow: dict[tuple[Value, _Part], Value] = {}
        self.nodes: list[Node] = []

    def _demands(self, kept: frozenset[Value]) -> Mapping[Value, _Parts]:
        """The parts of a value that its readers want, of those values that can give them."""
        wanted: dict[Value, _Parts | None] = dict.fromkeys((*self.region.outputs, *kept))
        moved: dict[Value, _Parts] = {}

        def want(value: Value, parts: _Parts | None) -> None:
            wanted[value] = _both(wanted.get(value, parts), parts)

        for node in reversed(self.region.nodes):
            if node.op.name in ("index", "slice"):
                want(node.inputs[0], (_Part(node.op, node.attrs),))
                continue
            parts = wanted.get(node.outputs[0]) if len(node.outputs) == 1 else None
            if parts and all(_maps_over(node, part) for part in parts):
                moved[node.output] = parts
            else:
                parts = None
            for value in node.inputs:
                want(value, parts if parts and parts[0].axis in value.type.axis_set else None)
        return moved

    def run(self) -> tuple[Sequence[Node], Mapping[Value, Value]]:
        """The narrowed level, and what stands for the indices and slices that are done early."""
        if not self.parts:
            return self.region.nodes, {}
        aliases: dict[Value, Value] = {}
        for node in self.region.nodes:
            if aliases:
                inputs = tuple([aliases.get(value, value) for value in node.inputs])
                node = evolve(node, inputs=inputs) if inputs != node.inputs else node
            if node.outputs[0] in self.parts:
                for part in self.parts[node.outputs[0]]:
                    self._compute(node, part)
            elif node.op.name in ("index", "slice") and node.inputs[0] in self.parts:
                part = _Part(node.op, node.attrs)
                aliases[node.output] = self._part_of(node.inputs[0], part, node.origin)
            else:
                self.nodes.append(node)
        return self.nodes, aliases

    def _compute(self, node: Node, part: _Part) -> None:
        """The node on the part of its operands."""
        inputs = tuple(
            self._part_of(value, part, node.origin) if part.axis in value.type.axis_set else value
            for value in node.inputs
        )
        self.narrow[node.output, part] = self._emit(node.op, inputs, node.attrs, node.origin)

    def _part_of(self, value: Value, part: _Part, origin: Origin) -> Value:
        known = self.narrow.get((value, part))
        if known is None:
            known = self._emit(part.op, (value,), part.attrs, origin)
            self.narrow[value, part] = known
        return known

    def _emit(self, op: Op, inputs: tuple[Value, ...], attrs: Attrs, origin: Origin) -> Value:
        (type,) = infer(self.typing, op, attrs, [value.type for value in inputs])
        value = Value(type)
        self.nodes.append(Node(op, inputs, (value,), attrs, (), origin.through("NarrowEarly")))
        return value


def _maps_over(node: Node, part: _Part) -> bool:
    """Whether the op maps over the axis, and nothing in its way has the axis that a slice makes."""
    into = part.attrs.as_dict().get("into", part.axis)
    bound = {*node.op.named_axes(node.attrs)}
    if node.regions or not node.inputs or part.axis in bound or into in bound:
        return False
    return part.op.name == "index" or all(
        into not in value.type.axis_set for value in (*node.inputs, node.output)
    )
