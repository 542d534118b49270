"""Arrays of other frameworks as torch tensors, and how element types are held.

torch has storage but no arithmetic for unsigned integers wider than 8 bits. They are computed in
signed carriers: u16 in int32, u32 in int64, always reduced to their range; u64 as the bits of
int64.
"""

from __future__ import annotations

import warnings
from typing import Any

import ml_dtypes
import numpy as np
import torch
import torch.utils.dlpack

from graftwork.ir.array import NamedArray
from graftwork.ir.dtypes import DType

STORED: dict[DType, torch.dtype] = {
    DType.f64: torch.float64,
    DType.f32: torch.float32,
    DType.f16: torch.float16,
    DType.bf16: torch.bfloat16,
    DType.i64: torch.int64,
    DType.i32: torch.int32,
    DType.i16: torch.int16,
    DType.i8: torch.int8,
    DType.u64: torch.uint64,
    DType.u32: torch.uint32,
    DType.u16: torch.uint16,
    DType.u8: torch.uint8,
    DType.boolean: torch.bool,
}
CARRIER = STORED | {
    DType.u64: torch.int64,
    DType.u32: torch.int64,
    DType.u16: torch.int32,
}


def as_torch(array: Any, device: Any = None) -> torch.Tensor:
    """The array as a tensor that shares its memory where that is possible."""
    if isinstance(array, NamedArray):
        array = array.array
    tensor = array.detach() if isinstance(array, torch.Tensor) else _imported(array)
    return tensor if device is None else tensor.to(device)


def _imported(array: Any) -> torch.Tensor:
    if not isinstance(array, np.ndarray) and hasattr(array, "__dlpack__"):
        return torch.utils.dlpack.from_dlpack(array)
    found = np.asarray(array)
    if any(step < 0 for step in found.strides):
        found = found.copy()
    if found.dtype == ml_dtypes.bfloat16:
        return _shared(found.view(np.int16)).view(torch.bfloat16)
    return _shared(found)


def _shared(array: np.ndarray[Any, Any]) -> torch.Tensor:
    with warnings.catch_warnings():  # read-only memory is never written: modules train copies
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(array)
