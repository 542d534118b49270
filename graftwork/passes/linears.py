"""Linear maps by trained weights, as nodes: which operand of a product is the weight."""

from __future__ import annotations

from collections.abc import Container

from graftwork.ir.graph import Node, Value
from graftwork.passes.attention import PRODUCTS


def weight_at(node: Node, weights: Container[Value]) -> int | None:
    """Which operand of a product is one of these weights; None if none is, or it is no product."""
    if node.op.name not in PRODUCTS:
        return None
    return next((i for i in (1, 0) if node.inputs[i] in weights), None)
