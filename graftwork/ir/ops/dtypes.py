"""Ops that change the dtype of every element: its number, or its bits, read as another."""

from __future__ import annotations

from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.attributes import DTYPE, Spec
from graftwork.ir.draw import ANY, NUMBERS, Call, Draw
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.errors import DTypeError
from graftwork.ir.op import define
from graftwork.ir.types import Type, Typing


def _infer_cast(typing: Typing, x: Type, *, dtype: DType) -> Type:
    return x.with_dtype(dtype)


def _evaluate_cast(at: object, x: NamedArray, *, dtype: DType) -> NamedArray:
    with np.errstate(all="ignore"):
        return NamedArray(x.array.astype(dtype.numpy), x.axes)


def _cast_jvp(operands: Any, tangents: Any, outputs: Any, *, dtype: DType) -> Any:
    return (tangents[0].cast(dtype) if dtype.is_float else None,)


cast = define(
    "cast",
    "x",
    "The same numbers as another dtype: floats to integers towards zero, to bool as x != 0.",
    attrs=(Spec("dtype", DTYPE),),
    infer=_infer_cast,
    evaluate=_evaluate_cast,
    jvp=_cast_jvp,
    linear=(0,),
    transpose=lambda cts, operands, position, typing, dtype: cts[0].cast(operands[0].dtype),
    traits={"elementwise"},
    sample=lambda draw: Call((draw.operand(ANY),), {"dtype": draw.pick(*ANY)}),
)


def _infer_bitcast(typing: Typing, x: Type, *, dtype: DType) -> Type:
    if dtype.bits != x.dtype.bits or DType.boolean in (dtype, x.dtype):
        raise DTypeError(f"{x.dtype.value} and {dtype.value} do not have the same width")
    return x.with_dtype(dtype)


def _sample_bitcast(draw: Draw) -> Call:
    x = draw.operand(NUMBERS)
    return Call((x,), {"dtype": draw.pick(*(d for d in NUMBERS if d.bits == x.dtype.bits))})


bitcast = define(
    "bitcast",
    "x",
    "The same bits read as another dtype of the same width.",
    attrs=(Spec("dtype", DTYPE),),
    infer=_infer_bitcast,
    evaluate=lambda at, x, dtype: NamedArray(x.array.view(dtype_of(dtype).numpy), x.axes),
    jvp=lambda operands, tangents, outputs, dtype: (None,),
    traits={"elementwise"},
    sample=_sample_bitcast,
)
