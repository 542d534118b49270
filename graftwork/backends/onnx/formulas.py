"""Ops that ONNX lacks, or lacks in f64, as expressions of ops that it has.

Smooth functions are Chebyshev interpolants, made from the very functions that the numpy reference
calls, at degrees where their error is below 1e-14.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Region
from graftwork.ir.op import Op

Formula = Callable[..., Term]


def in_f64(formula: Formula) -> Formula:
    """The formula in f64, rounded once."""

    def wide(*xs: Term) -> Term:
        return formula(*(x.cast(DType.f64) for x in xs)).cast(xs[0].dtype)

    return wide


def where(pred: Term, on_true: Term | float, on_false: Term | float) -> Term:
    """on_true where pred holds, else on_false."""
    return ops.select(pred, on_true, on_false)


def polynomial(x: Term, coefficients: tuple[float, ...]) -> Term:
    """Chebyshev series at x in [-1, 1], by Clenshaw's recurrence."""
    double = x + x
    now = ahead = x * 0.0
    for coefficient in coefficients[:0:-1]:
        now, ahead = double * now - ahead + coefficient, now
    return x * now - ahead + coefficients[0]


def _interpolant(function: Callable[[Any], Any], degree: int) -> tuple[float, ...]:
    return tuple(map(float, np.polynomial.chebyshev.chebinterpolate(function, degree)))


def magnitude(of: Term, sign: Term) -> Term:
    """|of| with the sign of another number, that of zeros included."""
    return where(is_negative(sign), -ops.abs(of), ops.abs(of))


def is_negative(x: Term) -> Term:
    """Below zero, or the zero below zero."""
    return (x < 0.0) | (ops.eq(x, 0.0) & (1.0 / x < 0.0))


# --- exponentials -------------------------------------------------------------------------------


def expm1(x: Term) -> Term:
    """(u - 1) x / log(u) with u = exp(x), in which the error of u cancels (Kahan)."""
    u = ops.exp(x)
    small = (u - 1.0) * x / ops.log(where(ops.eq(u, 1.0), 2.0, u))
    far = ops.abs(x) > 1.0
    return where(ops.eq(u, 1.0), x, where(far, u - 1.0, small))


def log1p(x: Term) -> Term:
    """log(u) x / (u - 1) with u = 1 + x, in which the error of u cancels (Kahan)."""
    u = x + 1.0
    small = ops.log(u) * (x / where(ops.eq(u, 1.0), 1.0, u - 1.0))
    plain = ops.eq(u, 1.0)
    return where(plain, x, where(x > 1.0, ops.log(u), small))


def sinh(x: Term) -> Term:
    """Half of grown + grown / (grown + 1), grown = expm1 |x|; in halves, against overflow."""
    half = ops.exp(ops.abs(x) * 0.5) * 0.5
    grown = expm1(ops.abs(x))
    small = (grown + grown / (grown + 1.0)) * 0.5
    large = half * (half + half)
    return magnitude(where(ops.abs(x) > 20.0, large, small), x)


def cosh(x: Term) -> Term:
    """exp(x) / 2 + exp(-x) / 2, from halves of x against overflow."""
    half = ops.exp(ops.abs(x) * 0.5)
    return half * 0.5 * half + 0.5 / half / half


def asinh(x: Term) -> Term:
    """log(x + sqrt(x^2 + 1)), exact near zero."""
    size = ops.abs(x)
    small = ops.minimum(size, 1e8)
    inner = log1p(small + small * small / (ops.sqrt(small * small + 1.0) + 1.0))
    return magnitude(where(size > 1e8, ops.log(size) + math.log(2.0), inner), x)


def acosh(x: Term) -> Term:
    """log(x + sqrt(x^2 - 1)), exact near one."""
    small = ops.minimum(x, 1e8) - 1.0
    inner = log1p(small + ops.sqrt(small + small + small * small))
    inside = where(x < 1.0, math.nan, inner)
    return where(x > 1e8, ops.log(x) + math.log(2.0), inside)


def atanh(x: Term) -> Term:
    """log((1 + x) / (1 - x)) / 2, exact near zero."""
    return magnitude(log1p(2.0 * ops.abs(x) / (1.0 - ops.abs(x))) * 0.5, x)


# --- angles -------------------------------------------------------------------------------------


def tan(x: Term) -> Term:
    """sin / cos."""
    return ops.sin(x) / ops.cos(x)


@cache
def _atan_series() -> tuple[float, ...]:
    def ratio(t: Any) -> Any:
        x = np.sqrt((t + 1) / 2)
        return np.arctan(x) / x

    return _interpolant(ratio, 23)


def atan(x: Term) -> Term:
    """x p(x^2) for |x| up to 1, its complement to a right angle beyond."""
    size = ops.abs(x)
    beyond = size > 1.0
    inner = where(beyond, 1.0 / size, size)
    angle = inner * polynomial(2.0 * inner * inner - 1.0, _atan_series())
    return magnitude(where(beyond, math.pi / 2 - angle, angle), x)


def asin(x: Term) -> Term:
    """The angle whose tangent is x / sqrt(1 - x^2)."""
    return atan(x / ops.sqrt((1.0 - x) * (x + 1.0)))


def acos(x: Term) -> Term:
    """Twice the angle whose tangent is sqrt((1 - x) / (1 + x))."""
    return 2.0 * atan(ops.sqrt((1.0 - x) / (x + 1.0)))


def atan2(y: Term, x: Term) -> Term:
    """The angle of |y| / |x|, in the quadrant that the signs say."""
    up, right = ops.abs(y), ops.abs(x)
    ratio = where(ops.eq(up, right), ops.ne(up, 0.0).cast(y.dtype), up / right)
    angle = atan(where(ops.is_nan(x) | ops.is_nan(y), math.nan, ratio))
    return magnitude(where(is_negative(x), math.pi - angle, angle), y)


# --- the error function and the gamma function --------------------------------------------------


@cache
def _erf_series() -> tuple[float, ...]:
    from scipy import special

    def ratio(t: Any) -> Any:
        x = np.sqrt((t + 1) / 2)
        return special.erf(x) / x

    return _interpolant(ratio, 16)


@cache
def _erfcx_series() -> tuple[float, ...]:
    """(1 + 2x) exp(x^2) erfc(x) in t = (x - 3.75) / (x + 3.75) (Shepherd and Laframboise 1981)."""
    from scipy import special

    def scaled(t: Any) -> Any:
        x = 3.75 * (1 + t) / (1 - t)
        return (1 + 2 * x) * special.erfcx(x)

    return _interpolant(scaled, 28)


def erfc(x: Term) -> Term:
    """exp(-x^2) times a series for positive x; its complement to 2 for negative."""
    size = ops.minimum(ops.abs(x), 30.0)
    series = polynomial((size - 3.75) / (size + 3.75), _erfcx_series())
    tail = ops.exp(-(size * size)) * series / (2.0 * size + 1.0)
    return where(x < 0.0, 2.0 - tail, tail)


def erf(x: Term) -> Term:
    """x p(x^2) for |x| up to 1, 1 - erfc beyond."""
    inner = ops.minimum(ops.abs(x), 1.0)
    small = inner * polynomial(2.0 * inner * inner - 1.0, _erf_series())
    return magnitude(where(ops.abs(x) > 1.0, 1.0 - erfc(ops.abs(x)), small), x)


_NEAR, _FAR = 4.0, 40.0


@cache
def _erf_inv_series(part: str) -> tuple[float, ...]:
    """erf_inv(y) / y in w = -log(1 - y^2): in w near 0, in the root of w far from it."""
    from scipy import special

    def at(w: Any) -> Any:
        y = np.sqrt(-np.expm1(-w))
        tail = special.erfcinv(np.exp(-w) / (1 + y))  # 1 - y without cancellation
        return np.where(w == 0, math.sqrt(math.pi) / 2, tail / np.where(y == 0, 1, y))

    if part == "near":
        return _interpolant(lambda t: at((t + 1) * _NEAR / 2), 24)
    low, high = math.sqrt(_NEAR), math.sqrt(_FAR)
    return _interpolant(lambda t: at(((t + 1) * (high - low) / 2 + low) ** 2), 32)


def erf_inv(y: Term) -> Term:
    """y times a series in -log(1 - y^2)."""
    w = -ops.log((1.0 - y) * (y + 1.0))
    near = ops.minimum(w, _NEAR) * (2 / _NEAR) - 1.0
    low, high = math.sqrt(_NEAR), math.sqrt(_FAR)
    root = ops.sqrt(ops.maximum(ops.minimum(w, _FAR), _NEAR))
    far = (root - low) * (2 / (high - low)) - 1.0
    ratio = where(
        w < _NEAR,
        polynomial(near, _erf_inv_series("near")),
        polynomial(far, _erf_inv_series("far")),
    )
    return y * where(ops.eq(ops.abs(y), 1.0), math.inf, ratio)


_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_SHIFT = 10


def _series(x: Term, coefficients: tuple[float, ...]) -> Term:
    """A power series in 1 / x^2, by Horner's rule."""
    inverse = 1.0 / (x * x)
    total = inverse * 0.0
    for coefficient in reversed(coefficients):
        total = total * inverse + coefficient
    return total


def lgamma(x: Term) -> Term:
    """Stirling's series at x + 10, less the logarithms passed; reflected below 1/2."""
    reflected = x < 0.5
    z = where(reflected, 1.0 - x, x)
    far = z + float(_SHIFT)
    product = z
    for step in range(1, _SHIFT):
        product = product * where(z > 1e20, 1.0, z + float(step))
    stirling = (far - 0.5) * (ops.log(far) - 1.0) + (math.log(2 * math.pi) - 1) / 2
    value = stirling + _series(far, _STIRLING) / far - ops.log(product)
    value = where(z > 1e20, z * (ops.log(z) - 1.0), value)
    whole = ops.abs(ops.sin(math.pi * (x - ops.round(x))))
    mirrored = math.log(math.pi) - ops.log(whole) - value
    result = where(reflected, mirrored, value)
    return where(ops.eq(ops.abs(x), math.inf), math.inf, result)


def digamma(x: Term) -> Term:
    """The asymptotic series at x + 10, less the reciprocals passed; reflected below 1/2."""
    reflected = x < 0.5
    z = where(reflected, 1.0 - x, x)
    far = z + float(_SHIFT)
    passed = 1.0 / z
    for step in range(1, _SHIFT):
        passed = passed + 1.0 / (z + float(step))
    slopes = tuple((2 * i + 1) * c for i, c in enumerate(_STIRLING))
    value = ops.log(far) - 0.5 / far - _series(far, slopes) / (far * far) - passed
    angle = math.pi * (x - ops.round(x))
    turned = value - math.pi * ops.cos(angle) / ops.sin(angle)
    result = where(reflected, turned, value)
    pole = (x < 0.0) & ops.eq(x, ops.floor(x))
    return where(pole, math.nan, where(ops.eq(x, 0.0), -magnitude(math.inf + x, x), result))


# --- division and powers ------------------------------------------------------------------------


def mod(a: Term, b: Term) -> Term:
    """Remainder with the sign of b; a zero remainder has it too."""
    rest = ops.rem(a, b)
    wrong = ops.ne(rest, 0.0) & ops.ne(rest < 0.0, b < 0.0)
    return where(wrong, rest + b, where(ops.eq(rest, 0.0), magnitude(rest, b), rest))


def floor_div(a: Term, b: Term) -> Term:
    """The whole quotient of a less its remainder, one less where their signs differ."""
    rest = ops.rem(a, b)
    wrong = ops.ne(rest, 0.0) & ops.ne(rest < 0.0, b < 0.0)
    quotient = ops.round((a - rest) / b)
    quotient = where(wrong, quotient - 1.0, quotient)
    whole = where(ops.eq(quotient, 0.0), magnitude(quotient, a / b), quotient)
    return where(ops.eq(b, 0.0), a / b, whole)


def int_rem(a: Term, b: Term) -> Term:
    """What the truncated quotient leaves; a where b is 0. Exact, where the kernel uses floats."""
    return a - ops.div(a, b) * b


def int_floor_div(a: Term, b: Term) -> Term:
    """The truncated quotient, one less where it was rounded up; -1 where b is 0."""
    quotient = ops.div(a, b)
    rest = a - quotient * b
    up = ops.ne(rest, 0) & ops.ne(rest < 0, b < 0) & ops.ne(b, 0)
    return where(up, quotient - 1, quotient)


def int_pow(bits: int) -> Formula:
    """Square and multiply over the bits of b; a negative power is the truncated inverse."""

    def power(a: Term, b: Term) -> Term:
        signed = not a.dtype.is_unsigned
        exponent = ops.abs(b) if signed else b
        result, square = a * 0 + 1, a
        for bit in range(bits):
            taken = ops.eq(ops.shift_right_logical(exponent, bit) & 1, 1)
            result, square = where(taken, result * square, result), square * square
        return where(b < 0, ops.div(1, result), result) if signed else result

    return power


# --- running ------------------------------------------------------------------------------------


def least(dtype: DType) -> float | int:
    """What no maximum takes over anything else."""
    return -math.inf if dtype.is_float else int(np.iinfo(dtype.numpy).min)


def greatest(dtype: DType) -> float | int:
    """What no minimum takes over anything else."""
    return math.inf if dtype.is_float else int(np.iinfo(dtype.numpy).max)


def in_turn(combine: Op, start: Callable[[DType], float | int]) -> Formula:
    """Running results of a binary op along an axis, as a scan."""

    def running(x: Term, *, axis: str, reverse: bool) -> Term:
        wide = x.cast(DType.f32) if x.dtype in (DType.f16, DType.bf16) else x
        rest = [a for a in x.axes if a != axis]
        first = x.builder.constant(start(x.dtype), wide.dtype).broadcast(*rest)
        body = Builder(x.builder.typing)
        state, item = (body.input(wide.dtype, rest) for _ in range(2))
        after = combine(state, item)
        region = Region((state.value, item.value), tuple(body.nodes), (after.value, after.value))
        attrs = {"axis": axis, "carry": 1, "xs": 1, "reverse": reverse}
        _, results = x.builder.emit(ops.scan, (first, wide), attrs, (region,))
        return results.cast(x.dtype)

    return running
