"""Places in sorted sequences: of values, of the middle and most frequent ones, of extrema."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from graftwork.frontends.torch.dtypes import common_dtype, lifted
from graftwork.frontends.torch.rules.creation import positions
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.rules.reshaping import reshaped
from graftwork.frontends.torch.values import place_of
from graftwork.ir import ops
from graftwork.ir.build import Term
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


@rule("aten.median.dim", "aten.nanmedian.dim")
def median_along(
    call: Call, self: Positional, dim: int, keepdim: bool = False
) -> tuple[Positional, Positional]:
    """The lower of the middle elements along a dimension, and where it is.

    NaN if there is one; `nanmedian` leaves NaN out.
    """

    def middle(values: Term, axis: str) -> Term:
        known = ops.not_(ops.is_nan(values)) if values.dtype.is_float else None
        count = _count(call, axis)
        if known is None:
            return (count - 1) // 2
        numbers = known.cast(DType.i64).sum(axis)
        if "nan" in call.op:
            return ops.maximum(numbers - 1, 0) // 2
        return ops.select(ops.lt(numbers, count), numbers, (count - 1) // 2)

    return _picked(call, self, dim, keepdim, middle)


@rule("aten.median.default", "aten.nanmedian.default")
def median(call: Call, self: Positional) -> Positional:
    """The lower of the middle elements."""
    total = prod(self.size(place) for place in range(self.rank))
    return median_along(call, reshaped(self, (total,)) if self.rank else self, 0)[0]


@rule("aten.mode")
def mode(
    call: Call, self: Positional, dim: int = -1, keepdim: bool = False
) -> tuple[Positional, Positional]:
    """The least of the most frequent elements along a dimension, and where it is last."""

    def end_of_longest_run(values: Term, axis: str) -> Term:
        at = positions(call, axis)
        before = ops.gather(values, ops.maximum(at - 1, 0), axes=[axis])
        start = ops.select(ops.eq(values, before) & ops.gt(at, 0), 0, at)
        return ops.argmax(at - ops.cummax(start, axis=axis), axis=axis)

    return _picked(call, self, dim, keepdim, end_of_longest_run)


def _count(call: Call, axis: str) -> Term:
    with call.builder:
        return ops.size(value=call.builder.typing.size(axis))


def _picked(
    call: Call, self: Positional, dim: int, keepdim: bool, place: Callable[[Term, str], Term]
) -> tuple[Positional, Positional]:
    """One element along a dimension, by its place among them in order; and where it is."""
    if not self.rank:
        return self, Positional(call.builder.constant(0, DType.i64))
    at = place_of(self, dim)
    x = carrying(self, at)
    axis = str(x.dims[at])
    term = x.term.cast(DType.u8) if x.dtype is DType.boolean else x.term
    ordered, where = ops.sort.emit(term, positions(call, axis), axis=axis, keys=1)
    chosen = place(ordered, axis)
    dims = x.with_dim(at, *([None] if keepdim else ())).dims
    value, found = (ops.gather(each, chosen, axes=[axis]) for each in (ordered, where))
    return Positional(value.cast(x.dtype), dims), Positional(found, dims)
