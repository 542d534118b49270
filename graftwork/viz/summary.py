"""What an array is like as a whole: its range, its moments, what is not a number, what stands out.

Everything is of all the elements, in double precision, whatever of them a picture shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from attrs import frozen

Array = np.ndarray[Any, Any]
BINS = 48
MOST_OUTLIERS = 8
DEVIATIONS = 6.0
_AT_ONCE = 1 << 20


@frozen(eq=False)
class Summary:
    """Statistics of an array; those of its finite elements are NaN where it has none.

    Attributes:
        count: the number of elements.
        mean, std, low, high: of the finite ones; the deviation is that of a population.
        zeros, nans, rising, falling: how many are 0, NaN, ∞ and −∞.
        counts: how many of the finite ones are in each of equal steps from `low` to `high`.
        far: how many are more than six deviations from the mean.
        outliers: flat position and number of the furthest of those, furthest first.
    """

    count: int
    mean: float
    std: float
    low: float
    high: float
    zeros: int
    nans: int
    rising: int
    falling: int
    counts: tuple[int, ...]
    far: int
    outliers: tuple[tuple[int, float], ...]

    def facts(self) -> dict[str, Any]:
        """What the page reads, `assets/summary.js`; what is not a number is null."""
        moments = {name: getattr(self, name) for name in ("mean", "std", "low", "high")}
        plain = {name: value if np.isfinite(value) else None for name, value in moments.items()}
        names = ("count", "zeros", "nans", "rising", "falling", "counts", "far", "outliers")
        return {**plain, **{name: getattr(self, name) for name in names}}


def summary(array: Array) -> Summary:
    """The statistics of an array of numbers or truth values."""
    count = zeros = nans = rising = falling = 0
    total, low, high = 0.0, np.inf, -np.inf
    for _, part in _parts(array):
        finite = part[np.isfinite(part)]
        count, zeros = count + finite.size, zeros + int(np.count_nonzero(finite == 0))
        nans += int(np.count_nonzero(np.isnan(part)))
        rising += int(np.count_nonzero(part == np.inf))
        falling += int(np.count_nonzero(part == -np.inf))
        if finite.size:
            total += float(finite.sum())
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if not count:
        none = float("nan")
        return Summary(array.size, none, none, none, none, zeros, nans, rising, falling, (), 0, ())
    mean = total / count
    std, counts = _spread(array, mean, (low, high))
    far, outliers = _outliers(array, mean, std)
    return Summary(
        array.size, mean, std, low, high, zeros, nans, rising, falling, counts, far, outliers
    )


def _parts(array: Array) -> Iterator[tuple[int, Array]]:
    """The elements in their order, as doubles, with where each part begins."""
    flat = array.reshape(-1)
    for start in range(0, flat.size, _AT_ONCE):
        yield start, flat[start : start + _AT_ONCE].astype(np.float64)


def _spread(array: Array, mean: float, ends: tuple[float, float]) -> tuple[float, tuple[int, ...]]:
    squares, count = 0.0, 0
    whole = array.dtype.kind in "biu" and ends[1] - ends[0] < BINS
    bins = int(ends[1] - ends[0]) + 1 if whole else BINS
    edges = (ends[0] - 0.5, ends[1] + 0.5) if whole else ends
    counts = np.zeros(bins, np.int64)
    for _, part in _parts(array):
        finite = part[np.isfinite(part)]
        squares += float(np.square(finite - mean).sum())
        count += finite.size
        counts += _histogram(finite, bins, edges)
    return float(np.sqrt(squares / count)), tuple(map(int, counts))


def _histogram(numbers: Array, bins: int, ends: tuple[float, float]) -> Array:
    width = (ends[1] - ends[0]) / bins
    if not 0 < width < np.inf:
        return np.bincount([0] * numbers.size, minlength=bins)
    at = np.clip((numbers - ends[0]) / width, 0, bins - 1).astype(np.int64)
    return np.bincount(at, minlength=bins)


def _outliers(array: Array, mean: float, std: float) -> tuple[int, tuple[tuple[int, float], ...]]:
    far = 0
    found: list[tuple[int, float]] = []
    for start, part in _parts(array):
        away = np.where(np.isfinite(part), np.abs(part - mean), 0.0)
        (at,) = np.nonzero(away > DEVIATIONS * std) if std else (np.empty(0, np.int64),)
        far += at.size
        best = at[np.argsort(-away[at], kind="stable")[:MOST_OUTLIERS]]
        found += [(start + int(i), float(part[i])) for i in best]
    found.sort(key=lambda outlier: -abs(outlier[1] - mean))
    return far, tuple(found[:MOST_OUTLIERS])
