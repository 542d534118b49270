"""Element types: torch's and ours, and torch's rules of type promotion made explicit.

Source of the rules: torch.result_type. Tensors with dimensions outrank tensors without, and those
outrank Python numbers; a lower rank counts only where its kind (bool, integer, float) is higher.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from graftwork.ir import ops
from graftwork.ir.build import Builder, Scalar
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.errors import DTypeError
from graftwork.ir.positional import Positional
from graftwork.ir.sizes import SizeExpr

Operand = Positional | Scalar | SizeExpr


def read_dtype(dtype: torch.dtype) -> DType:
    """Our name of torch's element type.

    Raises:
        DTypeError: for one that does not exist here (complex, quantized, float8).
    """
    return dtype_of(str(dtype).removeprefix("torch."))


def part_dtype(dtype: torch.dtype) -> DType:
    """The element type of numbers, or of the real and imaginary parts of complex ones.

    Raises:
        DTypeError: for one that does not exist here (quantized, float8).
    """
    return read_dtype(dtype.to_real() if dtype.is_complex else dtype)


def as_torch(dtype: DType) -> torch.dtype:
    """Torch's name of our element type."""
    found = getattr(torch, dtype.numpy.name)
    assert isinstance(found, torch.dtype)
    return found


def common_dtype(*operands: Operand) -> DType:
    """The element type in which torch computes with these operands."""
    ranks: list[list[DType]] = [[], [], []]
    for x in operands:
        if isinstance(x, Positional):
            ranks[0 if x.rank else 1].append(x.dtype)
        else:
            ranks[2].append(_of_scalar(x))
    result: DType | None = None
    for dtypes in ranks:
        for dtype in dtypes[1:]:
            dtypes[0] = _promoted(dtypes[0], dtype)
        if dtypes and (result is None or _kind(dtypes[0]) > _kind(result)):
            result = dtypes[0]
    if result is None:
        raise DTypeError("an operation without operands has no element type")
    return result


def float_dtype(dtype: DType) -> DType:
    """The element type of a function of numbers that gives floats."""
    return dtype if dtype.is_float else read_dtype(torch.get_default_dtype())


def sum_dtype(dtype: DType) -> DType:
    """The element type of a sum: integers and bools add up in 64 bits."""
    return dtype if dtype.is_float else DType.i64


def lowest(dtype: DType) -> float:
    """What no element is less than."""
    return int(np.iinfo(dtype.numpy).min) if dtype.is_int else -math.inf if dtype.is_float else 0


def greatest(dtype: DType) -> float:
    """What no element is greater than."""
    return int(np.iinfo(dtype.numpy).max) if dtype.is_int else math.inf if dtype.is_float else 1


def _of_scalar(x: Scalar | SizeExpr) -> DType:
    if isinstance(x, bool):
        return DType.boolean
    return read_dtype(torch.get_default_dtype()) if isinstance(x, float) else DType.i64


def _kind(dtype: DType) -> int:
    return 2 if dtype.is_float else 1 if dtype.is_int else 0


def _promoted(a: DType, b: DType) -> DType:
    return a if a is b else read_dtype(torch.promote_types(as_torch(a), as_torch(b)))


def lifted(builder: Builder, x: Operand, dtype: DType) -> Positional:
    """An operand as a tensor of the given element type."""
    if isinstance(x, Positional):
        return Positional(x.term.cast(dtype), x.dims)
    if isinstance(x, SizeExpr):
        with builder:
            exact = dtype if dtype.is_int else DType.i64
            return Positional(ops.size(value=x, dtype=exact).cast(dtype))
    if dtype is DType.boolean:
        x = bool(x)
    elif dtype.is_int:
        x = int(x)
    return Positional(builder.constant(x, dtype))
