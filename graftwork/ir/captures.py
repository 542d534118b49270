"""What edits inside a loop or branch read from outside: operands that its regions gain.

Regions are isolated from above, so a value that an edit reads comes in as one more operand.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from graftwork.ir.graph import Node, Region, Value


def captured(
    node: Node, regions: tuple[Region, ...]
) -> tuple[tuple[Value, ...], tuple[Region, ...]] | None:
    """The operands and regions of a node whose edited regions take what they read from outside.

    None if they read nothing.
    """
    free = list(dict.fromkeys(v for region in regions for v in _free(region)))
    if not free:
        return None
    return (*node.inputs, *free), tuple(_taking(region, free) for region in regions)


def _free(region: Region) -> list[Value]:
    """What a region reads without defining it."""
    defined = {*region.inputs, *(v for node in region.nodes for v in node.outputs)}
    read = (v for node in region.nodes for v in node.inputs)
    return [v for v in (*read, *region.outputs) if v not in defined]


def _taking(region: Region, values: Sequence[Value]) -> Region:
    """A region with more inputs, which it reads where it read these values."""
    names = {value: Value(value.type, value.name) for value in values}
    nodes = tuple(
        evolve(node, inputs=tuple(names.get(v, v) for v in node.inputs))
        if any(v in names for v in node.inputs)
        else node
        for node in region.nodes
    )
    outputs = tuple(names.get(v, v) for v in region.outputs)
    return Region((*region.inputs, *names.values()), nodes, outputs)
