"""Arrays of one example, without the axis of examples."""

from __future__ import annotations

from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import InputError

Array = np.ndarray[Any, Any]


def single(array: NamedArray) -> NamedArray:
    """The only example of an array, held by numpy.

    Raises:
        InputError: if there are several.
    """
    named = array.squeeze().numpy()
    if named.sizes.get("batch", 1) != 1:
        count = named.sizes["batch"]
        raise InputError(f"there are {count} examples; choose one with array[{{'batch': 0}}]")
    return named[{"batch": 0}] if "batch" in named.axes else named


def rows_of(logits: NamedArray) -> Array:
    """Logits of one example, over positions and vocabulary.

    Raises:
        InputError: if there are several examples.
    """
    one = single(logits)
    return np.asarray(one.order(*(axis for axis in one.sizes if axis != "vocab"), "vocab"))
