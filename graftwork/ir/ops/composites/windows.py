"""Convolution and pooling: pad, slide a window, then contract or reduce it."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from graftwork.ir.attributes import AXIS_SEQ, AXIS_SET, BOOL, INT, INTS, Spec, optional
from graftwork.ir.build import Operand, Term
from graftwork.ir.draw import FLOATS, NUMBERS, Call, Draw, some
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import AxisError
from graftwork.ir.op import REGISTRY, define
from graftwork.ir.ops.families import total
from graftwork.ir.sizes import Size

Ints = tuple[int, ...]
Names = tuple[str, ...]


def _window(
    x: Term, fill: Operand, axis: str, into: str, kernel: str, size: Size,
    stride: int, dilation: int, spread: int, low: int, high: int,
) -> Term:  # fmt: skip
    """Windows along one axis after padding; negative padding cuts off."""
    if spread > 1 or low > 0 or high > 0:
        padded = x.builder.typing.fresh(f"{axis}_padded")
        x = REGISTRY["pad"](
            x, fill, axis=axis, low=max(low, 0), high=max(high, 0), interior=spread - 1, into=padded
        )
        axis = padded
    if low < 0 or high < 0:
        kept = x.builder.typing.fresh(f"{axis}_cut")
        stop = x.size(axis) - max(-high, 0)
        x = REGISTRY["slice"](x, axis=axis, start=max(-low, 0), stop=stop, into=kept)
        axis = kept
    return REGISTRY["window"](
        x, axis=axis, into=into, kernel=kernel, size=size, stride=stride, dilation=dilation
    )


def _same_length(**lists: tuple[Any, ...]) -> None:
    if len({len(items) for items in lists.values()}) != 1:
        given = ", ".join(f"{name}={items}" for name, items in lists.items())
        raise AxisError(f"these need one entry for each spatial axis: {given}")


def _conv(
    x: Term, weight: Term, *, axes: Names, kernel: Names, into: Names, over: Names, stride: Ints,
    dilation: Ints, base_dilation: Ints, low: Ints, high: Ints,
) -> Term:  # fmt: skip
    _same_length(
        axes=axes, kernel=kernel, into=into, stride=stride, dilation=dilation,
        base_dilation=base_dilation, low=low, high=high,
    )  # fmt: skip
    for i, axis in enumerate(axes):
        x = _window(
            x, 0, axis, into[i], kernel[i], x.size(kernel[i]), stride[i], dilation[i],
            base_dilation[i], low[i], high[i],
        )  # fmt: skip
    return REGISTRY["contract"](x, weight, over=(*over, *kernel))


def _conv_jvp(operands: Any, tangents: Any, outputs: Any, **attrs: Any) -> Any:
    (x, weight), (dx, dweight) = operands, tangents
    moved = None if dx is None else conv(dx, weight, **attrs)
    bent = None if dweight is None else conv(x, dweight, **attrs)
    return (total((moved, bent)),)


def _slides(draw: Draw, count: int, sizes: list[int]) -> tuple[int, dict[str, Any]]:
    """Attributes of windows that slide over so many axes, and what the axes hold at least."""
    attrs: dict[str, Any] = {
        "into": [draw.new() for _ in range(count)],
        "stride": [draw.number(1, 2) for _ in range(count)],
        "dilation": [draw.number(1, 2) for _ in range(count)],
        "low": [draw.pick(0, 1, -1, 2) for _ in range(count)],
        "high": [draw.pick(0, 1, -1, 2) for _ in range(count)],
    }
    least = max(
        (size - 1) * dilation + 1 - low - high
        for size, dilation, low, high in zip(
            sizes, attrs["dilation"], attrs["low"], attrs["high"], strict=True
        )
    )
    return max(least, 1), attrs


def _sample_conv(draw: Draw) -> Call:
    count, channels = draw.pick(1, 2), draw.pick(1, 0)
    sizes = [draw.pick(2, 1, 3) for _ in range(count)]
    kernel = [draw.make(size) for size in sizes]
    least, attrs = _slides(draw, count, sizes)
    x = draw.operand(NUMBERS, binds=count + channels, least=least, avoid=kernel)
    picked = some(draw, x, count + channels, least=least)
    axes, over = picked[:count], picked[count:]
    weight = draw.operand((x.dtype,), axes=(*kernel, *over))
    attrs |= {"kernel": kernel, "base_dilation": [draw.number(1, 2) for _ in range(count)]}
    return Call((x, weight), {"axes": axes, "over": over, **attrs})


conv = define(
    "conv",
    "x weight",
    "Cross-correlation: x padded by low and high (base_dilation - 1 zeros between its positions), "
    "windows of the weight's kernel axes contracted with it and with the channels `over`. Groups "
    "are a free axis that both have.",
    attrs=(
        Spec("axes", AXIS_SEQ),
        Spec("kernel", AXIS_SEQ),
        Spec("into", AXIS_SEQ),
        Spec("over", AXIS_SET),
        Spec("stride", INTS),
        Spec("dilation", INTS),
        Spec("base_dilation", INTS),
        Spec("low", INTS),
        Spec("high", INTS),
    ),
    body=_conv,
    jvp=_conv_jvp,
    sample=_sample_conv,
)

_POOL = (
    Spec("axes", AXIS_SEQ),
    Spec("into", AXIS_SEQ),
    Spec("size", INTS),
    Spec("stride", INTS),
    Spec("dilation", INTS),
    Spec("low", INTS),
    Spec("high", INTS),
)


def _pooled(x: Term, fill: Operand, *, axes: Names, into: Names, size: Ints, stride: Ints,
            dilation: Ints, low: Ints, high: Ints) -> tuple[Term, Names]:  # fmt: skip
    """The windows of x, and the names of their kernel axes."""
    _same_length(
        axes=axes, into=into, size=size, stride=stride, dilation=dilation, low=low, high=high
    )
    kernels: list[str] = []
    for i, axis in enumerate(axes):
        kernels.append(x.builder.typing.fresh(f"{axis}_window"))
        x = _window(
            x, fill, axis, into[i], kernels[i], size[i], stride[i], dilation[i], 1, low[i], high[i]
        )
    return x, tuple(kernels)


def _sample_pool(dtypes: tuple[DType, ...], draw: Draw) -> Call:
    count = draw.pick(1, 2)
    sizes = [draw.pick(2, 1, 3) for _ in range(count)]
    least, attrs = _slides(draw, count, sizes)
    x = draw.operand(dtypes, binds=count, least=least)
    return Call((x,), {"axes": some(draw, x, count, least=least), "size": sizes, **attrs})


def _lowest(dtype: DType) -> int | float | bool:
    """What never wins a maximum."""
    if dtype.is_int:
        return int(np.iinfo(dtype.numpy).min)
    return -math.inf if dtype.is_float else False


def _max_pool(x: Term, **attrs: Any) -> Term:
    windows, kernels = _pooled(x, _lowest(x.dtype), **attrs)
    return windows.max(*kernels)


max_pool = define(
    "max_pool",
    "x",
    "The greatest in each window of spatial axes; padding never wins.",
    attrs=_POOL,
    body=_max_pool,
    sample=partial(_sample_pool, NUMBERS),
)


def _avg_pool(x: Term, *, count_padding: bool, divisor: int | None, **attrs: Any) -> Term:
    windows, kernels = _pooled(x, 0.0, **attrs)
    if divisor is None and count_padding:
        divisor = math.prod(attrs["size"])
    total = windows.sum(*kernels)
    if divisor is not None:
        return total / float(divisor)
    ones = x.builder.constant(1.0, x.dtype).broadcast(*attrs["axes"])
    present, kernels = _pooled(ones, 0.0, **attrs)
    return total / present.sum(*kernels)


def _sample_avg_pool(draw: Draw) -> Call:
    pool = _sample_pool(FLOATS, draw)
    counted = {"count_padding": draw.pick(False, True), "divisor": draw.pick(None, 3)}
    return Call(pool.operands, {**pool.attrs, **counted})


avg_pool = define(
    "avg_pool",
    "x",
    "The mean of each window of spatial axes: its sum over the window's size if padding counts, "
    "over the positions of x in it if not, or over a given divisor.",
    attrs=(*_POOL, Spec("count_padding", BOOL, False), Spec("divisor", optional(INT), None)),
    body=_avg_pool,
    sample=_sample_avg_pool,
)
