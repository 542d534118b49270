"""ONNX: convolution and pooling, by kernels for batch, channels and up to three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir as onnx

from graftwork.backends.engine import Lowering
from graftwork.backends.onnx.emit import Emitter, dtype_of_value
from graftwork.backends.onnx.kernels import carrier
from graftwork.backends.onnx.lower_contract import grouped, total, ungrouped
from graftwork.backends.onnx.target import OnnxTarget, Operands
from graftwork.ir import ops
from graftwork.ir.attributes import Attrs
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

Kernel = Callable[[Emitter, onnx.Value, "dict[str, Any]"], onnx.Value]

_MOST = 3


def _singles(axes: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [(axis,) for axis in axes]


def _settings(attrs: Attrs) -> dict[str, Any]:
    """What convolution and pooling are told alike."""
    return {
        "strides": list(attrs["stride"]),
        "dilations": list(attrs["dilation"]),
        "pads": [*attrs["low"], *attrs["high"]],
    }


def _slides(target: OnnxTarget, axes: tuple[str, ...]) -> bool:
    return 0 < len(axes) <= _MOST and target.certain(axes)


# --- convolution --------------------------------------------------------------------------------


def _convolves(target: OnnxTarget, node: Node, groups: tuple[str, ...]) -> bool:
    """Whether the kernel does what the op says."""
    attrs, dtype = node.attrs, node.output.type.dtype
    kernel, over = attrs["kernel"], attrs["over"]
    static = [isinstance(size, int) for size in target.sizes((*groups, *kernel))]
    return (
        dtype.is_float
        and carrier("Conv", dtype) is not None
        and all(static)
        and target.certain((*groups, *kernel, *over))
        and _slides(target, attrs["axes"])
        and set(attrs["base_dilation"]) == {1}
        and min(*attrs["low"], *attrs["high"]) >= 0
    )


def _conv(target: OnnxTarget, node: Node, operands: Operands) -> Any:
    """Groups are axes that both operands have; all batch axes together are one."""
    (x, weight), attrs = operands, node.attrs
    axes, kernel, into, over = (attrs[key] for key in ("axes", "kernel", "into", "over"))
    groups = tuple(a for a in x.axes if a in weight.axes and a not in over)
    if any(a in weight.axes for a in axes) or not _convolves(target, node, groups):
        return target.open_body(node, operands)
    batch = tuple(a for a in x.axes if a not in (*groups, *over, *axes))
    made = tuple(a for a in weight.axes if a not in (*groups, *over, *kernel))
    left = grouped(target, x, batch, (*groups, *over), *_singles(axes))
    right = grouped(target, weight, (*groups, *made), over, *_singles(kernel))
    count = total(target, groups)
    array = target.emit.op("Conv", left, right, group=count, **_settings(attrs))
    return ungrouped(target, array, batch, (*groups, *made), *_singles(into))


# --- pooling ------------------------------------------------------------------------------------


def _pooled(target: OnnxTarget, node: Node, operands: Operands, kernel: Kernel) -> Any:
    """Every axis that is not pooled is batch."""
    (x,), attrs = operands, node.attrs
    axes = attrs["axes"]
    rest = tuple(a for a in x.axes if a not in axes)
    lead = [rest[:-1], rest[-1:]]
    array = grouped(target, x, *lead, *_singles(axes))
    settings = {"kernel_shape": list(attrs["size"])} | _settings(attrs)
    return ungrouped(target, kernel(target.emit, array, settings), *lead, *_singles(attrs["into"]))


def _pools(target: OnnxTarget, node: Node, kind: str) -> bool:
    """Whether the kernel takes the dtype, and padding is narrower than the windows."""
    attrs, dtype = node.attrs, node.output.type.dtype
    pads = zip((*attrs["low"], *attrs["high"]), attrs["size"] * 2, strict=True)
    known = carrier(kind, dtype)
    return (
        (known is dtype or (dtype.is_float and known is not None))
        and all(0 <= pad < size for pad, size in pads)
        and _slides(target, attrs["axes"])
    )


def _greatest(emit: Emitter, x: onnx.Value, settings: dict[str, Any]) -> onnx.Value:
    """The kernel does not see NaN: windows that have one are found apart, if the sum of all is NaN.

    Without one, the sum costs a twentieth of what finding them does.
    """
    dtype = dtype_of_value(x)
    found = emit.op("MaxPool", x, **settings)
    if not dtype.is_float:
        return found
    whole = emit.op("ReduceSum", x, keepdims=0)
    with emit.aside([]) as nodes:
        nan = emit.cast(emit.op("IsNaN", x, dtype=DType.boolean), DType.u8)
        spoiled = emit.cast(emit.op("MaxPool", nan, **settings), DType.boolean)
        mended = emit.op("Where", spoiled, emit.constant(np.nan, dtype), found)
        then = emit.body("some_nan", (), (mended,), nodes)
    with emit.aside([]) as nodes:
        other = emit.body("no_nan", (), (emit.op("Identity", found),), nodes)
    doubtful = emit.op("IsNaN", whole, dtype=DType.boolean)
    return emit.branch(doubtful, then, other, (dtype,))[0]


def _max_pool(target: OnnxTarget, node: Node, operands: Operands) -> Any:
    if not _pools(target, node, "MaxPool"):
        return target.open_body(node, operands)
    return _pooled(target, node, operands, _greatest)


def _avg_pool(target: OnnxTarget, node: Node, operands: Operands) -> Any:
    if node.attrs["divisor"] is not None or not _pools(target, node, "AveragePool"):
        return target.open_body(node, operands)
    counted = int(node.attrs["count_padding"])

    def average(emit: Emitter, x: onnx.Value, settings: dict[str, Any]) -> onnx.Value:
        return emit.op("AveragePool", x, count_include_pad=counted, **settings)

    return _pooled(target, node, operands, average)


TABLE: Mapping[Op, Lowering] = {
    ops.conv: _conv,
    ops.max_pool: _max_pool,
    ops.avg_pool: _avg_pool,
}
