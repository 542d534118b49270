"""Element types of values, and how they are spelled in text and in numpy."""

from __future__ import annotations

import enum
from typing import Any

import ml_dtypes
import numpy as np

from graftwork.ir.errors import DTypeError


class DType(enum.Enum):
    """An element type; its value is the short name that the text form uses."""

    f64 = "f64"
    f32 = "f32"
    f16 = "f16"
    bf16 = "bf16"
    i64 = "i64"
    i32 = "i32"
    i16 = "i16"
    i8 = "i8"
    u64 = "u64"
    u32 = "u32"
    u16 = "u16"
    u8 = "u8"
    boolean = "bool"

    # Enum hashes through Python code; members are singletons and types are hashed at every node.
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return self.value

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype (bfloat16 comes from `ml_dtypes`)."""
        return _NUMPY[self]

    @property
    def is_float(self) -> bool:
        return self in _FLOATS

    @property
    def is_int(self) -> bool:
        """Signed and unsigned integers; not bool."""
        return self not in _FLOATS and self is not DType.boolean

    @property
    def is_unsigned(self) -> bool:
        return self.value[0] == "u"

    @property
    def bits(self) -> int:
        return self.numpy.itemsize * 8


_FLOATS = frozenset({DType.f64, DType.f32, DType.f16, DType.bf16})
_NUMPY: dict[DType, np.dtype[Any]] = {
    DType.f64: np.dtype(np.float64),
    DType.f32: np.dtype(np.float32),
    DType.f16: np.dtype(np.float16),
    DType.bf16: np.dtype(ml_dtypes.bfloat16),
    DType.i64: np.dtype(np.int64),
    DType.i32: np.dtype(np.int32),
    DType.i16: np.dtype(np.int16),
    DType.i8: np.dtype(np.int8),
    DType.u64: np.dtype(np.uint64),
    DType.u32: np.dtype(np.uint32),
    DType.u16: np.dtype(np.uint16),
    DType.u8: np.dtype(np.uint8),
    DType.boolean: np.dtype(np.bool_),
}
_OF_NUMPY = {numpy: dtype for dtype, numpy in _NUMPY.items()}
_OF_NAME = {dtype.numpy.name: dtype for dtype in DType} | {dtype.value: dtype for dtype in DType}


def dtype_of(spec: object) -> DType:
    """The `DType` that `spec` means: a DType, a numpy dtype or scalar type, or a name.

    Raises:
        DTypeError: if no element type of that name exists here (complex and 4-bit types do not).
    """
    if isinstance(spec, DType):
        return spec
    if isinstance(spec, np.dtype) and (known := _OF_NUMPY.get(spec)) is not None:
        return known
    name = spec if isinstance(spec, str) else np.dtype(spec).name  # type: ignore[call-overload]
    if name not in _OF_NAME:
        raise DTypeError(f"no dtype {name!r}; there are {', '.join(d.value for d in DType)}")
    return _OF_NAME[name]
