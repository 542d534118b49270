"""JAX: ops on every element alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from graftwork.backends.engine import Laid, Lowering, widest
from graftwork.backends.jax.target import JaxTarget
from graftwork.ir import ops
from graftwork.ir.graph import Node
from graftwork.ir.op import Op


def elementwise(function: Callable[..., Any]) -> Lowering:
    """A lowering that brings all operands to one shape and calls a function of arrays."""

    def lower(target: JaxTarget, node: Node, operands: Sequence[Laid]) -> Laid:
        order = widest(operands, node.output.axes)
        return Laid(function(*(target.spread(x, order) for x in operands)), order)

    return lower


def typed(function: Callable[..., Any]) -> Lowering:
    """A lowering of one operand and the attribute `dtype`."""

    def lower(target: JaxTarget, node: Node, operands: Sequence[Laid]) -> Laid:
        (x,) = operands
        return Laid(function(x.array, node.attrs["dtype"].numpy), x.axes)

    return lower


def _is_int(a: Any) -> bool:
    return jnp.issubdtype(a.dtype, jnp.integer)


def _like(a: Any, value: float) -> Any:
    return lax.full_like(a, value)


def _is_nan(a: Any) -> Any:
    return lax.ne(a, a)


def _opposed(remainder: Any, b: Any) -> Any:
    """Where a remainder is not zero and its sign is not that of the divisor."""
    zero = _like(b, 0)
    signs = lax.ne(lax.lt(remainder, zero), lax.lt(b, zero))
    return signs & lax.ne(remainder, zero) & lax.ne(b, zero)


def _floor_div(a: Any, b: Any) -> Any:
    remainder = lax.rem(a, b)
    down = _opposed(remainder, b)
    if _is_int(a):
        return lax.div(a, b) - down.astype(a.dtype)
    quotient = (a - remainder) / b - down.astype(a.dtype)
    floored = lax.floor(quotient)
    exact = floored + lax.gt(quotient - floored, _like(a, 0.5)).astype(a.dtype)
    return lax.select(lax.eq(b, _like(b, 0)), a / b, exact)


def _mod(a: Any, b: Any) -> Any:
    remainder = lax.rem(a, b)
    return lax.select(_opposed(remainder, b), remainder + b, remainder)


def _pow(a: Any, b: Any) -> Any:
    """Powers of integers by squaring, wrapping; of a negative exponent, the truncated inverse."""
    if not _is_int(a):
        return lax.pow(a, b)
    one, zero = _like(a, 1), _like(a, 0)

    def going(state: tuple[Any, Any, Any]) -> Any:
        return jnp.any(lax.ne(state[1], zero))

    def square(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        base, exponent, result = state
        odd = lax.ne(exponent & one, zero)
        result = lax.select(odd, result * base, result)
        return base * base, lax.shift_right_logical(exponent, one), result

    power = lax.while_loop(going, square, (a, lax.abs(b) if _signed(b) else b, one))[2]
    return lax.select(lax.lt(b, zero), lax.div(one, power), power) if _signed(b) else power


def _signed(a: Any) -> bool:
    return jnp.issubdtype(a.dtype, jnp.signedinteger)


def _cast(a: Any, dtype: np.dtype[Any]) -> Any:
    return lax.convert_element_type(a, dtype)


_FUNCTIONS: dict[Op, Callable[..., Any]] = {
    ops.exp: lax.exp,
    ops.expm1: lax.expm1,
    ops.log: lax.log,
    ops.log1p: lax.log1p,
    ops.sqrt: lax.sqrt,
    ops.rsqrt: lax.rsqrt,
    ops.sin: lax.sin,
    ops.cos: lax.cos,
    ops.tan: lax.tan,
    ops.asin: lax.asin,
    ops.acos: lax.acos,
    ops.atan: lax.atan,
    ops.sinh: lax.sinh,
    ops.cosh: lax.cosh,
    ops.tanh: lax.tanh,
    ops.asinh: lax.asinh,
    ops.acosh: lax.acosh,
    ops.atanh: lax.atanh,
    ops.logistic: lax.logistic,
    ops.erf: lax.erf,
    ops.erfc: lax.erfc,
    ops.erf_inv: lax.erf_inv,
    ops.lgamma: lax.lgamma,
    ops.digamma: lambda a: jnp.where(a == 0, -jnp.copysign(jnp.inf, a), lax.digamma(a)),
    ops.floor: lax.floor,
    ops.ceil: lax.ceil,
    ops.round: partial(lax.round, rounding_method=lax.RoundingMethod.TO_NEAREST_EVEN),
    ops.trunc: jnp.trunc,
    ops.sign: lax.sign,
    ops.neg: lax.neg,
    ops.abs: lambda a: a if jnp.issubdtype(a.dtype, jnp.unsignedinteger) else lax.abs(a),
    ops.is_finite: lax.is_finite,
    ops.is_nan: _is_nan,
    ops.not_: lax.bitwise_not,
    ops.add: lax.add,
    ops.sub: lax.sub,
    ops.mul: lax.mul,
    ops.div: lax.div,
    ops.floor_div: _floor_div,
    ops.rem: lax.rem,
    ops.mod: _mod,
    ops.pow: _pow,
    ops.maximum: lax.max,
    ops.minimum: lax.min,
    ops.atan2: lax.atan2,
    ops.and_: lax.bitwise_and,
    ops.or_: lax.bitwise_or,
    ops.xor: lax.bitwise_xor,
    ops.shift_left: lax.shift_left,
    ops.shift_right: lambda a, b: (
        lax.shift_right_arithmetic(a, b) if _signed(a) else lax.shift_right_logical(a, b)
    ),
    ops.shift_right_logical: lax.shift_right_logical,
    ops.eq: lax.eq,
    ops.ne: lax.ne,
    ops.lt: lax.lt,
    ops.le: lax.le,
    ops.gt: lax.gt,
    ops.ge: lax.ge,
    ops.select: lax.select,
    ops.stop_gradient: lax.stop_gradient,
}
TABLE: dict[Op, Lowering] = {
    **{op: elementwise(function) for op, function in _FUNCTIONS.items()},
    ops.cast: typed(_cast),
    ops.saturate: typed(_cast),
    ops.bitcast: typed(lax.bitcast_convert_type),
}
