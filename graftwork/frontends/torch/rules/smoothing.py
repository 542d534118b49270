"""Resizing without aliasing: every new position is a mean of the old ones around it.

Where a grid shrinks, the kernel that interpolates is stretched as far, so that no old position is
left out (the resampling of Pillow, which `antialias=True` follows).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from graftwork.frontends.torch.rules.creation import positions
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.values import settled
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType
from graftwork.ir.positional import Positional, carrying

_SHARPNESS = -0.5  # of the cubic kernel


@rule("aten._upsample_bilinear2d_aa.default", "aten._upsample_bicubic2d_aa.default")
def smoothed(
    call: Call, self: Positional, output_size: Any, align_corners: bool, *scales: float | None
) -> Positional:
    """The last two dimensions resized."""
    if not self.dtype.is_float:
        raise call.refuse("whole numbers, which torch rounds on the way; make them floats before")
    x = self
    for place, scale in zip((2, 3), scales or (None, None), strict=False):
        x = carrying(x, place)
        size = call.shape[place]
        into = call.fresh(1 if size is None else size)
        weights = _weights(call, str(x.dims[place]), into, x, align_corners, scale)
        term = ops.contract(x.term, weights, over=x.dims[place])
        x = Positional(term, x.with_dim(place, into).dims)
    return settled(x, call.shape)


@rule("aten._upsample_bilinear2d_aa.vec", "aten._upsample_bicubic2d_aa.vec")
def smoothed_by(
    call: Call, input: Positional, output_size: Any, align_corners: bool,
    scale_factors: Sequence[float] | None,
) -> Positional:  # fmt: skip
    """The last two dimensions resized, to a size or by factors."""
    return smoothed(call, input, output_size, align_corners, *(scale_factors or ()))


def _weights(
    call: Call, axis: str, into: str, x: Positional, align_corners: bool, scale: float | None
) -> Term:
    """What each old position counts for at each new one; they sum to 1."""
    cubic_kernel = partial(cubic, sharpness=_SHARPNESS)
    kernel, reach = (cubic_kernel, 2.0) if "bicubic" in call.op else (hat, 1.0)
    step = step_between(call, axis, into, x.dtype, align_corners, scale)
    stretch = ops.maximum(step, 1.0)
    centre = (positions(call, into, x.dtype) + 0.5) * step
    place = positions(call, axis, x.dtype)
    first = ops.maximum(ops.floor(centre - stretch * reach + 0.5), 0.0)
    end = ops.floor(centre + stretch * reach + 0.5)
    inside = ops.ge(place, first) & ops.lt(place, end)
    weights = ops.select(inside, kernel((place - centre + 0.5) / stretch), 0.0)
    return weights / weights.sum(axis)


def step_between(
    call: Call, axis: str, into: str, dtype: DType, align_corners: bool, scale: float | None
) -> Term:
    """How far apart neighbours of a new grid are on the old one."""
    typing = call.builder.typing
    with call.builder:
        old, new = (ops.size(value=typing.size(a), dtype=dtype) for a in (axis, into))
    if align_corners:
        return (old - 1.0) / ops.maximum(new - 1.0, 1.0)
    return old / new if scale is None else call.builder.constant(1.0 / scale, dtype)


def hat(x: Term) -> Term:
    """The kernel of linear interpolation."""
    return ops.maximum(1.0 - ops.abs(x), 0.0)


def cubic(x: Term, sharpness: float) -> Term:
    """The cubic kernel of Keys 1981, with its parameter a."""
    a, far = sharpness, ops.abs(x)
    near = ((a + 2) * far - (a + 3)) * far * far + 1.0
    beyond = (((far - 5.0) * far + 8.0) * far - 4.0) * a
    return ops.select(ops.lt(far, 1.0), near, ops.select(ops.lt(far, 2.0), beyond, 0.0))
