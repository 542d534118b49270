"""Sums, extrema and moments over dimensions; running totals; order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from attrs import evolve

from graftwork.frontends.torch.dtypes import float_dtype, lifted, sum_dtype
from graftwork.frontends.torch.rules.creation import position, positions
from graftwork.frontends.torch.rules.elementwise import arithmetic, as_bool, pointwise
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.rules.reshaping import reshaped
from graftwork.frontends.torch.rules.views import joined, sliced, taken, unsqueeze
from graftwork.frontends.torch.values import place_of, raised, settled
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType
from graftwork.ir.op import REGISTRY
from graftwork.ir.positional import Positional, carrying
from graftwork.ir.sizes import Size

Dims = int | Sequence[int] | None


def reduced(
    x: Positional,
    dims: Dims,
    keepdim: bool,
    build: Callable[[Term, list[str]], Term],
    *,
    units: bool = False,
) -> Positional:
    """`build` over the axes of some dimensions, of all where none is given.

    Unit dimensions have no axis to reduce over; `units` gives them one.
    """
    listed = [dims] if isinstance(dims, int) else list(dims or range(x.rank))
    places = [place_of(x, d) for d in listed] if x.rank else []
    bound = [p for p in places if units or x.dims[p] is not None]
    if bound:
        x = carrying(x, *bound)
    over = [axis for p in bound if (axis := x.dims[p]) is not None]
    term = build(x.term, over) if over or units else x.term
    out: list[str | None] = []
    for place, axis in enumerate(x.dims):
        if place not in places:
            out.append(axis)
        elif keepdim:
            out.append(None)
    return Positional(term, tuple(out))


def _over(word: str) -> Callable[[Term, list[str]], Term]:
    return lambda term, over: REGISTRY[word](term, over=over)


@rule("aten.sum", "aten.prod")
def sum_(
    call: Call,
    self: Positional,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Positional:
    """Sums and products; integers add up in 64 bits."""
    x = lifted(call.builder, self, dtype or sum_dtype(self.dtype))
    return reduced(x, dim, keepdim, _over("sum" if "sum" in call.op else "prod"))


@rule("aten.mean")
def mean(
    call: Call,
    self: Positional,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Positional:
    """The mean."""
    return reduced(lifted(call.builder, self, dtype or self.dtype), dim, keepdim, _over("mean"))


@rule("aten.amax", "aten.amin")
def extremum(call: Call, self: Positional, dim: Dims = None, keepdim: bool = False) -> Positional:
    """The greatest or least element."""
    return reduced(self, dim, keepdim, _extremum("max" if "amax" in call.op else "min", self))


def _extremum(word: str, x: Positional) -> Callable[[Term, list[str]], Term]:
    of_bools = {"max": "any", "min": "all"}
    return _over(of_bools[word] if x.dtype is DType.boolean else word)


@rule("aten.any", "aten.all")
def truth(call: Call, self: Positional, dim: Dims = None, keepdim: bool = False) -> Positional:
    """Whether any, or all, elements are not zero."""
    return reduced(as_bool(self), dim, keepdim, _over("any" if "any" in call.op else "all"))


@rule("aten.logsumexp")
def logsumexp(call: Call, self: Positional, dim: Dims, keepdim: bool = False) -> Positional:
    """The logarithm of the sum of exponentials."""
    x = lifted(call.builder, self, float_dtype(self.dtype))
    return reduced(x, dim, keepdim, _over("logsumexp"))


@rule("aten.var", "aten.std")
def variance(
    call: Call,
    self: Positional,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Positional:
    """The variance or its root, by default Bessel's unbiased one."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1.0 if unbiased is None or unbiased else 0.0
    root = "std" in call.op

    def build(term: Term, over: list[str]) -> Term:
        var = ops.var(term, over=over, correction=float(correction))
        return ops.sqrt(var) if root else var

    return reduced(self, dim, keepdim, build, units=True)


@rule("aten.var_mean", "aten.std_mean")
def variance_mean(
    call: Call,
    self: Positional,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Positional, Positional]:
    """The variance or its root, and the mean."""
    over = None if isinstance(dim, bool) else dim
    spread = variance(call, self, dim, unbiased, keepdim, correction=correction)
    return spread, mean(call, self, over, keepdim)


@rule("aten.linalg_vector_norm")
def vector_norm(
    call: Call,
    self: Positional,
    ord: float = 2,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Positional:
    """The p-norm."""

    def build(term: Term, over: list[str]) -> Term:
        size = ops.abs(term)
        if math.isinf(ord):
            return REGISTRY["max" if ord > 0 else "min"](size, over=over)
        if ord == 1:
            return ops.sum(size, over=over)
        if ord == 2:
            return ops.sqrt(ops.sum(term * term, over=over))
        if ord == 0:
            return ops.sum(ops.ne(term, 0).cast(term.dtype), over=over)
        return ops.pow(ops.sum(ops.pow(size, float(ord)), over=over), 1 / ord)

    return reduced(lifted(call.builder, self, dtype or self.dtype), dim, keepdim, build, units=True)


@rule("aten._cdist_forward")
def distances(
    call: Call, x1: Positional, x2: Positional, p: float, compute_mode: int | None
) -> Positional:
    """The p-norms of the differences between the rows of two matrices."""
    rows = Positional(x1.term, (*x1.dims[:-1], None, x1.dims[-1]))
    columns = Positional(x2.term, (*x2.dims[:-2], None, *x2.dims[-2:]))
    apart = pointwise(call, ops.sub, rows, columns, dtype=call.dtype)
    return vector_norm(call, apart, p, -1)


# --- positions of extrema -----------------------------------------------------------------------


@rule("aten.argmax", "aten.argmin")
def argmax(
    call: Call, self: Positional, dim: int | None = None, keepdim: bool = False
) -> Positional:
    """The first position of the greatest or least element; of all elements in row-major order."""
    word = call.op.split(".")[1]
    x = _as_numbers(self)
    if dim is not None or x.rank <= 1:
        return _position_of(x, word, dim or 0, keepdim)
    x = carrying(x, *range(x.rank))
    axes = [axis for axis in x.dims if axis is not None]
    total: Size = 1
    for axis in axes:
        total = total * x.term.size(axis)
    into = call.fresh(total)
    term = REGISTRY[word](x.term.merge(*axes, into=into), axis=into)
    return Positional(term, (None,) * len(call.shape))


def _as_numbers(x: Positional) -> Positional:
    return lifted(x.term.builder, x, DType.u8) if x.dtype is DType.boolean else x


def _position_of(x: Positional, word: str, dim: int, keepdim: bool) -> Positional:
    return reduced(x, dim, keepdim, lambda term, over: _argument(term, word, over), units=True)


def _argument(term: Term, word: str, over: list[str]) -> Term:
    return REGISTRY[word](term, axis=over[0]) if over else term.builder.constant(0, DType.i64)


@rule("aten.max.dim", "aten.min.dim")
def max_dim(
    call: Call, self: Positional, dim: int, keepdim: bool = False
) -> tuple[Positional, Positional]:
    """The greatest or least element along a dimension, and its position."""
    word = call.op.split(".")[1]
    values = reduced(self, dim, keepdim, _extremum(word, self))
    return values, _position_of(_as_numbers(self), f"arg{word}", dim, keepdim)


@rule("aten.max.default", "aten.min.default")
def max_all(call: Call, self: Positional) -> Positional:
    """The greatest or least of all elements."""
    return reduced(self, None, False, _extremum(call.op.split(".")[1], self))


@rule("aten.histc")
def histc(
    call: Call, self: Positional, bins: int = 100, min: float = 0, max: float = 0
) -> Positional:
    """How many elements fall into each of equal bins; within the data's own range by default."""
    total: Size = 1
    for place in range(self.rank):
        total = total * self.size(place)
    flat = carrying(reshaped(self, (total,)), 0)
    x, line = flat.term, str(flat.dims[0])
    low, high = (lifted(call.builder, limit, self.dtype).term for limit in (min, max))
    if min == max and total != 0:
        low, high = x.min(line), x.max(line)
    flat_range = ops.eq(low, high)
    low, high = ops.select(flat_range, low - 1, low), ops.select(flat_range, high + 1, high)
    where = (x - low) * bins / (high - low)
    within = ops.and_(ops.ge(x, low), ops.le(x, high))
    at = ops.minimum(ops.floor(where) if where.dtype.is_float else where, bins - 1)
    number = ops.select(within, at.cast(DType.i64), -1)
    (bin_,) = call.fresh_dims(call.shape)
    hits = ops.eq(number, position(call, bin_).term).cast(self.dtype)
    return Positional(hits.sum(line), (bin_,))


# --- running totals -----------------------------------------------------------------------------

_CUMULATIVE = {"cumsum": "cumsum", "cumprod": "cumprod", "logcumsumexp": "cumlogsumexp"}


@rule(*(f"aten.{name}" for name in _CUMULATIVE))
def cumulative(call: Call, self: Positional, dim: int, *, dtype: DType | None = None) -> Positional:
    """Running sums and products."""
    x = lifted(call.builder, self, dtype or sum_dtype(self.dtype))
    place = place_of(x, dim)
    if x.rank == 0 or x.dims[place] is None:
        return x
    x = carrying(x, place)
    op = REGISTRY[_CUMULATIVE[call.op.split(".")[1]]]
    return Positional(op(x.term, axis=x.dims[place]), x.dims)


@rule("aten.diff")
def diff(
    call: Call,
    self: Positional,
    n: int = 1,
    dim: int = -1,
    prepend: Positional | None = None,
    append: Positional | None = None,
) -> Positional:
    """Differences between neighbours, taken n times, until none is left; of none itself."""
    if n == 0:
        return self
    place = place_of(self, dim)
    x = joined([part for part in (prepend, self, append) if part is not None], place)
    there = x.size(place)
    for _ in range(min(n, there) if isinstance(there, int) else n):
        size = x.size(place)
        extent = None if size == 2 else size - 1
        later, earlier = (sliced(x, place, i, size - 1 + i, 1, extent) for i in (1, 0))
        x = arithmetic(evolve(call, op="aten.sub"), later, earlier)
    return x


# --- order --------------------------------------------------------------------------------------


@rule("aten.topk")
def topk(
    call: Call,
    self: Positional,
    k: int,
    dim: int = -1,
    largest: bool = True,
    sorted: bool = True,
) -> tuple[Positional, Positional]:
    """The k greatest or least elements and their positions, in order."""
    place = place_of(raised(self), dim)
    if not self.rank or not largest:
        values, indices = sort(call, self, dim=dim)
        if not self.rank:
            return values, indices
        extent = call.shape[place]
        return sliced(values, place, 0, k, 1, extent), sliced(indices, place, 0, k, 1, extent)
    x = carrying(self, place)
    into = call.fresh(k)
    results = ops.top_k.emit(x.term, axis=x.dims[place], k=k, into=into)
    values, indices = (
        settled(Positional(term, x.with_dim(place, into).dims), call.shape) for term in results
    )
    return values, indices


@rule("aten.sort")
def sort(
    call: Call,
    self: Positional,
    dim: int = -1,
    descending: bool = False,
    *,
    stable: bool | None = None,
) -> tuple[Positional, Positional]:
    """All elements in order along a dimension, and where they were."""
    if not self.rank:
        return self, Positional(call.builder.constant(0, DType.i64))
    place = place_of(self, dim)
    x = carrying(self, place)
    axis = x.dims[place]
    assert axis is not None
    where = positions(call, axis)
    values, indices = ops.sort.emit(x.term, where, axis=axis, descending=descending, keys=1)
    unit = self.dims[place] is None
    shape = tuple(None if unit and p == place else 0 for p in range(x.rank))
    return settled(Positional(values, x.dims), shape), settled(Positional(indices, x.dims), shape)


@rule("aten.kthvalue")
def kthvalue(
    call: Call, self: Positional, k: int, dim: int = -1, keepdim: bool = False
) -> tuple[Positional, Positional]:
    """The k-th least element along a dimension, and where it is."""
    if not self.rank:
        return sort(call, self)
    place = place_of(self, dim)
    values, indices = (taken(x, place, k - 1) for x in sort(call, self, dim))
    if keepdim:
        return unsqueeze(call, values, place), unsqueeze(call, indices, place)
    return values, indices
