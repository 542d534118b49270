"""Large arrays made smaller: blocks of neighbours become one number.

`max-abs` keeps the number of a block that is furthest from zero, with its sign, so that nothing
large is lost from sight; `mean` keeps the average. A block that holds a NaN is NaN in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

Array = np.ndarray[Any, Any]
Pool: TypeAlias = Literal["max-abs", "mean"]


def blocks_for(shape: Sequence[int], most: float) -> tuple[int, ...]:
    """The sizes of blocks that leave at most so many numbers, or one.

    The longest axis is halved until they fit, so short ones stay whole.
    """
    blocks = [1] * len(shape)
    while _left(shape, blocks) > max(1.0, most):
        longest = max(range(len(shape)), key=lambda i: -(-shape[i] // blocks[i]))
        blocks[longest] *= 2
    return tuple(blocks)


def _left(shape: Sequence[int], blocks: Sequence[int]) -> int:
    count = 1
    for extent, block in zip(shape, blocks, strict=True):
        count *= -(-extent // block)
    return count


def pooled(array: Array, blocks: Sequence[int], pool: Pool) -> Array:
    """One number for each block; those at the ends of axes may be smaller."""
    for axis, block in enumerate(blocks):
        if block > 1:
            starts = np.arange(0, array.shape[axis], block)
            array = _mean(array, starts, axis) if pool == "mean" else _furthest(array, starts, axis)
    return array


def _furthest(array: Array, starts: Array, axis: int) -> Array:
    high = np.maximum.reduceat(array, starts, axis=axis)
    if array.dtype == bool:
        return high
    low = np.minimum.reduceat(array, starts, axis=axis)
    return np.where(low < -high, low, high)


def _mean(array: Array, starts: Array, axis: int) -> Array:
    """Averages of averages weigh as their numbers do: every axis is cut at the same places."""
    with np.errstate(invalid="ignore", over="ignore"):
        sums = np.add.reduceat(array, starts, axis=axis, dtype=np.float32)
    counts = np.diff([*starts, array.shape[axis]]).astype(np.float32)
    return sums / counts.reshape([-1 if i == axis else 1 for i in range(array.ndim)])
