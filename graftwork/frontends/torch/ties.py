"""Which inputs' dimensions are the same axis because the model only reads them so.

A padding mask is looked up at `mask[i, j]` for i over the batch. Torch does not conclude that the
mask has as many rows as the batch, since more would do. Where an axis is used in no other way than
being read at every position of another axis, it is that axis.
"""

from __future__ import annotations

from collections.abc import Mapping

from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.sizes import Size, symbol

_VIEWS = {"rename", "broadcast"}


def read_at_positions(graph: Graph, names: list[str]) -> dict[str, Size]:
    """Size symbol -> the size of the axis at whose positions every axis of that size is read.

    Symbols of `names` that are used in any other way are left out.
    """
    tied: dict[str, Size] = {}
    for name in names:
        sizes: set[Size | None] = set()
        for port in graph.inputs:
            for axis in port.value.axes:
                if graph.axes[axis] == symbol(name):
                    sizes |= _read_by(graph, port.value, axis)
        if len(sizes) == 1 and (size := sizes.pop()) is not None:
            tied[name] = size
    return tied


def _read_by(graph: Graph, value: Value, axis: str) -> set[Size | None]:
    """The sizes of the axes whose positions `axis` is looked up at; None for any other use."""
    found: set[Size | None] = set()
    pending, seen = [value], {value}
    while pending:
        current = pending.pop()
        if current in graph.index.outputs:
            return {None}
        for node in graph.index.users_of(current):
            if node.op.name == "gather" and axis in node.attrs["axes"]:
                found.add(_positions(graph, node, current, axis))
            elif axis in node.op.named_axes(node.attrs) or len(node.outputs) != 1:
                return {None}
            elif node.output not in seen:
                seen.add(node.output)
                pending.append(node.output)
    return found


def _positions(graph: Graph, gather: Node, data: Value, axis: str) -> Size | None:
    """The size of the axis whose positions 0, 1, 2 ... index `axis`."""
    if gather.inputs[0] is not data:
        return None
    index = gather.inputs[1 + gather.attrs["axes"].index(axis)]
    producers: Mapping[Value, Node] = graph.index.producer
    while (node := producers.get(index)) is not None and node.op.name in _VIEWS:
        index = node.inputs[0]
    return graph.axes[node.attrs["axis"]] if node is not None and node.op.name == "iota" else None
