"""Arrays that are means over some of their axes, and how many numbers each mean is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen

from graftwork.ir.errors import AxisError
from graftwork.viz.names import visible
from graftwork.viz.sources import Source, require_axes

Array = np.ndarray[Any, Any]


@frozen(eq=False)
class Counts:
    """How many numbers means are of.

    Attributes:
        words: the axes that they are over.
        each: of each mean, the numbers that are no NaN.
        most: how many there are with NaN.
    """

    words: str
    each: Array
    most: int

    def facts(self) -> dict[str, Any]:
        """What the page reads, `assets/array.js`."""
        ends = {"low": int(self.each.min()), "high": int(self.each.max())}
        return {"axes": self.words, "of": self.most, **ends}


def averaged(source: Source, over: Sequence[str]) -> tuple[Source, Counts]:
    """The means over some axes, NaN where all numbers are; and of how many numbers each is.

    Raises:
        AxisError: for an axis that the array lacks, or if none is left.
    """
    require_axes(over, source.axes)
    left = tuple(axis for axis in source.axes if axis not in over)
    if not left:
        raise AxisError(f"mean={list(over)} leaves no axis of {list(source.axes)}")
    along = tuple(source.axes.index(axis) for axis in dict.fromkeys(over))
    there = ~np.isnan(source.array)
    each = there.sum(along).astype(np.int32)
    total = np.where(there, source.array, 0).sum(along, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        array = total / np.where(each, each, np.nan)
    labels = {axis: words for axis, words in source.labels.items() if axis in left}
    most = int(np.prod([source.array.shape[i] for i in along]))
    words = ", ".join(map(visible, dict.fromkeys(over)))
    return evolve(source, array=array, dtype="float64", axes=left, labels=labels), Counts(
        words, each, most
    )
