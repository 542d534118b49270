"""Ops that act on every element alone: arithmetic, comparison, selection."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.draw import ANY, BOOLS, Call, Draw
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import DTypeError
from graftwork.ir.op import REGISTRY, Op, define
from graftwork.ir.ops import integers, special
from graftwork.ir.ops.families import (
    Array,
    anything,
    elementwise,
    is_bits,
    is_float,
    is_number,
    total,
    unary,
)
from graftwork.ir.types import Type, Typing, require_same_dtype, zipped

# Where ops are smooth, for tests of their derivatives.
_POSITIVE, _UNIT, _MIDDLE = (0.3, 3.0), (-0.8, 0.8), (0.5, 2.0)


def _op(name: str) -> Op:
    return REGISTRY[name]


exp = unary("exp", "e to the power x.", np.exp, slope=lambda x, y: y)
expm1 = unary("expm1", "exp(x) - 1, exact near zero.", np.expm1, slope=lambda x, y: y + 1.0)
log = unary("log", "The natural logarithm.", np.log, slope=lambda x, y: 1.0 / x, within=_POSITIVE)
log1p = unary(
    "log1p",
    "log(1 + x), exact near zero.",
    np.log1p,
    slope=lambda x, y: 1.0 / (x + 1.0),
    within=(-0.5, 3.0),
)
sqrt = unary("sqrt", "The square root.", np.sqrt, slope=lambda x, y: 0.5 / y, within=_POSITIVE)
rsqrt = unary(
    "rsqrt",
    "One over the square root.",
    lambda a: 1 / np.sqrt(a),
    slope=lambda x, y: -0.5 * y / x,
    within=_POSITIVE,
)
sin = unary("sin", "The sine.", np.sin, slope=lambda x, y: _op("cos")(x))
cos = unary("cos", "The cosine.", np.cos, slope=lambda x, y: -_op("sin")(x))
tan = unary("tan", "The tangent.", np.tan, slope=lambda x, y: y * y + 1.0, within=(-1.0, 1.0))
asin = unary(
    "asin", "The inverse sine.", np.arcsin, slope=lambda x, y: rsqrt(1.0 - x * x), within=_UNIT
)
acos = unary(
    "acos", "The inverse cosine.", np.arccos, slope=lambda x, y: -rsqrt(1.0 - x * x), within=_UNIT
)
atan = unary("atan", "The inverse tangent.", np.arctan, slope=lambda x, y: 1.0 / (x * x + 1.0))
sinh = unary("sinh", "The hyperbolic sine.", np.sinh, slope=lambda x, y: _op("cosh")(x))
cosh = unary("cosh", "The hyperbolic cosine.", np.cosh, slope=lambda x, y: _op("sinh")(x))
tanh = unary("tanh", "The hyperbolic tangent.", np.tanh, slope=lambda x, y: 1.0 - y * y)
asinh = unary("asinh", "The inverse of sinh.", np.arcsinh, slope=lambda x, y: rsqrt(x * x + 1.0))
acosh = unary(
    "acosh",
    "The inverse of cosh.",
    np.arccosh,
    slope=lambda x, y: rsqrt(x * x - 1.0),
    within=(1.3, 3.0),
)
atanh = unary(
    "atanh",
    "The inverse of tanh.",
    np.arctanh,
    slope=lambda x, y: 1.0 / (1.0 - x * x),
    within=_UNIT,
)
logistic = unary(
    "logistic", "1 / (1 + exp(-x)).", special.logistic, slope=lambda x, y: y * (1.0 - y)
)
erf = unary(
    "erf",
    "The error function.",
    special.erf,
    slope=lambda x, y: exp(-(x * x)) * (2 / math.sqrt(math.pi)),
)
erfc = unary(
    "erfc",
    "1 - erf(x), exact for large x.",
    special.erfc,
    slope=lambda x, y: exp(-(x * x)) * (-2 / math.sqrt(math.pi)),
)
erf_inv = unary(
    "erf_inv",
    "The inverse of erf.",
    special.erf_inv,
    slope=lambda x, y: exp(y * y) * (math.sqrt(math.pi) / 2),
    within=_UNIT,
)
lgamma = unary(
    "lgamma",
    "The logarithm of the absolute value of the gamma function.",
    special.lgamma,
    slope=lambda x, y: _op("digamma")(x),
    within=(0.5, 3.0),
)
digamma = unary("digamma", "The derivative of lgamma.", special.digamma, within=(0.5, 3.0))


def _flat(operands: Any, tangents: Any, outputs: Any) -> tuple[None]:
    """Zero almost everywhere."""
    return (None,)


floor = unary("floor", "The greatest whole number not above x.", np.floor, jvp=_flat)
ceil = unary("ceil", "The least whole number not below x.", np.ceil, jvp=_flat)
round = unary("round", "The nearest whole number, halves to even.", np.rint, jvp=_flat)
trunc = unary("trunc", "The whole number next to x towards zero.", np.trunc, jvp=_flat)
sign = unary("sign", "-1, 0 or 1; NaN for NaN.", np.sign, on=is_number, jvp=_flat)
neg = unary(
    "neg", "The negative.", np.negative, on=is_number, linear=(0,),
    transpose=lambda cts, operands, position, typing: -cts[0],
)  # fmt: skip
abs = unary("abs", "The absolute value.", np.abs, on=is_number, slope=lambda x, y: sign(x))
is_finite = unary(
    "is_finite", "Neither infinite nor NaN.", np.isfinite, result=DType.boolean, jvp=_flat
)
is_nan = unary("is_nan", "Not a number.", np.isnan, result=DType.boolean, jvp=_flat)


def _not(a: Array) -> Array:
    return np.logical_not(a) if a.dtype == np.bool_ else np.invert(a)


not_ = unary("not", "Logical not of bools, bitwise not of integers.", _not, on=is_bits)


def binary(name: str, doc: str, function: Any, **fields: Any) -> Op:
    """An elementwise op of two operands of one dtype."""
    return elementwise(name, "a b", doc, function, **({"on": is_number} | fields))


def _power_jvp(operands: Any, tangents: Any, outputs: Any) -> Any:
    """The slope in a is zero where b is, and that in b where a is."""
    (a, b), (da, db) = operands, tangents
    flat = eq(b, 0.0)
    base = None if da is None else da * select(flat, 0.0, b * pow(a, select(flat, 1.0, b - 1.0)))
    exponent = None if db is None else db * outputs[0] * log(select(eq(a, 0.0), 1.0, a))
    return (total((base, exponent)),)


def _divide_jvp(operands: Any, tangents: Any, outputs: Any) -> Any:
    (_, b), (da, db) = operands, tangents
    above = None if da is None else da / b
    below = None if db is None else -(outputs[0] * db) / b
    return (total((above, below)),)


def _pick_jvp(chosen: Any) -> Any:
    """Derivative of maximum and minimum: of the chosen operand, halves on ties."""

    def jvp(operands: Any, tangents: Any, outputs: Any) -> Any:
        a, b = operands
        zero, half, one = (a.builder.constant(v, a.dtype) for v in (0.0, 0.5, 1.0))
        share = select(eq(a, b), half, select(chosen(a, b), one, zero))
        weights = (share, 1.0 - share)
        pairs = zip(tangents, weights, strict=True)
        return (total(None if rate is None else rate * weight for rate, weight in pairs),)

    return jvp


def _atan2_jvp(operands: Any, tangents: Any, outputs: Any) -> Any:
    (y, x), (dy, dx) = operands, tangents
    norm = x * x + y * y
    upward = None if dy is None else dy * x / norm
    sideways = None if dx is None else -(dx * y) / norm
    return (total((upward, sideways)),)


def _difference_jvp(operands: Any, tangents: Any, outputs: Any) -> Any:
    da, db = tangents
    return (total((da, None if db is None else -db)),)


add = binary(
    "add", "a + b.", np.add, traits={"commutative"}, linear=(0, 1),
    jvp=lambda operands, tangents, outputs: (total(tangents),),
    transpose=lambda cts, operands, position, typing: cts[0],
)  # fmt: skip
sub = binary(
    "sub", "a - b.", np.subtract, linear=(0, 1), jvp=_difference_jvp,
    transpose=lambda cts, operands, position, typing: -cts[0] if position else cts[0],
)  # fmt: skip
mul = binary(
    "mul", "a b, elementwise.", np.multiply, traits={"commutative"}, linear=(0, 1),
    multilinear=True,
    transpose=lambda cts, operands, position, typing: cts[0] * operands[1 - position],
)  # fmt: skip
div = binary(
    "div",
    "a / b; of integers towards zero, and -1 where b is zero.",
    integers.divide,
    jvp=_divide_jvp,
    linear=(0,),
    transpose=lambda cts, operands, position, typing: cts[0] / operands[1],
    within=_MIDDLE,
)
floor_div = binary(
    "floor_div", "a / b rounded down.", integers.floor_divide, jvp=_flat, within=_MIDDLE
)
rem = binary(
    "rem",
    "Remainder of a / b with the sign of a.",
    integers.remainder,
    jvp=lambda operands, tangents, outputs: (
        _remainder_tangent(tangents, trunc(operands[0] / operands[1])),
    ),
    within=_MIDDLE,
)
mod = binary(
    "mod",
    "Remainder of a / b with the sign of b.",
    integers.modulo,
    jvp=lambda operands, tangents, outputs: (
        _remainder_tangent(tangents, floor(operands[0] / operands[1])),
    ),
    within=_MIDDLE,
)


def _remainder_tangent(tangents: Any, quotient: Any) -> Any:
    da, db = tangents
    return total((da, None if db is None else -(db * quotient)))


pow = binary("pow", "a to the power b.", integers.power, jvp=_power_jvp, within=_MIDDLE)
maximum = binary(
    "maximum", "The greater; NaN if either is.", np.maximum, traits={"commutative"},
    jvp=_pick_jvp(lambda a, b: a > b),
)  # fmt: skip
minimum = binary(
    "minimum", "The lesser; NaN if either is.", np.minimum, traits={"commutative"},
    jvp=_pick_jvp(lambda a, b: a < b),
)  # fmt: skip
atan2 = binary(
    "atan2",
    "The angle of the point (b, a).",
    np.arctan2,
    on=is_float,
    jvp=_atan2_jvp,
    within=_MIDDLE,
)


def _bitwise(on_bools: Any, on_bits: Any) -> Any:
    return lambda a, b: (on_bools if a.dtype == np.bool_ else on_bits)(a, b)


def _is_int(dtype: DType) -> bool:
    return dtype.is_int


and_ = binary(
    "and", "Logical and of bools, bitwise of integers.",
    _bitwise(np.logical_and, np.bitwise_and), on=is_bits, traits={"commutative"},
)  # fmt: skip
or_ = binary(
    "or", "Logical or of bools, bitwise of integers.",
    _bitwise(np.logical_or, np.bitwise_or), on=is_bits, traits={"commutative"},
)  # fmt: skip
xor = binary(
    "xor", "Logical xor of bools, bitwise of integers.",
    _bitwise(np.logical_xor, np.bitwise_xor), on=is_bits, traits={"commutative"},
)  # fmt: skip
shift_left = binary(
    "shift_left",
    "a shifted left by b bits.",
    integers.shift(np.left_shift, np.zeros_like),
    on=_is_int,
)
shift_right = binary(
    "shift_right", "a shifted right by b bits, keeping its sign.",
    integers.shift(np.right_shift, integers.sign_bits), on=_is_int,
)  # fmt: skip
shift_right_logical = binary(
    "shift_right_logical", "a shifted right by b bits, filling with zeros.",
    integers.shift(integers.shift_right_logical, np.zeros_like), on=_is_int,
)  # fmt: skip


def compare(name: str, doc: str, function: Any, **fields: Any) -> Op:
    """An elementwise op of two operands that answers yes or no."""
    return elementwise(
        name, "a b", doc, function, on=anything, result=DType.boolean, jvp=_flat, **fields
    )


eq = compare("eq", "a = b.", np.equal, traits={"commutative"})
ne = compare("ne", "a is not b.", np.not_equal, traits={"commutative"})
lt = compare("lt", "a < b.", np.less)
le = compare("le", "a <= b.", np.less_equal)
gt = compare("gt", "a > b.", np.greater)
ge = compare("ge", "a >= b.", np.greater_equal)


def _infer_select(typing: Typing, pred: Type, on_true: Type, on_false: Type) -> Type:
    if pred.dtype is not DType.boolean:
        raise DTypeError(f"the predicate is {pred.dtype.value}; compare it with something first")
    dtype = require_same_dtype(on_true, on_false)
    return Type(dtype, zipped(on_true, on_false, pred))


def _evaluate_select(at: object, *arrays: NamedArray) -> NamedArray:
    from graftwork.ir.array import aligned, union

    axes = union(arrays[1], arrays[2], arrays[0])
    return NamedArray(np.where(*aligned(axes, *arrays)), axes)


def _transpose_select(cts: Any, operands: Any, position: int, typing: Typing) -> Any:
    (ct,) = cts
    zero = ct.builder.constant(0.0, ct.dtype)
    pred = operands[0]
    return select(pred, ct, zero) if position == 1 else select(pred, zero, ct)


def _sample_select(draw: Draw) -> Call:
    pred, on_true = draw.operand(BOOLS), draw.operand(ANY)
    return Call((pred, on_true, draw.operand((on_true.dtype,))))


select = define(
    "select",
    "pred on_true on_false",
    "on_true where pred holds, else on_false.",
    infer=_infer_select,
    evaluate=_evaluate_select,
    linear=(1, 2),
    transpose=_transpose_select,
    traits={"elementwise"},
    sample=_sample_select,
)
stop_gradient = elementwise(
    "stop_gradient", "x", "x, with a derivative of zero.", lambda a: a, on=anything, jvp=_flat
)
