"""Summaries along axes: mean, variance, and the softmax family."""

from __future__ import annotations

import math
from typing import Any

from graftwork.ir.attributes import AXIS, AXIS_SET, FLOAT, Spec
from graftwork.ir.build import Term
from graftwork.ir.draw import FLOATS, Call, Draw, some
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import DTypeError
from graftwork.ir.op import REGISTRY, define
from graftwork.ir.ops.composites.precision import widened
from graftwork.ir.ops.elementwise import exp, is_finite, log, maximum, select, stop_gradient
from graftwork.ir.ops.families import along, keeps, over, pointwise, removes, total, zips
from graftwork.ir.sizes import Size

_OVER = Spec("over", AXIS_SET)
_AXIS = Spec("axis", AXIS)


def count(x: Term, over: tuple[str, ...], dtype: DType) -> Term:
    """How many elements of x one sum over the axes `over` adds."""
    elements: Size = 1
    for axis in over:
        elements = elements * x.size(axis)
    if isinstance(elements, int):
        return x.builder.constant(elements, dtype)
    with x.builder:
        return REGISTRY["size"](value=elements, dtype=dtype)


def _require_float(x: Term) -> None:
    if not x.dtype.is_float:
        raise DTypeError(f"not defined on {x.dtype.value}; cast the operand first")


def _mean(x: Term, *, over: tuple[str, ...]) -> Term:
    _require_float(x)
    wide = widened(x)
    return (wide.sum(*over) / count(x, over, wide.dtype)).cast(x.dtype)


mean = define(
    "mean",
    "x",
    "The arithmetic mean over axes; 16-bit floats are summed in 32 bits.",
    attrs=(_OVER,),
    infer=removes(),
    body=_mean,
    linear=(0,),
    sample=over(FLOATS),
)


def _var(x: Term, *, over: tuple[str, ...], correction: float) -> Term:
    _require_float(x)
    wide = widened(x)
    centered = wide - wide.mean(*over)
    free = maximum(count(x, over, wide.dtype) - correction, 0.0)
    return ((centered * centered).sum(*over) / free).cast(x.dtype)


def _sample_var(draw: Draw) -> Call:
    count = draw.pick(1, 2, 0)
    x = draw.operand(FLOATS, binds=count)
    return Call((x,), {"over": some(draw, x, count), "correction": draw.pick(0.0, 1.0)})


var = define(
    "var",
    "x",
    "The variance over axes: squared deviations from the mean over n - correction.",
    attrs=(_OVER, Spec("correction", FLOAT, 0.0)),
    infer=removes(),
    body=_var,
    sample=_sample_var,
)


def _finite_top(x: Term, over: tuple[str, ...]) -> Term:
    """The maximum, or 0 where it is infinite, as a constant shift."""
    top = stop_gradient(x.max(*over))
    return select(is_finite(top), top, 0.0)


def _logsumexp(x: Term, *, over: tuple[str, ...]) -> Term:
    top = _finite_top(x, over)
    return log(exp(x - top).sum(*over)) + top


logsumexp = define(
    "logsumexp",
    "x",
    "log(sum(exp(x))) over axes without overflow; -inf where all are -inf.",
    attrs=(_OVER,),
    infer=removes(),
    body=_logsumexp,
    sample=over(FLOATS),
)


def _logaddexp(a: Term, b: Term) -> Term:
    top, bottom = maximum(a, b), REGISTRY["minimum"](a, b)
    return top + REGISTRY["log1p"](exp(select(REGISTRY["eq"](a, b), 0.0, bottom - top)))


def _logaddexp_jvp(operands: Any, tangents: Any, outputs: Any) -> Any:
    """Each tangent weighed by its share of the sum; zero where the sum is."""
    (y,) = outputs
    shift = select(REGISTRY["eq"](y, -math.inf), 0.0, y)
    pairs = zip(operands, tangents, strict=True)
    return (total(None if dx is None else dx * exp(x - shift) for x, dx in pairs),)


logaddexp = define(
    "logaddexp",
    "a b",
    "log(exp(a) + exp(b)) without overflow.",
    infer=zips(),
    body=_logaddexp,
    jvp=_logaddexp_jvp,
    sample=pointwise(FLOATS, 2),
    traits={"elementwise", "commutative"},
)


def _softmax(x: Term, *, axis: str) -> Term:
    grown = exp(x - stop_gradient(x.max(axis)))
    return grown / grown.sum(axis)


def _softmax_jvp(operands: Any, tangents: Any, outputs: Any, *, axis: str) -> Any:
    (y,) = outputs
    weighted = tangents[0] * y
    return (weighted - y * weighted.sum(axis),)


softmax = define(
    "softmax",
    "x",
    "exp(x) over its sum along an axis; NaN where all are -inf.",
    attrs=(_AXIS,),
    infer=keeps(),
    body=_softmax,
    jvp=_softmax_jvp,
    sample=along(FLOATS),
)


def _log_softmax(x: Term, *, axis: str) -> Term:
    shifted = x - stop_gradient(x.max(axis))
    return shifted - log(exp(shifted).sum(axis))


def _log_softmax_jvp(operands: Any, tangents: Any, outputs: Any, *, axis: str) -> Any:
    return (tangents[0] - (tangents[0] * exp(outputs[0])).sum(axis),)


log_softmax = define(
    "log_softmax",
    "x",
    "The logarithm of softmax along an axis, exact where softmax would underflow.",
    attrs=(_AXIS,),
    infer=keeps(),
    body=_log_softmax,
    jvp=_log_softmax_jvp,
    sample=along(FLOATS),
)
