"""Files of named arrays in the safetensors format, streamed out and memory-mapped in.

The format: eight bytes that hold the length of a JSON header (name -> dtype, shape, range of
bytes), the header, and the bytes without holes. Arrays are written one at a time, so they are
never all in memory; what is read are views of the mapped file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.errors import StorageError
from graftwork.ir.store import as_numpy

Array = np.ndarray[Any, Any]
_SPELLINGS = {dtype: dtype.value.upper() for dtype in DType}
_DTYPES = {spelling: dtype for dtype, spelling in _SPELLINGS.items()}
METADATA = "__metadata__"
_ALIGNMENT = 8


def write_tensors(path: Path, arrays: Mapping[str, Any]) -> str:
    """Write a new file; the SHA-256 of its contents, in hexadecimal.

    Raises:
        OSError: if the file cannot be written.
    """
    facts = {name: _dtype_and_shape(array) for name, array in arrays.items()}
    # The widest first, so that every array starts at a multiple of its item size.
    order = sorted(facts, key=lambda name: (-facts[name][0].bits, name))
    header: dict[str, object] = {}
    end = 0
    for name in order:
        dtype, shape = facts[name]
        begin, end = end, end + math.prod(shape) * dtype.numpy.itemsize
        span = (begin, end)
        header[name] = {"dtype": _SPELLINGS[dtype], "shape": shape, "data_offsets": span}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    digest = hashlib.sha256()
    with path.open("xb") as file:
        for part in (len(text).to_bytes(8, "little"), text):
            file.write(part)
            digest.update(part)
        for name in order:
            data = _bytes_of(as_numpy(arrays[name]), facts[name][0])
            file.write(data)
            digest.update(data)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _dtype_and_shape(array: Any) -> tuple[DType, tuple[int, ...]]:
    known = as_numpy(array)
    return dtype_of(known.dtype), known.shape


def _bytes_of(array: Array, dtype: DType) -> memoryview:
    """The bytes of an array in C order, shared with it where it is contiguous."""
    flat = np.ascontiguousarray(array, dtype.numpy).reshape(-1)
    return flat.view(np.uint8).data


def read_tensors(path: Path) -> dict[str, Array]:
    """The arrays of a file, as read-only views of its memory map.

    Raises:
        StorageError: if the file is truncated or not of the format.
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        size = path.stat().st_size
        if size < 8 + length or size <= 8:
            raise StorageError(f"{path} is truncated in its header")
        text = file.read(length)
    data = np.asarray(np.memmap(path, np.uint8, "r"))[8 + length :]
    try:
        header = json.loads(text)
        header.pop(METADATA, None)
        tensors = {name: _Tensor.read(fields) for name, fields in header.items()}
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise StorageError(f"{path} has a damaged header") from error
    end = 0
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.begin, tensor.end)):
        if tensor.begin != end:
            raise StorageError(f"{path} has a damaged header: its arrays overlap or leave holes")
        end = tensor.end
    if end != len(data):
        raise StorageError(f"{path} holds {len(data)} bytes of arrays, but its header says {end}")
    return {name: tensor.of(data) for name, tensor in tensors.items()}


@frozen
class _Tensor:
    """What the header says of one array."""

    dtype: DType
    shape: tuple[int, ...]
    begin: int
    end: int

    @staticmethod
    def read(fields: Mapping[str, Any]) -> _Tensor:
        """Check an entry of a header; raises LookupError, TypeError or ValueError."""
        begin, end = fields["data_offsets"]
        tensor = _Tensor(_DTYPES[fields["dtype"]], tuple(fields["shape"]), begin, end)
        numbers = (*tensor.shape, begin, end)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError
        if end - begin != math.prod(tensor.shape) * tensor.dtype.numpy.itemsize:
            raise ValueError
        return tensor

    def of(self, data: Array) -> Array:
        return data[self.begin : self.end].view(self.dtype.numpy).reshape(self.shape)
