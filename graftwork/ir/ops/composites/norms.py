"""Normalisation: each subtracts or divides by statistics of its input, then scales by a weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graftwork.ir.attributes import AXIS, AXIS_SET, BOOL, FLOAT, INT, Spec
from graftwork.ir.build import Term, mark
from graftwork.ir.draw import FLOATS, Call, Draw, some
from graftwork.ir.dtypes import DType
from graftwork.ir.op import define
from graftwork.ir.ops.composites.precision import widened
from graftwork.ir.ops.elementwise import rsqrt, sqrt
from graftwork.ir.ops.families import is_float, require
from graftwork.ir.types import Type, Typing, require_axes, require_same_dtype, zipped

_OVER = Spec("over", AXIS_SET)
_EPS = Spec("eps", FLOAT)
_IN_F32 = Spec("in_f32", BOOL, False)
_INSIDE = ("scale", "normalized")


def _infer_norm(typing: Typing, x: Type, *gains: Type, over: tuple[str, ...], **_: Any) -> Type:
    require(is_float, x.dtype)
    require_axes(x, over)
    return _gained(x, gains)


def _infer_batch_norm(
    typing: Typing, x: Type, mean: Type, var: Type, *gains: Type, eps: float
) -> Type:
    require(is_float, require_same_dtype(x, mean, var))
    return _gained(x, (mean, var, *gains))


def _gained(x: Type, others: Sequence[Type]) -> Type:
    """x zipped with what scales and shifts it, one after the other."""
    for other in others:
        x = x.with_axes(zipped(x, other))
    return x


def _divided(centered: Term, over: tuple[str, ...], eps: float) -> Term:
    """Over the root of its mean square; marks both."""
    scale = mark("scale", sqrt((centered * centered).mean(*over) + eps))
    return mark("normalized", centered / scale)


def _affine(x: Term, weight: Term | None, bias: Term | None, dtype: DType) -> Term:
    """x weight + bias in the precision of x, rounded to dtype at the end."""
    if weight is not None:
        x = x * weight.cast(x.dtype)
    if bias is not None:
        x = x + bias.cast(x.dtype)
    return x.cast(dtype)


def _gains(draw: Draw, most: int) -> list[Term]:
    """Up to so many operands that scale and shift."""
    return [draw.operand(FLOATS) for _ in range(draw.number(0, most))]


def _eps(draw: Draw) -> float:
    return draw.pick(0.125, 1e-5)


def _layer_norm(
    x: Term, weight: Term | None = None, bias: Term | None = None, *,
    over: tuple[str, ...], eps: float, in_f32: bool,
) -> Term:  # fmt: skip
    wide = widened(x) if in_f32 else x
    normalized = _divided(wide - wide.mean(*over), over, eps)
    return _affine(normalized, weight, bias, x.dtype)


def _sample_layer_norm(draw: Draw) -> Call:
    count = draw.pick(1, 2)
    x = draw.operand(FLOATS, binds=count)
    attrs = {"over": some(draw, x, count), "eps": _eps(draw), "in_f32": draw.pick(False, True)}
    return Call((x, *_gains(draw, 2)), attrs)


layer_norm = define(
    "layer_norm",
    "x weight? bias?",
    "x less its mean, over its standard deviation (Ba et al. 2016), times weight, plus bias.",
    attrs=(_OVER, _EPS, _IN_F32),
    infer=_infer_norm,
    body=_layer_norm,
    sample=_sample_layer_norm,
    sites=_INSIDE,
)


def _rms_norm(
    x: Term, weight: Term | None = None, *, over: tuple[str, ...], eps: float, offset: float,
    in_f32: bool, weight_after_cast: bool,
) -> Term:  # fmt: skip
    normalized = _divided(widened(x) if in_f32 else x, over, eps)
    if weight is None:
        return normalized.cast(x.dtype)
    if weight_after_cast:
        normalized = mark("normalized", normalized.cast(x.dtype))
    gain = weight.cast(normalized.dtype)
    gain = gain if offset == 0.0 else gain + offset
    return (normalized * gain).cast(x.dtype)


def _sample_rms_norm(draw: Draw) -> Call:
    x = draw.operand(FLOATS, binds=1)
    attrs = {
        "offset": draw.pick(0.0, 1.0),
        "in_f32": draw.pick(False, True),
        "weight_after_cast": draw.pick(False, True),
    }
    return Call((x, *_gains(draw, 1)), {"over": some(draw, x, 1), "eps": _eps(draw), **attrs})


rms_norm = define(
    "rms_norm",
    "x weight?",
    "x over its root mean square (Zhang and Sennrich 2019), times weight + offset; 16-bit floats "
    "in 32 bits if in_f32, and rounded before the weight if weight_after_cast.",
    attrs=(
        _OVER,
        _EPS,
        Spec("offset", FLOAT, 0.0),
        _IN_F32,
        Spec("weight_after_cast", BOOL, False),
    ),
    infer=_infer_norm,
    body=_rms_norm,
    sample=_sample_rms_norm,
    sites=_INSIDE,
)


def _batch_norm(
    x: Term, mean: Term, var: Term, weight: Term | None = None, bias: Term | None = None, *,
    eps: float,
) -> Term:  # fmt: skip
    normalized = mark("normalized", (x - mean) * rsqrt(var + eps))
    return _affine(normalized, weight, bias, x.dtype)


def _sample_batch_norm(draw: Draw) -> Call:
    x = draw.operand(FLOATS)
    statistics = (draw.operand((x.dtype,), within=(0.5, 2.0)) for _ in range(2))
    return Call((x, *statistics, *_gains(draw, 2)), {"eps": _eps(draw)})


batch_norm = define(
    "batch_norm",
    "x mean var weight? bias?",
    "x less a given mean, over the root of a given variance (Ioffe and Szegedy 2015), times "
    "weight, plus bias.",
    attrs=(_EPS,),
    infer=_infer_batch_norm,
    body=_batch_norm,
    sample=_sample_batch_norm,
    sites=("normalized",),
)


def _group_norm(
    x: Term, weight: Term | None = None, bias: Term | None = None, *,
    axis: str, groups: int, over: tuple[str, ...], eps: float, in_f32: bool,
) -> Term:  # fmt: skip
    typing = x.builder.typing
    group, part = typing.fresh("group"), typing.fresh(f"{axis}_part")
    wide = widened(x) if in_f32 else x
    grouped = wide.split(axis, **{group: groups, part: x.size(axis) // groups})
    pooled = (part, *over)
    normalized = _divided(grouped - grouped.mean(*pooled), pooled, eps)
    merged = normalized.merge(group, part, into=axis)
    return _affine(merged, weight, bias, x.dtype)


def _sample_group_norm(draw: Draw) -> Call:
    x = draw.operand(FLOATS, binds=1, multiple=2)
    axis = draw.axis(x, multiple=2)
    over = [a for a in x.axes if a != axis and draw.pick(True, False)]
    attrs = {"groups": draw.pick(1, 2), "over": over, "in_f32": draw.pick(False, True)}
    return Call((x, *_gains(draw, 2)), {"axis": axis, "eps": _eps(draw), **attrs})


group_norm = define(
    "group_norm",
    "x weight? bias?",
    "layer_norm over groups of an axis and the axes `over` (Wu and He 2018), times weight, plus "
    "bias along the axis.",
    attrs=(Spec("axis", AXIS), Spec("groups", INT), _OVER, _EPS, _IN_F32),
    body=_group_norm,
    sample=_sample_group_norm,
    sites=_INSIDE,
)
