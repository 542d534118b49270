"""The levels of a graph: its top, and every region inside it, by position.

A level is addressed by pairs of numbers, flattened: the position of a node, and which of its
regions; `()` is the top.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from graftwork.ir.attributes import Attrs
from graftwork.ir.graph import Graph, Region, Value, walk
from graftwork.ir.op import Op
from graftwork.ir.types import AxisTable

Path = tuple[int, ...]


def levels(graph: Graph) -> Iterator[tuple[Path, Region]]:
    """Every level, the top first."""
    todo: list[tuple[Path, Region]] = [((), graph.region)]
    while todo:
        path, level = todo.pop()
        yield path, level
        found = [
            ((*path, position, number), region)
            for position, node in enumerate(level.nodes)
            if node.regions
            for number, region in enumerate(node.regions)
        ]
        todo.extend(reversed(found))


def defined(level: Region) -> Iterator[Value]:
    """The values of one level, in the order of their definition."""
    yield from level.inputs
    for node in level.nodes:
        yield from node.outputs


def used_axes(graph: Graph) -> AxisTable:
    """The part of the axis table that values and attributes name."""
    carried: set[frozenset[str]] = set()
    calls: set[tuple[Op, Attrs]] = set()
    for _, level in levels(graph):
        carried.update([value.type.axis_set for value in level.inputs])
        for node in level.nodes:
            carried.update([value.type.axis_set for value in node.outputs])
            if node.attrs.items:
                calls.add((node.op, node.attrs))
    used = {axis for op, attrs in calls for axis in op.named_axes(attrs)}
    used = used.union(*carried)
    return {axis: size for axis, size in graph.axes.items() if axis in used}


def levels_of(graph: Graph, values: Iterable[Value]) -> Mapping[Value, Path]:
    """Value -> the first level that defines it; values that no level defines are left out."""
    wanted = set(values)
    found: dict[Value, Path] = {}
    for path, level in levels(graph):
        if len(found) == len(wanted):
            break
        for value in defined(level):
            if value in wanted:
                found.setdefault(value, path)
    return found


def reaching(graph: Graph) -> set[Value]:
    """Every value that some output depends on; whole regions count with their owner."""
    live = {port.value for port in graph.outputs}
    for node in reversed(graph.nodes):
        if any(value in live for value in node.outputs):
            live.update(node.inputs)
            for region in node.regions:
                live.update(region.inputs)
                live.update(v for inner in walk(region.nodes) for v in inner.outputs)
    return live
