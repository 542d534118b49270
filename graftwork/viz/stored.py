"""How the numbers of arrays are kept in a page: whole, in one byte each, or pooled to fit.

Few numbers are kept as they are. Many are kept as 252 equal steps over the range of the colours,
and those beyond it as they are; which error that makes is said on the page. What would be too much
for the file is pooled first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen

from graftwork.viz.pack import Column
from graftwork.viz.pooled import Pool, blocks_for, pooled

Array = np.ndarray[Any, Any]
EXACT = 1 << 16
STEPS = 251
_NAN, _FALLING, _RISING, _FIRST = 1, 2, 3, 4
_BYTES_PER_CODE, _BYTES_PER_WORD = 1.5, 6.0


@frozen(eq=False)
class Kept:
    """What a page keeps of an array.

    Attributes:
        array: truth values, 64-bit integers or 32-bit floats.
        blocks: how many positions of each axis became one.
        exact: whether its numbers are stored as they are.
    """

    array: Array
    blocks: tuple[int, ...]
    exact: bool


def kept(array: Array, pool: Pool, most_bytes: float) -> Kept:
    """The array, pooled if it would take more than so many bytes of base64."""
    words = _is_whole(array) or array.size <= EXACT
    most = most_bytes / (_BYTES_PER_WORD if words else _BYTES_PER_CODE)
    blocks = blocks_for(array.shape, most)
    small = pooled(array, blocks, pool)
    whole = _is_whole(small)
    return Kept(small if whole else small.astype(np.float32), blocks, words)


def _is_whole(array: Array) -> bool:
    """Whether its elements are integers that the page's columns of integers can hold."""
    if array.dtype.kind not in "bi":
        return False
    bounds = np.iinfo(np.int32)
    return bool(array.min() >= bounds.min and array.max() <= bounds.max)


def columns_of(array: Kept, low: float, high: float) -> dict[str, Column]:
    """The numbers for `pack.packed`; `assets/stored.js` reads them.

    Those that are not exact are bytes: one of 252 steps from `low` to `high`, or what it is that
    is not among them. Finite numbers beyond the range stand apart, with where they belong.
    """
    flat = array.array.reshape(-1)
    if flat.dtype != np.float32:
        return {"numbers": [int(number) for number in flat]}
    if array.exact:
        return {"numbers": flat}
    codes = np.zeros(flat.size, np.uint8)
    inside = (flat >= low) & (flat <= high)
    steps = np.rint((flat[inside].astype(np.float64) - low) / step(low, high))
    codes[inside] = np.clip(steps, 0, STEPS) + _FIRST
    for code, found in (
        (_NAN, np.isnan(flat)),
        (_FALLING, flat == -np.inf),
        (_RISING, flat == np.inf),
    ):
        codes[found] = code
    (apart,) = np.nonzero(codes == 0)
    return {"codes": codes, "apart": [int(at) for at in apart], "numbers": flat[apart]}


def step(low: float, high: float) -> float:
    """The distance of two neighbouring codes."""
    return (high - low) / STEPS or 1.0
