"""Leaving out what no output depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from attrs import frozen

from graftwork.ir.graph import Graph, Node, Region, Value
from graftwork.ir.levels import used_axes
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.sweep import sited, sweep


@frozen
class DropDead(Pass):
    """Take out nodes that reach no output and no site, and axes that no value has.

    Attributes:
        parameters: take out trained parameters that nothing reads; buffers and constants that
            nothing reads go anyway.
    """

    promise: ClassVar[str] = "bitwise"
    idempotent: ClassVar[bool] = True

    parameters: bool = False

    def __call__(self, graph: Graph) -> Graph:
        return without_unread(without_dead_nodes(graph), trained=not self.parameters)


def without_unread(graph: Graph, *, trained: bool = True) -> Graph:
    """The graph without parameters that nothing reads, and axes that no value has.

    Args:
        trained: keep those parameters that are trained.
    """
    read = {value for node in graph.nodes for value in node.inputs}
    read |= sited(graph) | {port.value for port in graph.outputs}
    used = tuple(p for p in graph.parameters if p.value in read or (trained and p.trainable))
    new = graph if len(used) == len(graph.parameters) else graph.evolve(parameters=used)
    axes = used_axes(new)
    return new if len(axes) == len(new.axes) else new.evolve(axes=axes)


def without_dead_nodes(graph: Graph) -> Graph:
    """The graph without nodes that reach no output and no site; parameters and axes stay."""
    kept = sited(graph)
    return sweep(graph, lambda region: _live(region, kept))


def _live(region: Region, kept: frozenset[Value]) -> tuple[Sequence[Node], Mapping[Value, Value]]:
    live = set(region.outputs)
    live |= kept
    nodes: list[Node] = []
    for node in reversed(region.nodes):
        if not live.isdisjoint(node.outputs):
            live.update(node.inputs)
            nodes.append(node)
    nodes.reverse()
    return nodes, {}
