"""Arithmetic on u64 held as the bits of int64: what differs from signed integers."""

from __future__ import annotations

import torch

Tensor = torch.Tensor

_LEAST = -(2**63)


def ordered(a: Tensor) -> Tensor:
    """Signed integers that compare as the unsigned ones do; its own inverse."""
    return torch.bitwise_xor(a, torch.full_like(a, _LEAST))


def sign(a: Tensor) -> Tensor:
    """0 or 1."""
    return (a != 0).to(a.dtype)


def less(a: Tensor, b: Tensor) -> Tensor:
    """a < b."""
    return ordered(a) < ordered(b)


def less_equal(a: Tensor, b: Tensor) -> Tensor:
    """a <= b."""
    return ordered(a) <= ordered(b)


def greater(a: Tensor, b: Tensor) -> Tensor:
    """a > b."""
    return ordered(a) > ordered(b)


def greater_equal(a: Tensor, b: Tensor) -> Tensor:
    """a >= b."""
    return ordered(a) >= ordered(b)


def maximum(a: Tensor, b: Tensor) -> Tensor:
    """The greater."""
    return torch.where(less(a, b), b, a)


def minimum(a: Tensor, b: Tensor) -> Tensor:
    """The lesser."""
    return torch.where(less(a, b), a, b)


def divide(a: Tensor, b: Tensor) -> Tensor:
    """The quotient of unsigned integers; all ones for a zero divisor."""
    half = torch.bitwise_right_shift(a, torch.ones_like(a)) & (2**63 - 1)
    safe = torch.where(b > 0, b, torch.ones_like(b))
    close = torch.bitwise_left_shift(torch.div(half, safe, rounding_mode="trunc"), 1)
    quotient = close + (ordered(a - close * b) >= ordered(b)).to(a.dtype)
    large = (ordered(a) >= ordered(b)).to(a.dtype)
    found = torch.where(b < 0, large, quotient)
    return torch.where(b == 0, torch.full_like(found, -1), found)


def remainder(a: Tensor, b: Tensor) -> Tensor:
    """The remainder of unsigned integers; a itself for a zero divisor."""
    return torch.where(b == 0, a, a - divide(a, b) * b)


def from_float(a: Tensor) -> Tensor:
    """Floats rounded towards zero."""
    large = a >= 2.0**63
    low = torch.where(large, a - 2.0**63, a).to(torch.int64)
    return torch.where(large, ordered(low), low)


def to_float(a: Tensor, dtype: torch.dtype) -> Tensor:
    """The nearest floats: large ones are halved first, keeping whether a bit was lost."""
    half = torch.bitwise_right_shift(a, 1) & (2**63 - 1) | a & 1
    return torch.where(a < 0, half.to(dtype) * 2, a.to(dtype))
