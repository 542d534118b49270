"""Computing what is known already: ops on small constants, by the ops' own reference."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from attrs import frozen

from graftwork.ir.array import NamedArray
from graftwork.ir.attributes import Literal
from graftwork.ir.errors import GraftworkError
from graftwork.ir.evaluate import At
from graftwork.ir.graph import Graph, Node, Value
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.simplify import ANY, Rule, Rules, Sight, simplify


def folding(limit: int) -> Rule:
    """The rule that computes results of at most so many elements."""

    def fold(sight: Sight, node: Node) -> Value | None:
        """f(constants) is a constant."""
        env: dict[Value, NamedArray] = {}
        for value in node.inputs:
            maker = sight.maker(value, "constant")
            if maker is None:
                return None
            env[value] = NamedArray(maker.attrs["value"].array, maker.attrs["axes"])
        if not env or node.op.name == "broadcast" or node.regions or len(node.outputs) != 1:
            return None
        if not _is_small(sight, node.output, limit):
            return None
        try:
            with np.errstate(all="ignore"):
                (result,) = At(sight.typing.table, {}).node(node, env)
        except GraftworkError:
            return None  # an error belongs to the run
        axes = node.output.axes
        return sight.make("constant", value=Literal.of(result.order(*axes).array), axes=axes)

    return fold


def _is_small(sight: Sight, value: Value, limit: int) -> bool:
    count = 1
    for axis in value.axes:
        size = sight.size(axis)
        if not isinstance(size, int):
            return False
        count *= size
    return count <= limit


def known_size(sight: Sight, node: Node) -> Value | None:
    """A size that is a number is a constant."""
    size = node.attrs["value"]
    if not isinstance(size, int):
        return None
    return sight.make("constant", value=Literal.of(size, node.output.type.dtype))


def fold_rules(limit: int = 64) -> Rules:
    """Rules that put constants in the place of what is known."""
    return {"size": (known_size,), ANY: (folding(limit),)}


@frozen
class Fold(Pass):
    """Compute ops on constants whose result has at most `limit` elements."""

    promise: ClassVar[str] = "bitwise"

    limit: int = 64

    def __call__(self, graph: Graph) -> Graph:
        return simplify(graph, "Fold", fold_rules(self.limit))
