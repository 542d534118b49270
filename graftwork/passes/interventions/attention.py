"""Edits of attention: heads and edges knocked out. A pattern is replaced by `Patch`."""

from __future__ import annotations

import math
from typing import Any

from attrs import field, frozen

from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.build import Term
from graftwork.ir.errors import InputError, SelectionError
from graftwork.ir.graph import Graph
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found
from graftwork.passes.base import Pass
from graftwork.passes.edit import SAME_ARRAY, Site, Where, chosen, edit_sites, given_array, summary


@frozen
class KnockOutHeads(Pass):
    """Let heads attend to the first position alone: e0 + keep (pattern - e0).

    Attention at the first position is what heads do that find nothing, so this takes away what a
    head does and leaves the sum of its pattern at 1; `Ablate(".z", ...)` takes away its output.

    Attributes:
        site: attention patterns, `blocks.*.attn.pattern`.
        where: which heads, and which queries; all if None.
        keep: how much of the pattern is kept, 0 to 1: a number, an array along `heads`, or a
            NamedArray, whose further axes (`worlds`) the result has too.
        count: how many sites there must be.
    """

    site: Site
    where: Where | None = None
    keep: Any = field(default=0.0, eq=SAME_ARRAY, hash=False, repr=summary)
    count: int | None = None

    def __call__(self, graph: Graph) -> Graph:
        return edit_sites(graph, "KnockOutHeads", self.site, self._edit, self.count)

    def _edit(self, rewriter: Rewriter, found: Found, x: Term) -> Term:
        key = _key(found)
        first = ops.eq(ops.iota(axis=key), 0).cast(x.dtype)
        if isinstance(self.keep, int | float):
            return chosen(found, self.where, first + (x - first) * float(self.keep), x)
        keep = self.keep
        if not isinstance(keep, NamedArray):
            keep = NamedArray(keep, ("heads",))
        name = f"keep.{found.name}"
        value = Term(given_array(rewriter, found, keep, self.where, name), x.builder)
        return chosen(found, self.where, first + (x - first) * value, x)


@frozen
class KnockOutEdges(Pass):
    """Let queries not see keys: `where={"seq": 5, "kv_seq": [1, 2], "heads": 3}`.

    At a pattern (`blocks.*.attn.pattern`) the edges become 0; what is left of each row is divided
    by its sum if `renormalize`, and a row that has nothing left is 0. At scores
    (`blocks.*.attn.scores`) they become -inf before the softmax, which is the same as to
    renormalise, but for a row that has nothing left: that is what the model's softmax makes of it.

    Attributes:
        site: patterns or scores.
        where: the queries, keys and heads of the edges.
        renormalize: whether the rows of a pattern sum to what they did before.
        count: how many sites there must be.
    """

    site: Site
    where: Where
    renormalize: bool = True
    count: int | None = None

    def __call__(self, graph: Graph) -> Graph:
        if not self.where:
            raise InputError("KnockOutEdges takes the edges as where={...}")
        return edit_sites(graph, "KnockOutEdges", self.site, self._edit, self.count)

    def _edit(self, rewriter: Rewriter, found: Found, x: Term) -> Term:
        if found.name.endswith(".scores"):
            if not self.renormalize:
                raise InputError(
                    f"{found.name}: without renormalize, edges are knocked out of the pattern"
                )
            return chosen(found, self.where, x.builder.constant(-math.inf, x.dtype), x)
        cut = chosen(found, self.where, x.builder.constant(0.0, x.dtype), x)
        if not self.renormalize:
            return cut
        key = _key(found)
        before, left = x.sum(key), cut.sum(key)
        empty = ops.eq(left, 0.0)
        return ops.select(empty, 0.0, cut * (before / ops.select(empty, 1.0, left)))


def _key(found: Found) -> str:
    """The axis of keys at an attention pattern."""
    try:
        return found.axis("kv_seq")
    except SelectionError as error:
        raise SelectionError(f"{error}, so it is no attention pattern") from error
