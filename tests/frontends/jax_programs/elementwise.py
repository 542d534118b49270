"""Primitives that act on every element alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from tests.frontends.jax_programs.program import Table, normal, whole

X, Y = normal(3, 4), normal(3, 4, seed=1)
POSITIVE = np.abs(normal(3, 4, seed=2)) + 0.1
UNIT = np.tanh(normal(3, 4, seed=3)) * np.float32(0.9)
HALVES = np.array([-2.5, -1.5, -0.7, -0.5, 0.5, 1.5, 2.5, 3.2], np.float32)
EDGES = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 2.5, 1e30], np.float32)
INTS, MORE = whole(3, 4), whole(3, 4) * 3 - 1
BYTES = whole(3, 4, low=0, high=255, dtype=np.uint8)
WORDS = np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 12345], np.uint32)
SIGNED = np.array([0, 1, -1, 2**31 - 1, -(2**31), 77], np.int32)
LONG = np.array([2**62, -(2**62), 2**31, -1, 5], np.int64)
BOOLS, OTHER = X > 0, Y > 0
PAIRS = np.meshgrid(EDGES, EDGES)
BF16 = X.astype(ml_dtypes.bfloat16)

_ANY = {
    "exp": X, "expm1": X, "sin": X, "cos": X, "tan": X, "atan": X, "sinh": X, "cosh": X,
    "tanh": X, "asinh": X, "logistic": X, "erf": X, "erfc": X, "cbrt": X, "exp2": X, "square": X,
    "log": POSITIVE, "log1p": POSITIVE, "sqrt": POSITIVE, "rsqrt": POSITIVE, "asin": UNIT,
    "acos": UNIT, "atanh": UNIT, "erf_inv": UNIT, "acosh": POSITIVE + 1, "lgamma": POSITIVE,
    "digamma": POSITIVE, "bessel_i0e": X, "bessel_i1e": X,
}  # fmt: skip
_EVEN_AT_EDGES = ("erf_inv", "lgamma", "digamma", "bessel_i0e", "bessel_i1e")


def _unary(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(lax, name)
    return lambda x: function(x)


def _floats(name: str, x: Any) -> dict[str, tuple[Any, ...]]:
    uses = {
        "float32": (_unary(name), x),
        "float64": (_unary(name), x.astype(np.float64)),
        "bfloat16": (_unary(name), x.astype(ml_dtypes.bfloat16)),
        "float16": (_unary(name), x.astype(np.float16)),
    }
    if name not in _EVEN_AT_EDGES:
        uses["edges"] = (_unary(name), EDGES)
    return uses


def _binary(function: Callable[..., Any], a: Any = X, b: Any = Y) -> tuple[Any, ...]:
    return (lambda x, y: function(x, y), a, b)


def _arithmetic(function: Callable[..., Any], edges: str = "edges") -> dict[str, tuple[Any, ...]]:
    return {
        "floats": _binary(function),
        edges: _binary(function, *PAIRS),
        "integers": _binary(function, INTS, MORE),
        "integers that wrap": _binary(function, SIGNED, SIGNED[::-1].copy()),
        "unsigned words that wrap": _binary(function, WORDS, WORDS[::-1].copy()),
        "bytes that wrap": _binary(function, BYTES, BYTES[::-1].copy()),
        "brain floats": _binary(function, BF16, BF16 * BF16),
        "literal": (lambda x: function(x, jnp.float32(3)), X),
    }


def _comparison(function: Callable[..., Any]) -> dict[str, tuple[Any, ...]]:
    return {
        "floats": _binary(function, X, Y),
        "edges": _binary(function, *PAIRS),
        "integers": _binary(function, INTS, INTS.T.reshape(3, 4)),
        "unsigned words": _binary(function, WORDS, WORDS[::-1].copy()),
        "bools": _binary(function, BOOLS, OTHER),
        "keys of a size": (lambda x: function(lax.iota(jnp.int32, 4), 2), X),
    }


def _total(primitive: Any) -> dict[str, tuple[Any, ...]]:
    return {"edges": (lambda x, y: primitive.bind(x, y), *PAIRS)}


_TO = ("float32", "float64", "float16", "bfloat16", "int8", "int32", "int64", "uint8", "bool")


def _casts() -> dict[str, tuple[Any, ...]]:
    sources = {
        "floats": HALVES, "doubles": HALVES.astype(np.float64), "integers": INTS, "bytes": BYTES,
        "bools": BOOLS, "brain floats": BF16, "long integers": LONG % 100,
    }  # fmt: skip
    uses: dict[str, tuple[Any, ...]] = {}
    for label, x in sources.items():
        wide = x.dtype.itemsize == 8
        for to in _TO:
            if wide or "64" not in to:
                uses[f"{label} to {to}"] = (lambda x, to=to: lax.convert_element_type(x, to), x)
    uses["integers that wrap"] = (lambda x: x.astype(jnp.int8), SIGNED)
    uses["edges to bool"] = (lambda x: x.astype(bool), EDGES)
    uses["edges to integers"] = (lambda x: x.astype(jnp.int32), EDGES[:4])
    uses["out of range to integers"] = (lambda x: x.astype(jnp.int32), EDGES)
    uses["out of range to bytes"] = (lambda x: x.astype(jnp.uint8), HALVES * 200)
    return uses


ELEMENTWISE: Table = {
    **{name: _floats(name, x) for name, x in _ANY.items()},
    **{
        name: {
            "floats": (_unary(name), HALVES),
            "edges": (_unary(name), EDGES),
            "doubles": (_unary(name), HALVES.astype(np.float64)),
            "brain floats": (_unary(name), BF16),
        }
        for name in ("floor", "ceil", "sign", "neg", "abs", "is_finite")
    },
    **{name: _arithmetic(getattr(lax, name)) for name in ("add", "sub", "mul")},
    # Which of two zeros is greater is left open by IEEE 754.
    **{name: _arithmetic(getattr(lax, name), "infinities and NaN") for name in ("max", "min")},
    "add_any": {
        "of a gradient": (jax.grad(lambda x: (jnp.sin(x) * jnp.cos(x) + x * x).sum()), X),
    },
    "div": {
        **_arithmetic(lax.div),
        "of integers, signs": (lax.div, np.array([7, -7, 7, -7]), np.array([2, 2, -2, -2])),
        "by zero": (lax.div, np.array([5, -5, 0, 8], np.int32), np.array([0, 0, 0, 2], np.int32)),
        "by zero, unsigned": (lax.div, WORDS, WORDS * 0),
        "of the least by minus one": (lax.div, SIGNED, -np.ones(6, np.int32)),
        "floor": (jnp.floor_divide, X, Y),
        "floor of integers": (jnp.floor_divide, INTS, np.where(INTS == 0, 3, INTS[::-1] | 1)),
    },
    "rem": {
        **_arithmetic(lax.rem),
        "of integers, signs": (lax.rem, np.array([7, -7, 7, -7]), np.array([2, 2, -2, -2])),
        "by zero": (lax.rem, np.array([5, -5, 0, 8], np.int32), np.array([0, 0, 0, 3], np.int32)),
        "by zero, unsigned": (lax.rem, WORDS, WORDS * 0),
        "of the least by minus one": (lax.rem, SIGNED, -np.ones(6, np.int32)),
        "mod": (jnp.mod, X, Y),
        "mod, edges": (jnp.mod, *PAIRS),
    },
    "pow": {
        "floats": (lax.pow, POSITIVE, Y),
        "edges": (lax.pow, *PAIRS),
        "doubles": (lax.pow, POSITIVE.astype(np.float64), Y.astype(np.float64)),
        "negative base, whole exponent": (lax.pow, X, np.round(Y * 2)),
        "integer exponent": (lambda x: lax.pow(x, jnp.int32(3)), X),
        "brain floats": (lambda x: lax.pow(jnp.abs(x), x), BF16),
    },
    "integer_pow": {
        **{f"to {y}": (lambda x, y=y: lax.integer_pow(x, y), X) for y in (0, 1, 3, 7, -1, -2, -3)},
        "of integers": (lambda n: lax.integer_pow(n, 3), INTS),
        "of integers that wrap": (lambda n: lax.integer_pow(n, 3), SIGNED),
        "of doubles": (lambda x: lax.integer_pow(x, 5), X.astype(np.float64)),
        "of brain floats": (lambda x: lax.integer_pow(x, 3), BF16),
        "edges": (lambda x: (lax.integer_pow(x, 3), lax.integer_pow(x, -3)), EDGES),
    },
    "atan2": {
        "floats": (lax.atan2, X, Y),
        "edges": (lax.atan2, *PAIRS),
        "doubles": (lax.atan2, X.astype(np.float64), Y.astype(np.float64)),
    },
    "nextafter": {
        "floats": (lax.nextafter, X, Y),
        "edges": (
            lax.nextafter,
            *(
                np.array(p, np.float32)
                for p in ([1, -1, np.inf, 3, np.nan, 5], [2, 1, 0, 3, 1, -np.inf])
            ),
        ),
        "doubles": (lax.nextafter, X.astype(np.float64), Y.astype(np.float64)),
    },
    **{name: _comparison(getattr(lax, name)) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    "eq_to": _total(lax.eq_to_p),
    "le_to": _total(lax.le_to_p),
    "lt_to": _total(lax.lt_to_p),
    **{
        name: {
            "bools": _binary(getattr(lax, f"bitwise_{name}"), BOOLS, OTHER),
            "integers": _binary(getattr(lax, f"bitwise_{name}"), INTS, MORE),
            "bytes": _binary(getattr(lax, f"bitwise_{name}"), BYTES, BYTES[::-1].copy()),
            "words": _binary(getattr(lax, f"bitwise_{name}"), WORDS, WORDS[::-1].copy()),
        }
        for name in ("and", "or", "xor")
    },
    "not": {
        "bools": (lax.bitwise_not, BOOLS),
        "integers": (lax.bitwise_not, INTS),
        "words": (lax.bitwise_not, WORDS),
        "bytes": (lax.bitwise_not, BYTES),
    },
    **{
        name: {
            "integers": _binary(getattr(lax, name), INTS, np.abs(MORE) % 9),
            "words": _binary(getattr(lax, name), WORDS, np.array([0, 1, 3, 31, 7, 5], np.uint32)),
            "signed words": _binary(
                getattr(lax, name), SIGNED, np.array([0, 1, 3, 31, 7, 5], "i4")
            ),
            "bytes": _binary(getattr(lax, name), BYTES, BYTES % 8),
            "too far": _binary(getattr(lax, name), SIGNED, np.full(6, 33, np.int32)),
            "too far, words": _binary(getattr(lax, name), WORDS, np.full(6, 32, np.uint32)),
            "by a negative number": _binary(getattr(lax, name), SIGNED, np.full(6, -1, np.int32)),
            "long": _binary(getattr(lax, name), LONG, np.array([1, 2, 3, 63, 64])),
        }
        for name in ("shift_left", "shift_right_logical", "shift_right_arithmetic")
    },
    "population_count": {
        "words": (lax.population_count, WORDS),
        "signed": (lax.population_count, SIGNED),
        "bytes": (lax.population_count, BYTES),
        "long": (lax.population_count, LONG),
    },
    "clz": {
        "words": (lax.clz, WORDS),
        "signed": (lax.clz, SIGNED),
        "bytes": (lax.clz, BYTES),
        "long": (lax.clz, LONG),
    },
    "mulhi": {
        "words": (lambda a: lax.mulhi(a, a), WORDS),
        "signed": (lambda a: lax.mulhi(a, a[::-1]), SIGNED),
    },
    "clamp": {
        "scalars": (lambda x: lax.clamp(jnp.float32(-0.5), x, jnp.float32(0.5)), X),
        "arrays": (lambda x, y: lax.clamp(y - 0.3, x, y + 0.3), X, Y),
        "edges": (lambda x: lax.clamp(jnp.float32(-2), x, jnp.float32(2)), EDGES),
        "crossed limits": (lambda x: lax.clamp(jnp.float32(1), x, jnp.float32(-1)), X),
        "integers": (lambda n: lax.clamp(-3, n, 4), INTS),
        "words": (lambda n: lax.clamp(jnp.uint32(7), n, jnp.uint32(2**31)), WORDS),
    },
    "select_n": {
        "bools": (lambda x, y: lax.select(x > 0, x, y), X, Y),
        "a scalar": (lambda x, y: lax.select(x[0, 0] > 0, x, y), X, Y),
        "numbers": (lambda n, x, y: lax.select_n(jnp.abs(n) % 3, x, y, x * y), INTS, X, Y),
        "edges": (lambda x, y: jnp.where(x > 1, x, y), *PAIRS),
        "integers": (lambda n: jnp.where(n > 0, n, -n), INTS),
    },
    "round": {
        "to even": (lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), HALVES),
        "away from zero": (lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO), HALVES),
        "edges": (lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), EDGES),
        "edges, away": (lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO), EDGES),
        "nearly a half": (
            lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO),
            np.array([0.49999997, -0.49999997, 8388609.0, -8388609.0], np.float32),
        ),
        "to decimals": (lambda x: jnp.round(x, 2), X),
    },
    "convert_element_type": _casts(),
    "bitcast_convert_type": {
        "float to word": (lambda x: lax.bitcast_convert_type(x, jnp.uint32), X),
        "float to integer": (lambda x: lax.bitcast_convert_type(x, jnp.int32), EDGES),
        "word to float": (lambda n: lax.bitcast_convert_type(n % (1 << 30), jnp.float32), WORDS),
        "double to long": (lambda x: lax.bitcast_convert_type(x, jnp.int64), X.astype(np.float64)),
        "brain float to word": (lambda x: lax.bitcast_convert_type(x, jnp.uint16), BF16),
        "signed to unsigned": (lambda n: lax.bitcast_convert_type(n, jnp.uint32), SIGNED),
        "to narrower": (lambda x: lax.bitcast_convert_type(x, jnp.uint8), X),
        "to narrower words": (lambda n: lax.bitcast_convert_type(n, jnp.uint16), WORDS),
        "to wider": (lambda n: lax.bitcast_convert_type(n, jnp.uint32), BYTES),
        "to wider floats": (
            lambda n: lax.bitcast_convert_type(n, jnp.float32),
            X.view(np.uint16).reshape(3, 4, 2),
        ),
    },
    "reduce_precision": {
        "to brain floats": (lambda x: lax.reduce_precision(x, 8, 7), X),
        "to half": (lambda x: lax.reduce_precision(x, 5, 10), X),
        "to itself": (lambda x: lax.reduce_precision(x, 8, 23), X),
        "to few bits": (lambda x: lax.reduce_precision(x, 8, 3), X),
        "to a small range": (lambda x: lax.reduce_precision(x * 1e3, 4, 3), X),
        "edges": (lambda x: lax.reduce_precision(x, 5, 10), EDGES),
        "edges of few bits": (lambda x: lax.reduce_precision(x, 5, 2), EDGES),
        "of doubles": (lambda x: lax.reduce_precision(x, 8, 23), X.astype(np.float64)),
    },
    "stop_gradient": {"floats": (lax.stop_gradient, X)},
    "copy": {"floats": (lambda x: jnp.array(x, copy=True), X)},
    "optimization_barrier": {"two": (lambda x, y: lax.optimization_barrier((x, y)), X, Y)},
    "name": {"floats": (lambda x: checkpoint_name(x, "kept"), X)},
    "igamma": {"floats": (lax.igamma, POSITIVE, POSITIVE.T.reshape(3, 4) * 2)},
    "igammac": {"floats": (lax.igammac, POSITIVE, POSITIVE.T.reshape(3, 4) * 2)},
    "igamma_grad_a": {"floats": (lax.igamma_grad_a, POSITIVE, POSITIVE.T.reshape(3, 4) * 2)},
    "regularized_incomplete_beta": {"floats": (lax.betainc, POSITIVE, POSITIVE + 1, np.abs(UNIT))},
    "polygamma": {"floats": (lambda x: lax.polygamma(jnp.full_like(x, 1.0), x), POSITIVE)},
    "zeta": {"floats": (lambda x: lax.zeta(x + 1.5, x), POSITIVE)},
}
