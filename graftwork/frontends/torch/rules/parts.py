"""Pooling over parts of unequal size, each read as a window of the greatest extent, cut off."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from attrs import frozen

from graftwork.frontends.torch.dtypes import lowest
from graftwork.frontends.torch.rules.creation import positions
from graftwork.frontends.torch.rules.registry import Call
from graftwork.frontends.torch.values import extent_of, settled
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType
from graftwork.ir.positional import Positional, carrying


@frozen(eq=False)
class _Parts:
    """A dimension in parts, part i of p from i n // p up to before -(-(i + 1) n // p).

    Attributes:
        into: the axis of the parts.
        kernel: the axis of the positions in a part.
        at: where each of them is, in the dimension.
        inside: whether it is in the part.
        count: how many of them are.
        whole: how many positions the dimension has.
    """

    into: str
    kernel: str
    at: Term
    inside: Term
    count: Term
    whole: Term


def _parts(call: Call, x: Positional, place: int, number: int) -> _Parts:
    size = x.size(place)
    into = call.fresh(number)
    kernel = call.fresh((size + (number - 1)) // number + 1)
    with call.builder:
        whole = ops.size(value=size, dtype=DType.i64)
    part = positions(call, into)
    start = part * whole // number
    end = ((part + 1) * whole + (number - 1)) // number
    at = start + positions(call, kernel)
    inside = ops.lt(at, end)
    return _Parts(into, kernel, ops.minimum(at, whole - 1), inside, end - start, whole)


def means(call: Call, x: Positional, place: int, number: int) -> Positional:
    """The means of so many parts of a dimension."""
    x = carrying(x, place)
    parts = _parts(call, x, place, number)
    read = ops.gather(x.term, parts.at, axes=[x.dims[place]])
    total = ops.select(parts.inside, read, 0.0).sum(parts.kernel)
    dims = x.with_dim(place, parts.into).dims
    return Positional(total / parts.count.cast(x.dtype), dims)


def greatest(
    call: Call, x: Positional, output_size: Sequence[int]
) -> tuple[Positional, Positional]:
    """The greatest of so many parts of the last dimensions, and where it is in row-major order."""
    first = x.rank - len(output_size)
    x = carrying(x, *range(first, x.rank))
    term, at, inside = x.term, call.builder.constant(0, DType.i64), call.builder.constant(True)
    kernels: list[str] = []
    for place, number in enumerate(output_size, start=first):
        parts = _parts(call, x, place, number)
        term = ops.gather(term, parts.at, axes=[x.dims[place]])
        at, inside = at * parts.whole + parts.at, inside & parts.inside
        x = x.with_dim(place, parts.into)
        kernels.append(parts.kernel)
    window = call.fresh(prod(map(call.builder.typing.size, kernels)))
    held = ops.select(inside, term, call.builder.constant(lowest(x.dtype), x.dtype))
    held, at = (each.merge(*kernels, into=window) for each in (held, at))
    chosen = ops.argmax(held, axis=window)
    value, place_of_it = (ops.gather(each, chosen, axes=[window]) for each in (held, at))
    extents = (*(extent_of(x, place) for place in range(first)), *call.shape[first:])
    found, where = (settled(Positional(each, x.dims), extents) for each in (value, place_of_it))
    return found, where
