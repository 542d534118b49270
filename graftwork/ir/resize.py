"""Giving size symbols of a graph other meanings: in the axis table, attributes and guards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from graftwork.ir.attributes import Attrs
from graftwork.ir.graph import Graph, Node, Region, Value
from graftwork.ir.rename import moved_sites
from graftwork.ir.size_values import substitute
from graftwork.ir.sizes import Size, SizeExpr


def resized(graph: Graph, sizes: Mapping[str, Size], instead: Mapping[Value, Value]) -> Graph:
    """A copy of a graph in which symbols stand for other sizes: `seq` for `seq + 8`.

    All that its nodes define are values of their own, so that the copy can stand beside the
    original; inputs and parameters are shared.

    Args:
        instead: value -> what the copy reads in its place.
    """
    values = {v: v for v in graph.region.inputs} | dict(instead)
    nodes = tuple([_resized(node, values, sizes) for node in graph.nodes])
    return graph.evolve(
        nodes=nodes,
        outputs=tuple(evolve(port, value=values[port.value]) for port in graph.outputs),
        axes={axis: substitute(size, sizes) for axis, size in graph.axes.items()},
        guards=tuple(evolve(guard, size=substitute(guard.size, sizes)) for guard in graph.guards),
        sites=moved_sites(graph.sites, values.get),
    )


def _resized(node: Node, values: dict[Value, Value], sizes: Mapping[str, Size]) -> Node:
    inputs = tuple([values[v] for v in node.inputs])
    values |= {v: Value(v.type, v.name) for v in node.outputs}
    regions = tuple([_region(region, values, sizes) for region in node.regions])
    attrs = Attrs(tuple([(name, _attribute(value, sizes)) for name, value in node.attrs.items]))
    outputs = tuple([values[v] for v in node.outputs])
    return Node(node.op, inputs, outputs, attrs, regions, node.origin)


def _region(old: Region, values: dict[Value, Value], sizes: Mapping[str, Size]) -> Region:
    values |= {v: Value(v.type, v.name) for v in old.inputs}
    nodes = tuple([_resized(node, values, sizes) for node in old.nodes])
    inputs, outputs = (tuple([values[v] for v in side]) for side in (old.inputs, old.outputs))
    return Region(inputs, nodes, outputs)


def _attribute(value: Any, sizes: Mapping[str, Size]) -> Any:
    if isinstance(value, SizeExpr):
        return substitute(value, sizes)
    return tuple([_attribute(v, sizes) for v in value]) if isinstance(value, tuple) else value
