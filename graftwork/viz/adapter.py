"""Named arrays through treescope, which shows them by their axes in notebooks.

It needs the `viz` extra, and is imported only where treescope is used.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import treescope
from treescope import ndarray_adapters
from treescope.external.numpy_support import NumpyArrayAdapter

from graftwork.ir.array import NamedArray


class NamedArrayAdapter(ndarray_adapters.NDArrayAdapter[NamedArray]):  # type: ignore[misc]
    """Named arrays as treescope reads them: axes by name, numbers by numpy."""

    def get_axis_info_for_array_data(self, array: NamedArray) -> tuple[Any, ...]:
        nameless = count()
        return tuple(
            ndarray_adapters.PositionalAxisInfo(next(nameless), extent)
            if axis is None
            else ndarray_adapters.NamedPositionlessAxisInfo(axis, extent)
            for axis, extent in zip(array.axes, array.shape, strict=True)
        )

    def get_array_data_with_truncation(
        self, array: NamedArray, mask: Any, edge_items_per_axis: tuple[int | None, ...]
    ) -> tuple[Any, Any]:
        shown: tuple[Any, Any] = NumpyArrayAdapter().get_array_data_with_truncation(
            np.asarray(array), None if mask is None else np.asarray(mask), edge_items_per_axis
        )
        return shown

    def get_array_summary(self, array: NamedArray, fast: bool) -> str:
        return repr(array).partition("\n")[0]

    def get_numpy_dtype(self, array: NamedArray) -> np.dtype[Any]:
        return np.asarray(array).dtype


def array_html(array: NamedArray) -> str:
    """The picture of an array that treescope makes, for a notebook."""
    return str(treescope.render_array(array.squeeze())._repr_html_())
