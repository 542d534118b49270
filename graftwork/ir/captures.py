"""What edits inside a loop or branch read from outside: operands that its regions gain.

Regions are isolated from above, so a value that an edit reads comes in as one more operand. The
position along the axis of a scan comes in as one more row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve, frozen

from graftwork.ir.attributes import Attrs
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node, Region, Value
from graftwork.ir.op import REGISTRY
from graftwork.ir.types import Type


@frozen(eq=False)
class Captured:
    """A node with regions whose edits read from outside, closed again.

    Attributes:
        before: nodes that it needs in front of it.
        inputs, attrs, regions: what it is now.
    """

    before: tuple[Node, ...]
    inputs: tuple[Value, ...]
    attrs: Attrs
    regions: tuple[Region, ...]


def captured(
    node: Node, regions: tuple[Region, ...], counters: Mapping[str, Value]
) -> Captured | None:
    """Let a node take what its edited regions read from outside; None if they read nothing.

    Args:
        counters: axis of a scan -> the value that stands for the position along it.
    """
    free = list(dict.fromkeys(v for region in regions for v in _free(region)))
    if not free:
        return None
    axis = str(node.attrs["axis"]) if node.op.name == "scan" else ""
    counter = counters.get(axis)
    inputs, attrs = node.inputs, node.attrs
    before: tuple[Node, ...] = ()
    if counter is not None and counter in free:
        free.remove(counter)
        iota = REGISTRY["iota"]
        steps = Value(Type(DType.i64, (axis,)))
        settings = iota.attributes({"axis": axis})
        before = (Node(iota, (), (steps,), settings, (), node.origin),)
        place = node.attrs["carry"] + node.attrs["xs"]
        regions = tuple(_taking(region, [counter], place) for region in regions)
        inputs = (*inputs[:place], steps, *inputs[place:])
        attrs = node.op.attributes({**attrs.as_dict(), "xs": node.attrs["xs"] + 1})
    regions = tuple(_taking(region, free, len(region.inputs)) for region in regions)
    return Captured(before, (*inputs, *free), attrs, regions)


def _free(region: Region) -> list[Value]:
    """What a region reads without defining it."""
    defined = {*region.inputs, *(v for node in region.nodes for v in node.outputs)}
    read = (v for node in region.nodes for v in node.inputs)
    return [v for v in (*read, *region.outputs) if v not in defined]


def _taking(region: Region, values: Sequence[Value], place: int) -> Region:
    """A region with more inputs at a place, which it reads where it read these values."""
    names = {value: Value(value.type, value.name) for value in values}
    inputs = (*region.inputs[:place], *names.values(), *region.inputs[place:])
    nodes = tuple(
        evolve(node, inputs=tuple(names.get(v, v) for v in node.inputs))
        if any(v in names for v in node.inputs)
        else node
        for node in region.nodes
    )
    return Region(inputs, nodes, tuple(names.get(v, v) for v in region.outputs))
