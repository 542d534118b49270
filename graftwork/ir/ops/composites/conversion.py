"""Conversion of numbers of which a dtype does not have all."""

from __future__ import annotations

from typing import Any

import numpy as np

from graftwork.ir.attributes import DTYPE, Spec
from graftwork.ir.build import Term
from graftwork.ir.draw import FLOATS, INTS, Call
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import DTypeError
from graftwork.ir.op import define
from graftwork.ir.ops.elementwise import select


def _saturate(x: Term, *, dtype: DType) -> Term:
    if not (x.dtype.is_float and dtype.is_int):
        raise DTypeError(f"from floats to integers, not from {x.dtype.value} to {dtype.value}")
    x = x.cast(DType.f32) if x.dtype.bits == 16 else x
    limits = np.iinfo(dtype.numpy)
    above = x >= float(limits.max + 1)  # a power of two, which floats have
    inside = (x >= float(limits.min)) & ~above
    least, most = (x.builder.constant(edge, dtype) for edge in (limits.min, limits.max))
    outside = select(above, most, select(x < 0.0, least, 0))
    return select(inside, select(inside, x, 0.0).cast(dtype), outside)


def _saturate_jvp(operands: Any, tangents: Any, outputs: Any, *, dtype: DType) -> Any:
    return (None,)


saturate = define(
    "saturate",
    "x",
    "A float as an integer: towards zero, the nearest integer of the dtype where it is out of its "
    "range, and 0 for NaN, as XLA converts.",
    attrs=(Spec("dtype", DTYPE),),
    body=_saturate,
    jvp=_saturate_jvp,
    traits={"elementwise"},
    sample=lambda draw: Call((draw.operand(FLOATS),), {"dtype": draw.pick(*INTS)}),
)
