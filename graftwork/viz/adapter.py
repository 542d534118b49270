"""Named arrays through treescope, which shows them by their axes in notebooks.

treescope is an extra, so it is imported where it is used.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray


@cache
def array_adapter() -> Any:
    """How treescope reads named arrays: axes by name, numbers by numpy."""
    from treescope.external.numpy_support import NumpyArrayAdapter
    from treescope.ndarray_adapters import NamedPositionlessAxisInfo, PositionalAxisInfo

    class NamedArrayAdapter(NumpyArrayAdapter):  # type: ignore[misc]
        def get_axis_info_for_array_data(self, array: NamedArray) -> tuple[Any, ...]:
            nameless = count()
            return tuple(
                PositionalAxisInfo(next(nameless), extent)
                if axis is None
                else NamedPositionlessAxisInfo(axis, extent)
                for axis, extent in zip(array.axes, array.shape, strict=True)
            )

        def get_array_data_with_truncation(
            self, array: NamedArray, mask: Any, edge_items_per_axis: tuple[int | None, ...]
        ) -> Any:
            return super().get_array_data_with_truncation(
                np.asarray(array), mask, edge_items_per_axis
            )

        def get_array_summary(self, array: NamedArray, fast: bool) -> str:
            return repr(array).partition("\n")[0]

        def get_numpy_dtype(self, array: NamedArray) -> np.dtype[Any]:
            return np.asarray(array).dtype

    return NamedArrayAdapter()


def array_html(array: NamedArray) -> str:
    """The picture of an array that treescope makes, for a notebook."""
    import treescope

    return str(treescope.render_array(array.squeeze())._repr_html_())
