"""Rows sorted into groups: counting them, and a matrix of its own for each group."""

from __future__ import annotations

from graftwork.frontends.torch.dtypes import lifted
from graftwork.frontends.torch.rules.creation import positions
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.positional import Positional, carrying, matched


@rule("aten.histc")
def histc(
    call: Call, self: Positional, bins: int = 100, min: float = 0, max: float = 0
) -> Positional:
    """How many elements fall into each of some bins of equal width."""
    if min >= max:
        raise call.refuse("bins between the least and the greatest element; give min= and max=")
    x = carrying(self, *range(self.rank)).term
    wide = x if x.dtype.is_float else x.cast(DType.f64)
    place = ops.floor((wide - min) * (bins / (max - min)))
    inside = ops.ge(wide, min) & ops.le(wide, max)
    bounded = ops.minimum(place, lifted(call.builder, bins - 1, wide.dtype).term)
    axis = call.fresh(bins)
    hit = ops.eq(bounded, positions(call, axis).cast(wide.dtype)) & inside
    counted = hit.cast(call.dtype)
    return Positional(ops.sum(counted, over=x.axes) if x.axes else counted, (axis,))


@rule("transformers.grouped_mm_fallback", "aten._grouped_mm")
def grouped_mm(call: Call, input: Positional, weight: Positional, offs: Positional) -> Positional:
    """Each row times the matrix of its group; group i is the rows before `offs[i]`, less those of
    the groups before. Rows of no group give zero.

    Every row is multiplied with every matrix, so that the groups are an axis like any other and
    memory does not hold a matrix a row.
    """
    if (input.rank, weight.rank) != (2, 3):
        raise call.refuse("groups are supported along the rows of a matrix")
    (rows, table, ends), axes = matched(
        (carrying(input, 0, 1), ["row", "in"]),
        (carrying(weight, 0, 1, 2), ["group", "in", "out"]),
        (carrying(offs, 0), ["group"]),
    )
    row, group, inner, out = (str(axes[label]) for label in ("row", "group", "in", "out"))
    products = ops.contract(rows.term, table.term, over=[inner])
    reached = ops.ge(positions(call, row, ends.dtype), ends.term)
    number = ops.sum(reached.cast(DType.i64), over=[group])
    term = ops.gather(products, number, axes=[group], mode="fill", fill=0.0)
    return Positional(term, (row, out))
