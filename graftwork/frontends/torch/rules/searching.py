"""Places in sorted sequences, and running extrema with theirs."""

from __future__ import annotations

from graftwork.frontends.torch.dtypes import common_dtype, lifted
from graftwork.frontends.torch.rules.creation import positions
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.values import place_of
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.op import REGISTRY
from graftwork.ir.positional import Label, Positional, carrying, matched


@rule("aten.bucketize.Tensor")
def bucketize(
    call: Call,
    self: Positional,
    boundaries: Positional,
    *,
    out_int32: bool = False,
    right: bool = False,
) -> Positional:
    """The bucket between boundaries that each element falls into."""
    return searchsorted(call, boundaries, self, right=right)


@rule("aten.searchsorted.Tensor")
def searchsorted(
    call: Call,
    sorted_sequence: Positional,
    self: Positional,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Positional | None = None,
) -> Positional:
    """How many elements of a sorted sequence go before each value."""
    if sorter is not None:
        raise call.refuse("a sorter; sort the sequence first")
    dtype = common_dtype(sorted_sequence, self)
    x = lifted(call.builder, sorted_sequence, dtype)
    x = carrying(x, x.rank - 1)
    batch: list[Label] = list(range(x.rank - 1))
    own: list[Label] = batch + [("own", n) for n in range(self.rank - len(batch))]
    (line, values), axes = matched((x, [*batch, "line"]), (lifted(call.builder, self, dtype), own))
    before = ops.le if right or side == "right" else ops.lt
    hits = before(line.term, values.term).cast(call.dtype)
    return Positional(hits.sum(str(axes["line"])), tuple(axes[label] for label in own))


@rule("aten.cummax", "aten.cummin")
def running_extremum(call: Call, self: Positional, dim: int) -> tuple[Positional, Positional]:
    """The extremum so far along a dimension, and where it last was."""
    if not self.rank:
        return self, Positional(call.builder.constant(0, DType.i64))
    place = place_of(self, dim)
    if self.dims[place] is None:
        return self, Positional(call.builder.constant(0, DType.i64), self.dims)
    x = carrying(self, place)
    axis = str(x.dims[place])
    term = x.term.cast(DType.u8) if x.dtype is DType.boolean else x.term
    greatest = "max" in call.op
    best = REGISTRY["cummax" if greatest else "cummin"](term, axis=axis)
    reached = ops.ge(term, best) if greatest else ops.le(term, best)
    if x.dtype.is_float:
        reached = ops.or_(reached, ops.is_nan(term))
    at = ops.cummax(ops.select(reached, positions(call, axis), 0), axis=axis)
    return Positional(best.cast(x.dtype), x.dims), Positional(at, x.dims)
