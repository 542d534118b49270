"""Sparing attention the care for rows whose every key is masked, where there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from attrs import evolve, frozen

from graftwork.ir.graph import Graph, Node, Region, Value
from graftwork.ir.types import AxisTable
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.sweep import sweep
from graftwork.passes.masks import Order


@frozen
class SpareMaskedRows(Pass):
    """Say of attention that no row has every key masked, where its mask proves that.

    It does if there is none, or if it lets every query see the key at its own position. A kernel
    then need not look for such rows. A visible score that overflowed to minus infinity is as
    invisible to a softmax, and makes NaN.
    """

    promise: ClassVar[str] = "tolerance"
    idempotent: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        return sweep(graph, lambda region: _spared(region, graph.axes))


def _spared(region: Region, table: AxisTable) -> tuple[Sequence[Node], Mapping[Value, Value]]:
    nodes = [
        _without_masked_rows(node)
        if node.op.name == "attention" and _sees_itself(region, table, node)
        else node
        for node in region.nodes
    ]
    return nodes, {}


def _without_masked_rows(node: Node) -> Node:
    attrs = node.op.attributes({**node.attrs.as_dict(), "masked_rows": "none"})
    return node if attrs == node.attrs else evolve(node, attrs=attrs)


def _sees_itself(region: Region, table: AxisTable, node: Node) -> bool:
    """Whether every query of an attention sees some key."""
    if len(node.inputs) < 4:
        return True
    key, mask = str(node.attrs["key"]), node.inputs[3]
    queries = [axis for axis in mask.axes if axis != key and table[axis] == table[key]]
    return any(Order(region.index.producer, query, key).own(mask) for query in (*queries, key))
