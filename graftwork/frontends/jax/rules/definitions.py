"""Primitives that are functions of simpler ones.

Each is written in JAX, traced at the types of an equation and translated in its place. JAX itself
defines many of its primitives so, for devices that have no kernel; those need no line here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from graftwork.frontends.jax import _jax
from graftwork.ir.errors import UnsupportedOpError

# --- bits ---------------------------------------------------------------------------------------


def _width(dtype: Any) -> int:
    return int(np.dtype(dtype).itemsize) * 8


def _word(bits: int) -> Any:
    return jnp.dtype(f"uint{bits}")


def _as_word(x: Any) -> Any:
    return lax.bitcast_convert_type(x, _word(_width(x.dtype)))


def _population_count(x: Any) -> Any:
    bits = _width(x.dtype)
    places = lax.iota(_word(bits), bits)
    return ((_as_word(x)[..., None] >> places) & 1).sum(-1, dtype=x.dtype)


def _count_leading_zeros(x: Any) -> Any:
    """The zeros that are left when every bit below the highest is set."""
    bits, word = _width(x.dtype), _as_word(x)
    for step in (1, 2, 4, 8, 16, 32):
        if step < bits:
            word = word | (word >> step)
    return _population_count(~word).astype(x.dtype)


def _high_product(x: Any, y: Any) -> Any:
    """The upper half of a product, of numbers that have a dtype of twice their width."""
    kind, bits = ("u" if x.dtype.kind == "u" else "") + "int", _width(x.dtype)
    if bits == 64:
        raise UnsupportedOpError("mulhi of 64-bit integers; their products have 128 bits")
    wide = jnp.dtype(f"{kind}{2 * bits}")
    return ((x.astype(wide) * y.astype(wide)) >> bits).astype(x.dtype)


def _next_after(x: Any, y: Any) -> Any:
    """One step of the bits, which lie in the order of the numbers on either side of zero."""
    integer = jnp.dtype(f"int{_width(x.dtype)}")
    bits = lax.bitcast_convert_type(x, integer)
    away = bits + jnp.where((x < y) == (x > 0), 1, -1).astype(integer)
    least = lax.bitcast_convert_type(jnp.ones_like(bits), x.dtype)
    moved = lax.bitcast_convert_type(away, x.dtype)
    moved = jnp.where(x == 0, jnp.where(y > 0, least, -least), moved)
    known = jnp.where(x == y, y, moved)
    return jnp.where(jnp.isnan(x) | jnp.isnan(y), jnp.nan, known)


def _bitcast(x: Any, *, new_dtype: Any) -> Any:
    """Words taken apart along a new last dimension, or put together along the last."""
    old, new = _width(x.dtype), _width(new_dtype)
    word, count = _as_word(x), max(old, new) // min(old, new)
    shifts = lax.iota(_word(max(old, new)), count) * min(old, new)
    if new < old:
        parts = (word[..., None] >> shifts).astype(_word(new))
    else:
        parts = (word.astype(_word(new)) << shifts).sum(-1, dtype=_word(new))
    return lax.bitcast_convert_type(parts, new_dtype)


def _reduce_precision(x: Any, *, exponent_bits: int, mantissa_bits: int) -> Any:
    """The mantissa rounded half to even; what the exponent cannot say is infinite or zero."""
    info: Any = jnp.finfo(x.dtype)  # type: ignore[no-untyped-call]
    dropped = max(info.nmant - mantissa_bits, 0)
    bits = _as_word(x)
    sign = bits & bits.dtype.type(1 << (info.bits - 1))
    if dropped:
        odd = (bits >> dropped) & 1
        bits = (bits + odd + bits.dtype.type((1 << (dropped - 1)) - 1)) >> dropped << dropped
    rounded = lax.bitcast_convert_type(bits, x.dtype)
    most = 2 ** (min(exponent_bits, info.nexp) - 1)
    size = jnp.abs(rounded)
    zero = lax.bitcast_convert_type(sign, x.dtype)
    infinite = lax.bitcast_convert_type(sign | _as_word(jnp.full((), jnp.inf, x.dtype)), x.dtype)
    if exponent_bits < info.nexp:
        rounded = jnp.where(size < 2.0 ** (2 - most), zero, rounded)
        rounded = jnp.where(size >= 2.0**most, infinite, rounded)
    return jnp.where(jnp.isfinite(x), rounded, x)


# --- reductions ---------------------------------------------------------------------------------


def _lines(x: Any, places: Sequence[int]) -> Any:
    """The given dimensions as one, the first."""
    rest = [place for place in range(x.ndim) if place not in places]
    moved = x.transpose(*places, *rest)
    return moved.reshape(math.prod(moved.shape[: len(places)]), *moved.shape[len(places) :])


def _folded(combine: Callable[..., Any], xs: Sequence[Any], starts: Sequence[Any],
            places: Sequence[int]) -> Sequence[Any]:  # fmt: skip
    """Dimensions combined one position after another: `combine(*held, *row)`."""
    lines = [_lines(x, places) for x in xs]
    first = [jnp.broadcast_to(start, lines[0].shape[1:]) for start in starts]
    for _ in first[0].shape:
        combine = jax.vmap(combine)
    found, _ = lax.scan(lambda held, row: (combine(*held, *row), None), first, lines)
    return list(found)


def _reduce(*operands: Any, jaxpr: Any, consts: Any = (), dimensions: Sequence[int],
            **_: Any) -> Sequence[Any]:  # fmt: skip
    count = len(operands) // 2
    combine = _jax.function(jaxpr, consts)
    return _folded(combine, operands[:count], operands[count:], dimensions)


def _bitwise(combine: Callable[[Any, Any], Any], start: int) -> Callable[..., Any]:
    def reduce(x: Any, *, axes: Sequence[int], **_: Any) -> Any:
        (found,) = _folded(lambda a, b: [combine(a, b)], [x], [jnp.array(start, x.dtype)], axes)
        return found

    return reduce


def _windows(x: Any, fill: Any, p: Any) -> Any:
    """Windows along dimensions that follow those of the array."""
    edges = zip(p["padding"], p["base_dilation"], strict=True)
    x = lax.pad(x, fill, [(low, high, spread - 1) for (low, high), spread in edges])
    for place, size in enumerate(p["window_dimensions"]):
        reach = (size - 1) * p["window_dilation"][place] + 1
        count = (x.shape[place] - reach) // p["window_strides"][place] + 1
        starts = jnp.arange(count)[:, None] * p["window_strides"][place]
        steps = jnp.arange(size)[None] * p["window_dilation"][place]
        x = jnp.moveaxis(jnp.take(x, starts + steps, axis=place, mode="clip"), place + 1, -1)
    return x


def _reduce_window(*operands: Any, jaxpr: Any, consts: Any, **p: Any) -> Sequence[Any]:
    """What padding adds to a window is not counted, whatever it is."""
    count, rank = len(operands) // 2, operands[0].ndim
    xs, starts = operands[:count], operands[count:]
    views = [_windows(x, start, p) for x, start in zip(xs, starts, strict=True)]
    inside = _windows(jnp.ones(xs[0].shape, bool), False, p)

    def combine(*parts: Any) -> Sequence[Any]:
        found = _jax.function(jaxpr, consts)(*parts[:-1])
        return [jnp.where(parts[-1], new, old) for new, old in zip(found, parts, strict=False)]

    return _folded(combine, [*views, inside], starts, range(rank, 2 * rank))


def _approx_top_k(x: Any, *, k: int, reduction_dimension: int, is_max_k: bool, **_: Any) -> Any:
    values, places = lax.top_k(x if is_max_k else -x, k, axis=reduction_dimension)
    return (values if is_max_k else -values), places


def _scatter_sub(x: Any, indices: Any, updates: Any, *, dimension_numbers: Any, mode: Any,
                 **_: Any) -> Any:  # fmt: skip
    return lax.scatter_add(x, indices, -updates, dimension_numbers, mode=mode)


# --- linear algebra -----------------------------------------------------------------------------


def _cholesky(a: Any, **_: Any) -> Any:
    """Column after column (Golub and Van Loan, 4.2); not a number where a is not positive."""
    rows = jnp.arange(a.shape[-1])

    def column(j: Any, lower: Any) -> Any:
        mine = lax.dynamic_index_in_dim(lower, j, -2, keepdims=False)
        rest = lax.dynamic_index_in_dim(a, j, -1, keepdims=False) - jnp.einsum(
            "...ij,...j->...i", lower, mine
        )
        corner = jnp.sqrt(lax.dynamic_index_in_dim(rest, j, -1))
        new = jnp.where(rows >= j, rest / corner, 0)
        return lax.dynamic_update_index_in_dim(lower, new, j, a.ndim - 1)

    found = lax.fori_loop(0, a.shape[-1], column, jnp.zeros_like(a))
    return jnp.where(jnp.isnan(found).any((-2, -1), keepdims=True), jnp.nan, found)


def _triangular_solve(a: Any, b: Any, *, left_side: bool, lower: bool, transpose_a: bool,
                      unit_diagonal: bool, **_: Any) -> Any:  # fmt: skip
    """Substitution, row after row, of a system that is turned to be lower and on the left."""
    if not left_side:
        flipped = {"lower": lower, "transpose_a": not transpose_a}
        return _triangular_solve(
            a, b.mT, left_side=True, unit_diagonal=unit_diagonal, **flipped
        ).mT  # fmt: skip
    a, lower = (a.mT, not lower) if transpose_a else (a, lower)
    count = a.shape[-1]

    def row(i: Any, x: Any) -> Any:
        i = i if lower else count - 1 - i
        mine = lax.dynamic_index_in_dim(a, i, -2, keepdims=False)
        known = jnp.arange(count) < i if lower else jnp.arange(count) > i
        rest = lax.dynamic_index_in_dim(b, i, -2, keepdims=False) - jnp.einsum(
            "...j,...jk->...k", jnp.where(known, mine, 0), x
        )
        corner = lax.dynamic_index_in_dim(mine, i, -1)
        return lax.dynamic_update_index_in_dim(
            x, rest if unit_diagonal else rest / corner, i, b.ndim - 2
        )

    return lax.fori_loop(0, count, row, jnp.zeros_like(b))


DEFINITIONS: dict[str, Callable[..., Any]] = {
    "population_count": _population_count,
    "clz": _count_leading_zeros,
    "mulhi": _high_product,
    "nextafter": _next_after,
    "bitcast_convert_type": _bitcast,
    "reduce_precision": _reduce_precision,
    "reduce": _reduce,
    "reduce_or": _bitwise(lax.bitwise_or, 0),
    "reduce_and": _bitwise(lax.bitwise_and, -1),
    "reduce_xor": _bitwise(lax.bitwise_xor, 0),
    "reduce_window": _reduce_window,
    "approx_top_k": _approx_top_k,
    "scatter-sub": _scatter_sub,
    "cholesky": _cholesky,
    "triangular_solve": _triangular_solve,
}
