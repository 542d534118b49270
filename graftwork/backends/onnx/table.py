"""All lowerings of the ONNX backend."""

from __future__ import annotations

from collections.abc import Mapping

from graftwork.backends.engine import Lowering
from graftwork.backends.onnx import (
    lower_axes,
    lower_composites,
    lower_contract,
    lower_control,
    lower_elementwise,
    lower_indexing,
    lower_reduce,
    lower_rotary,
    lower_windows,
)
from graftwork.ir.op import Op

TABLE: Mapping[Op, Lowering] = {
    **lower_elementwise.TABLE,
    **lower_axes.TABLE,
    **lower_contract.TABLE,
    **lower_reduce.TABLE,
    **lower_indexing.TABLE,
    **lower_control.TABLE,
    **lower_composites.TABLE,
    **lower_rotary.TABLE,
    **lower_windows.TABLE,
}
