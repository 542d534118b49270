"""Equations that act on every element alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from graftwork.frontends.jax._jax import JaxprEqn
from graftwork.frontends.jax.rules.definitions import DEFINITIONS
from graftwork.frontends.jax.translate import Results, Rule, Translator
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.op import REGISTRY
from graftwork.ir.positional import Positional, aligned


def pointwise(function: Callable[..., Term]) -> Rule:
    """The rule that broadcasts all operands by position and applies a function to the terms."""

    def rule(tr: Translator, equation: JaxprEqn, *xs: Positional) -> Positional:
        terms, dims = aligned(*xs)
        return Positional(function(*terms), dims)

    return rule


def by_dtype(numbers: str, bools: str) -> Rule:
    """One op for numbers, another for bools."""
    return pointwise(lambda a, b: REGISTRY[bools if a.dtype is DType.boolean else numbers](a, b))


def same(tr: Translator, equation: JaxprEqn, *xs: Positional) -> tuple[Positional, ...]:
    """The operands themselves."""
    return xs


_SAME_NAMES = (
    "exp expm1 log log1p sqrt rsqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh "
    "logistic erf erfc erf_inv lgamma digamma floor ceil neg abs not is_finite stop_gradient "
    "sub div rem atan2 and or xor shift_left shift_right_logical eq ne lt le gt ge"
)


def _cast(tr: Translator, equation: JaxprEqn, x: Positional) -> Positional:
    dtype = dtype_of(equation.params["new_dtype"])
    if x.dtype.is_float and dtype.is_int:
        return Positional(ops.saturate(x.term, dtype=dtype), x.dims)
    return Positional(x.term.cast(dtype), x.dims)


def _bitcast(tr: Translator, equation: JaxprEqn) -> Results:
    dtype = dtype_of(equation.params["new_dtype"])
    x = tr.read(equation.invars[0])
    if dtype.bits != x.dtype.bits:
        return tr.define(equation, DEFINITIONS["bitcast_convert_type"])
    return Positional(ops.bitcast(x.term, dtype=dtype), x.dims)


def _sign(x: Term) -> Term:
    """The sign; of a zero that zero itself."""
    return ops.select(ops.eq(x, 0), x, ops.sign(x)) if x.dtype.is_float else ops.sign(x)


def _shift_right(x: Term, count: Term) -> Term:
    """Copies of the highest bit come in, be the dtype signed or not."""
    if not x.dtype.is_unsigned:
        return ops.shift_right(x, count)
    signed = DType(f"i{x.dtype.bits}")
    moved = ops.shift_right(*(ops.bitcast(term, dtype=signed) for term in (x, count)))
    return ops.bitcast(moved, dtype=x.dtype)


def _power(a: Term, b: Term) -> Term:
    return ops.pow(a, b.cast(a.dtype))


def _raised(x: Term, exponent: int) -> Term:
    """x to a whole power; the reciprocal of a power where it is negative."""
    power = ops.pow(x, abs(exponent)) if abs(exponent) != 1 else x
    return 1 / power if exponent < 0 else power


def _integer_pow(tr: Translator, equation: JaxprEqn, x: Positional) -> Positional:
    return Positional(_raised(x.term, int(equation.params["y"])), x.dims)


def _clamp(low: Term, x: Term, high: Term) -> Term:
    return ops.minimum(ops.maximum(x, low), high)


def _select(which: Term, *cases: Term) -> Term:
    """The case whose number `which` is; a number out of range takes the nearest."""
    if which.dtype is DType.boolean:
        return ops.select(which, cases[1], cases[0])
    chosen = cases[-1]
    for number in reversed(range(len(cases) - 1)):
        chosen = ops.select(which <= number, cases[number], chosen)
    return chosen


def _round(tr: Translator, equation: JaxprEqn, x: Positional) -> Positional:
    term = x.term
    if equation.params["rounding_method"] == 1:
        return Positional(ops.round(term), x.dims)
    whole = ops.trunc(term)
    away = whole + ops.sign(term)
    return Positional(ops.select(abs_(term - whole) >= 0.5, away, whole), x.dims)


def abs_(x: Term) -> Term:
    """The absolute value."""
    return REGISTRY["abs"](x)


_FORMATS = {(8, 7): DType.bf16, (8, 23): DType.f32, (11, 52): DType.f64}


def _reduce_precision(tr: Translator, equation: JaxprEqn) -> Results:
    """By way of a dtype that has as many bits of exponent and mantissa."""
    form = (equation.params["exponent_bits"], equation.params["mantissa_bits"])
    x = tr.read(equation.invars[0])
    if form not in _FORMATS or (x.dtype, form[0]) == (DType.f64, 8):  # whose least is less
        return tr.define(equation, DEFINITIONS["reduce_precision"])
    return Positional(x.term.cast(_FORMATS[form]).cast(x.dtype), x.dims)


def _cube_root(x: Term) -> Term:
    return _sign(x) * ops.pow(abs_(x), 1 / 3)


def _in_total_order(name: str) -> Rule:
    """A comparison in which -0 is below 0, and NaNs lie beyond the infinities."""
    return pointwise(lambda a, b: REGISTRY[name](_rank(a), _rank(b)))


def _rank(x: Term) -> Term:
    """Integers in the order of floats: the bits, those of negative numbers reversed."""
    if not x.dtype.is_float:
        return x
    bits = ops.bitcast(x, dtype=DType(f"i{x.dtype.bits}"))
    return ops.select(bits < 0, bits ^ ((1 << (x.dtype.bits - 1)) - 1), bits)


RULES: dict[str, Any] = {
    **{name: pointwise(REGISTRY[name]) for name in _SAME_NAMES.split()},
    "shift_right_arithmetic": pointwise(_shift_right),
    "sign": pointwise(_sign),
    "add": by_dtype("add", "or"),
    "add_any": by_dtype("add", "or"),
    "mul": by_dtype("mul", "and"),
    "max": by_dtype("maximum", "or"),
    "min": by_dtype("minimum", "and"),
    "eq_to": _in_total_order("eq"),
    "le_to": _in_total_order("le"),
    "lt_to": _in_total_order("lt"),
    "pow": pointwise(_power),
    "square": pointwise(lambda x: _raised(x, 2)),
    "integer_pow": _integer_pow,
    "exp2": pointwise(lambda x: ops.exp(x * math.log(2))),
    "cbrt": pointwise(_cube_root),
    "clamp": pointwise(_clamp),
    "select_n": pointwise(_select),
    "round": _round,
    "convert_element_type": _cast,
    **dict.fromkeys(
        (
            "copy",
            "copy_p",
            "device_put",
            "optimization_barrier",
            "sharding_constraint",
            "name",
            "pvary",
            "layout_constraint",
            "reshard",
        ),
        same,
    ),
}
STRUCTURAL: dict[str, Any] = {
    "bitcast_convert_type": _bitcast,
    "reduce_precision": _reduce_precision,
}
