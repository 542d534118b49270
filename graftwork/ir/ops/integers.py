"""Arithmetic of the reference where numpy leaves integers undefined: zero divisors and shifts."""

from __future__ import annotations

from typing import Any

import numpy as np

from graftwork.ir.ops.families import Array


def _nonzero(b: Array) -> Array:
    """Divisors, with ones in the place of zeros."""
    return np.where(b == 0, np.ones_like(b), b)


def divide(a: Array, b: Array) -> Array:
    """True division of floats; of integers the quotient towards zero, and -1 for a zero divisor."""
    if a.dtype.kind not in "iu":
        return np.divide(a, b)
    safe = _nonzero(b)
    quotient = np.floor_divide(a, safe)
    inexact = (quotient * safe != a) & ((a < 0) != (safe < 0))
    return np.where(b == 0, np.array(-1).astype(a.dtype), quotient + inexact.astype(a.dtype))


def remainder(a: Array, b: Array) -> Array:
    """Remainder with the sign of the dividend; of integers by zero, the dividend."""
    if a.dtype.kind not in "iu":
        return np.fmod(a, b)
    return np.where(b == 0, a, np.fmod(a, _nonzero(b)))


def floor_divide(a: Array, b: Array) -> Array:
    """The quotient rounded down; of integers by zero, -1."""
    if a.dtype.kind not in "iu":
        return np.floor_divide(a, b)
    return np.where(b == 0, np.array(-1).astype(a.dtype), np.floor_divide(a, _nonzero(b)))


def modulo(a: Array, b: Array) -> Array:
    """Remainder with the sign of the divisor; of integers by zero, the dividend."""
    if a.dtype.kind not in "iu":
        return np.mod(a, b)
    return np.where(b == 0, a, np.mod(a, _nonzero(b)))


def power(a: Array, b: Array) -> Array:
    """Integer powers wrap; a negative integer exponent gives the truncated quotient."""
    if a.dtype.kind not in "iu":
        return np.power(a, b)
    whole = np.power(a, np.maximum(b, np.zeros_like(b)))
    return np.where(b < 0, divide(np.ones_like(a), np.power(a, np.abs(b))), whole)


def shift(function: Any, overflow: Any) -> Any:
    """Shifts by as many bits as the type has or more are defined, as XLA does."""

    def shift(a: Array, b: Array) -> Array:
        bits = a.dtype.itemsize * 8
        inside = (b >= 0) & (b < bits)
        shifted: Array = function(a, np.where(inside, b, 0).astype(b.dtype))
        return np.where(inside, shifted, overflow(a))

    return shift


def shift_right_logical(a: Array, b: Array) -> Array:
    """Bits shifted right, zeros coming in."""
    unsigned = np.dtype(f"u{a.dtype.itemsize}")
    shifted: Array = np.right_shift(a.view(unsigned), b.view(unsigned))
    return shifted.view(a.dtype)


def sign_bits(a: Array) -> Array:
    """What is left when all bits are shifted out, keeping the sign."""
    return np.where(a < 0, np.array(-1).astype(a.dtype), np.zeros_like(a))
