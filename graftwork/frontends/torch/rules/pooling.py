"""Pooling: what is the greatest, or the mean, of windows over spatial dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graftwork.frontends.torch.dtypes import lifted, lowest
from graftwork.frontends.torch.rules.parts import greatest, means
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.rules.reshaping import reshaped
from graftwork.frontends.torch.rules.windows import each
from graftwork.frontends.torch.values import extent_of, settled
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType
from graftwork.ir.positional import Positional, carrying, fresh
from graftwork.ir.sizes import Size, exact_div


def _pooled(
    call: Call,
    x: Positional,
    build: Callable[..., Term],
    kernel: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    ceil_mode: bool,
    count: int,
) -> Positional:
    """`build` applied to windows over the last `count` dimensions."""
    sizes = each(kernel, count)
    strides = each(stride, count) if stride else sizes
    low, dilations = each(padding, count, 0), each(dilation, count)
    first = x.rank - count
    x = carrying(x, *range(first, x.rank))
    high = list(low)
    if ceil_mode:
        for i in range(count):
            beyond = _beyond(call, x.size(first + i), i - count, strides[i], sizes[i], dilations[i])
            high[i] = max(beyond - low[i], low[i])
    into = [call.fresh(1 if e is None else e) for e in call.shape[first:]]
    term = build(
        x.term,
        axes=x.dims[first:],
        into=into,
        size=sizes,
        stride=strides,
        dilation=dilations,
        low=low,
        high=high,
    )
    units = [extent_of(x, place) for place in range(first)]
    return settled(Positional(term, (*x.dims[:first], *into)), (*units, *call.shape[first:]))


def _beyond(call: Call, size: Size, place: int, stride: int, kernel: int, dilation: int) -> int:
    """How far the windows of a rounded-up output reach beyond the input's extent."""
    out = call.shape[place]
    reach = ((1 if out is None else out) - 1) * stride + dilation * (kernel - 1) + 1 - size
    if not isinstance(reach, int):
        raise call.refuse("ceil_mode over an axis of symbolic size; fix the axis in axes=")
    return reach


@rule("aten.max_pool1d", "aten.max_pool2d", "aten.max_pool3d",
      "aten.max_pool2d_with_indices", "aten.max_pool3d_with_indices")  # fmt: skip
def max_pool(
    call: Call,
    self: Positional,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> Any:
    """The greatest element of each window."""
    count = int(call.op.partition("pool")[2][0])
    windows = (kernel_size, stride, padding, dilation, ceil_mode, count)
    pooled = _pooled(call, self, ops.max_pool, *windows)
    if len(call.shapes) == 1:
        return pooled
    return pooled, _pooled(call, self, _position_of_greatest, *windows)


def _position_of_greatest(x: Term, **attrs: Any) -> Term:
    """Where in space, in row-major order, the greatest element of each window is."""
    slides = list(zip(*(attrs[word] for word in _SLIDES), strict=True))
    fill = x.builder.constant(lowest(x.dtype), x.dtype)
    typing, kernels = x.builder.typing, []
    extents = [x.size(axis) for axis in attrs["axes"]]
    for axis, into, size, stride, dilation, low, high in slides:
        padded = fresh(typing, x.size(axis) + low + high)
        kernels.append(fresh(typing, size))
        x = ops.pad(x, fill, axis=axis, low=low, high=high, into=padded)
        x = ops.window(
            x, axis=padded, into=into, kernel=kernels[-1], size=size, stride=stride,
            dilation=dilation,
        )  # fmt: skip
    whole = fresh(typing, math.prod(attrs["size"]))
    merged = x.merge(*kernels, into=whole)
    left = ops.argmax(merged, axis=whole)
    at, scale = None, x.builder.constant(1, DType.i64)
    for (_, into, size, stride, dilation, low, _), extent in reversed(
        list(zip(slides, extents, strict=True))
    ):
        with x.builder:
            start = ops.iota(axis=into) * stride - low
            more = ops.size(value=extent)
        here = (start + left % size * dilation) * scale
        at = here if at is None else at + here
        left, scale = left // size, scale * more
    assert isinstance(at, Term)
    return at


_SLIDES = ("axes", "into", "size", "stride", "dilation", "low", "high")


@rule("aten.avg_pool1d", "aten.avg_pool2d", "aten.avg_pool3d")
def avg_pool(
    call: Call,
    self: Positional,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Positional:
    """The mean of each window."""
    count = int(call.op.partition("pool")[2][0])
    borders = each(padding, count, 0)
    divisor = divisor_override
    clipped = ceil_mode and count_include_pad and divisor is None

    def build(x: Term, **attrs: Any) -> Term:
        counted = {"count_padding": count_include_pad, "divisor": 1 if clipped else divisor}
        total = ops.avg_pool(x, **counted, **attrs)
        return total / _counts(x, borders, attrs) if clipped else total

    x = self if self.dtype.is_float else lifted(call.builder, self, DType.f64)
    y = _pooled(call, x, build, kernel_size, stride, padding, 1, ceil_mode, count)
    return Positional(ops.trunc(y.term).cast(call.dtype), y.dims) if x is not self else y


def _counts(x: Term, borders: Sequence[int], attrs: Mapping[str, Any]) -> Term:
    """How many positions of each window are within x and its borders."""
    found = x.builder.constant(1.0, x.dtype)
    for axis, into, size, stride, border in zip(
        *(attrs[word] for word in ("axes", "into", "size", "stride")), borders, strict=True
    ):
        with x.builder:
            start = ops.iota(axis=into) * stride
            end = ops.size(value=x.size(axis) + 2 * border)
        found = found * (ops.minimum(start + size, end) - start).cast(x.dtype)
    return found


@rule("aten.adaptive_avg_pool1d", "aten._adaptive_avg_pool2d", "aten._adaptive_avg_pool3d")
def adaptive_avg_pool(call: Call, self: Positional, output_size: Sequence[int]) -> Positional:
    """The means of as many parts of each dimension as the output has."""
    first = self.rank - len(output_size)
    for place, parts in enumerate(output_size, start=first):
        if exact_div(self.size(place), parts) is None:
            self = means(call, self, place, parts)
    extents = [extent_of(self, place) for place in range(first)]
    over: list[int] = []
    for place, parts in enumerate(output_size, start=first):
        size = self.size(place)
        whole = exact_div(size, parts)
        extents += [None if parts == 1 else parts, None if whole == 1 else whole]
        over.append(len(extents) - 1)
    x = reshaped(self, tuple(extents))
    bound = [place for place in over if x.dims[place] is not None]
    x = carrying(x, *bound)
    term = ops.mean(x.term, over=[x.dims[p] for p in bound]) if bound else x.term
    return Positional(term, tuple(a for place, a in enumerate(x.dims) if place not in over))


@rule("aten.adaptive_max_pool2d", "aten.adaptive_max_pool3d")
def adaptive_max_pool(
    call: Call, self: Positional, output_size: Sequence[int]
) -> tuple[Positional, Positional]:
    """The greatest of as many parts of each dimension as the output has, and where it is."""
    sizes = [self.size(place - len(output_size)) for place in range(len(output_size))]
    extents = (exact_div(size, parts) for size, parts in zip(sizes, output_size, strict=True))
    kernel = [extent for extent in extents if isinstance(extent, int)]
    if len(kernel) < len(sizes):
        return greatest(call, self, output_size)
    windows = (kernel, kernel, 0, 1, False, len(kernel))
    return (
        _pooled(call, self, ops.max_pool, *windows),
        _pooled(call, self, _position_of_greatest, *windows),
    )
