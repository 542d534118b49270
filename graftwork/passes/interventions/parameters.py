"""Edits of weights, besides those of activations, which take `Selector(parameter=...)` too."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import field, frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.errors import InputError, SelectionError
from graftwork.ir.graph import Graph
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found, require
from graftwork.ir.selector import Selector
from graftwork.passes.attention import PRODUCTS
from graftwork.passes.base import Pass
from graftwork.passes.edit import SAME_ARRAY, summary
from graftwork.passes.positions import fixed


@frozen
class RankOne(Pass):
    """Let a weight W send a key k to a value v, and change it as little as can be.

    W + (v - W k) (C^-1 k)^T / (k^T C^-1 k), which keeps W best on keys of covariance C: Rank-One
    Model Editing (Meng et al. 2022).

    Attributes:
        parameter: a glob over names of weights of linear maps.
        key: k, along the axis that the map contracts.
        value: v, along the axis that it makes.
        covariance: C, of keys; the identity if None.
        count: how many parameters there must be.
    """

    parameter: str
    key: Any = field(eq=SAME_ARRAY, hash=False, repr=summary)
    value: Any = field(eq=SAME_ARRAY, hash=False, repr=summary)
    covariance: Any = field(default=None, eq=SAME_ARRAY, hash=False, repr=summary)
    count: int | None = None

    def __call__(self, graph: Graph) -> Graph:
        rewriter = Rewriter(graph, "RankOne")
        found = require(graph, Selector(parameter=self.parameter, count=self.count))
        for place in found:
            over = _contracted(graph, place)

            def edit(w: Term, place: Found = place, over: str = over) -> Term:
                return self._edit(rewriter, place, over, w)

            rewriter.interpose(place.place.value, edit)
        return rewriter.finish(must_reach=True)

    def _edit(self, rewriter: Rewriter, found: Found, over: str, w: Term) -> Term:
        key = np.asarray(self.key, np.float64)
        outward = tuple(axis for axis in w.axes if axis != over)
        towards: Any = key
        if self.covariance is not None:
            towards = np.linalg.solve(np.asarray(self.covariance, np.float64), key)
        if key.ndim != 1 or not key @ towards > 0:
            raise InputError(f"{found.name}: a key is a vector that is not 0")

        def given(word: str, array: Any, axes: tuple[str, ...]) -> Term:
            data = np.asarray(array).astype(w.dtype.numpy)
            name = f"rank_one.{found.name}.{word}"
            return Term(fixed(rewriter, found, name, data, axes), w.builder)

        k, v = given("key", key, (over,)), given("value", self.value, outward)
        u = given("towards", towards / (key @ towards), (over,))
        return w + (v - ops.contract(w, k, over=over)) * u


def _contracted(graph: Graph, found: Found) -> str:
    """The axis of a weight that every linear map that uses it contracts.

    Raises:
        SelectionError: if there is not one such axis.
    """
    value = found.place.value
    users = graph.index.users_of(value)
    axes: set[tuple[str, ...]] = {
        tuple(a for a in node.attrs["over"] if a in value.axes) if node.op.name in PRODUCTS else ()
        for node in users
    }
    if len(axes) != 1 or len(over := axes.pop()) != 1:
        raise SelectionError(f"{found.name} is not the weight of linear maps over one axis")
    return over[0]
