"""Arithmetic on integer intervals: what bounds on sizes say of their sums, quotients, remainders.

An interval is a pair of inclusive ends; None is an end that is not known.
"""

from __future__ import annotations

from typing import TypeAlias

Bounds: TypeAlias = tuple[int | None, int | None]


def negative(interval: Bounds) -> Bounds:
    """-a."""
    low, high = interval
    return None if high is None else -high, None if low is None else -low


def product(a: Bounds, b: Bounds) -> Bounds:
    """a b; unknown ends stay unknown."""
    if a == (0, 0) or b == (0, 0):
        return 0, 0
    (a_low, a_high), (b_low, b_high) = a, b
    if a_high is not None and a_high <= 0:
        return negative(product(negative(a), b))
    if b_high is not None and b_high <= 0:
        return negative(product(a, negative(b)))
    if a_low is None or b_low is None:
        return None, None
    if a_high is None or b_high is None:
        return (a_low * b_low, None) if a_low >= 0 and b_low >= 0 else (None, None)
    corners = (a_low * b_low, a_low * b_high, a_high * b_low, a_high * b_high)
    return min(corners), max(corners)


def floordiv(a: Bounds, b: Bounds) -> Bounds:
    """a // b, where b is not negative; nothing is known otherwise."""
    (low, high), (least, most) = a, b
    if least is None or least < 0:
        return None, None
    least = max(least, 1)  # a divisor of 0 has no quotient to bound
    if most is not None:
        most = max(most, 1)
    if low is not None:
        low = low // least if low < 0 else low // most if most else 0
    if high is not None:
        high = high // least if high >= 0 else high // most if most else -1
    return low, high


def mod(a: Bounds, b: Bounds) -> Bounds:
    """a % b, where b is not negative; nothing is known otherwise."""
    (low, high), (least, most) = a, b
    if least is None or least < 0:
        return None, None
    limits = [] if most is None else [max(most, 1) - 1]
    if low is not None and low >= 0 and high is not None:
        limits.append(high)
    return 0, min(limits, default=None)


def least(*intervals: Bounds) -> Bounds:
    """The minimum of all."""
    lows = [low for low, _ in intervals if low is not None]
    highs = [high for _, high in intervals if high is not None]
    return min(lows) if len(lows) == len(intervals) else None, min(highs, default=None)


def greatest(*intervals: Bounds) -> Bounds:
    """The maximum of all."""
    return negative(least(*map(negative, intervals)))
