"""Where a composite computes in more bits than its operands have."""

from __future__ import annotations

from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType


def widened(x: Term) -> Term:
    """A 16-bit float as f32; anything else as it is."""
    return x.cast(DType.f32) if x.dtype.is_float and x.dtype.bits == 16 else x
