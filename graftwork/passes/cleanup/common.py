"""Computing equal things once.

Two nodes are equal if they apply one op to the same values with attributes that are bit for bit
the same, and hold regions of the same structure. Operands of commutative ops have no order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from attrs import frozen

from graftwork.ir.digest import region_key
from graftwork.ir.graph import Graph, Node, Region, Value
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.sweep import sited, sweep


@frozen
class ShareCommon(Pass):
    """Let the first of equal nodes stand for all.

    Sites stay apart, since an edit of one must not reach the other.
    """

    promise: ClassVar[str] = "bitwise"
    idempotent: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        kept = sited(graph)
        return sweep(graph, lambda region: _shared(region, kept))


def _shared(region: Region, kept: frozenset[Value]) -> tuple[Sequence[Node], Mapping[Value, Value]]:
    first: dict[object, Node] = {}
    aliases: dict[Value, Value] = {}
    nodes: list[Node] = []
    for node in region.nodes:
        if aliases:
            inputs = tuple([aliases.get(value, value) for value in node.inputs])
            if inputs != node.inputs:
                node = Node(node.op, inputs, node.outputs, node.attrs, node.regions, node.origin)
        if kept and not kept.isdisjoint(node.outputs):
            nodes.append(node)
            continue
        known = first.setdefault(_key(node), node)
        if known is node:
            nodes.append(node)
        else:
            aliases |= zip(node.outputs, known.outputs, strict=True)
    return nodes, aliases


def _key(node: Node) -> object:
    inputs: object = node.inputs
    if "commutative" in node.op.traits:
        inputs = frozenset(node.inputs)
    if not node.regions:
        return (node.op, node.attrs, inputs)
    return (node.op, node.attrs, inputs, tuple(map(region_key, node.regions)))
