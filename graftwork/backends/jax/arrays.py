"""Arrays of other frameworks as JAX arrays, sharing memory where that is possible."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from graftwork.ir.array import NamedArray


def as_jax(array: Any, place: Any) -> Any:
    """The array on a device or sharding, with its own dtype; call it under the x64 scope."""
    if isinstance(array, NamedArray):
        array = array.array
    if isinstance(array, jax.Array | np.ndarray):
        return jax.device_put(array, place)
    if hasattr(array, "detach"):  # a torch tensor, whose bfloat16 numpy cannot hold
        return jax.device_put(jax.dlpack.from_dlpack(array.detach().contiguous()), place)
    return jax.device_put(np.asarray(array), place)
