"""Giving size symbols of a graph other meanings: in the axis table, attributes and guards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from graftwork.ir.attributes import Attrs
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.nesting import copied
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

    def changed(node: Node) -> Node:
        attrs = tuple([(name, _attribute(value, sizes)) for name, value in node.attrs.items])
        return evolve(node, attrs=Attrs(attrs))

    return graph.evolve(
        nodes=copied(graph.nodes, values, changed),
        outputs=tuple(evolve(port, value=values[port.value]) for port in graph.outputs),
        axes={axis: substitute(size, sizes) for axis, size in graph.axes.items()},
        guards=tuple(evolve(guard, size=substitute(guard.size, sizes)) for guard in graph.guards),
        sites=moved_sites(graph.sites, values.get),
    )


def _attribute(value: Any, sizes: Mapping[str, Size]) -> Any:
    if isinstance(value, SizeExpr):
        return substitute(value, sizes)
    return tuple([_attribute(v, sizes) for v in value]) if isinstance(value, tuple) else value
