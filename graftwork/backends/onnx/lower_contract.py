"""ONNX: contraction as matrix products.

The axes of a contraction are of four kinds: those of both operands (batch), of the first alone
(rows), of the second alone (columns), and those summed. A matrix product takes any number of rows
of the first operand when the second has no batch, so that weights need no reshaping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as onnx

from graftwork.backends.engine import Laid, Lowering, is_pointwise, pointwise_window
from graftwork.backends.onnx.lower_reduce import any_over
from graftwork.backends.onnx.target import OnnxTarget, Operands, zipped
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node
from graftwork.ir.op import Op
from graftwork.ir.sizes import Size

Axes = tuple[str, ...]

_LEAST = {DType.f64: -1e308, DType.f32: -1e38, DType.bf16: -1e38, DType.f16: -6e4}


def total(target: OnnxTarget, axes: Sequence[str]) -> Size:
    """The number of positions of several axes together."""
    size: Size = 1
    for axis in axes:
        size = size * target.typing.size(axis)
    return size


def grouped(target: OnnxTarget, x: Laid, *groups: Axes) -> onnx.Value:
    """The array with one dimension for each group of axes."""
    order = [axis for group in groups for axis in group]
    before = target.sizes(order)
    after = [total(target, group) for group in groups]
    return target.reshape(target.lay(x, order), before, after)


def ungrouped(target: OnnxTarget, array: onnx.Value, *groups: Axes) -> Laid:
    """The inverse of `grouped`."""
    axes = tuple(axis for group in groups for axis in group)
    before = [total(target, group) for group in groups]
    return Laid(target.reshape(array, before, target.sizes(axes)), axes)


def product(target: OnnxTarget, a: Laid, b: Laid, over: Axes) -> Laid:
    """Two arrays multiplied and summed over the axes `over`."""
    if not over:
        return zipped(target, "Mul", a, b)
    batch = tuple(x for x in a.axes if x in b.axes and x not in over)
    rows = tuple(x for x in a.axes if x not in b.axes)
    columns = tuple(x for x in b.axes if x not in a.axes)
    summed = _summed(a, b, over)
    if not batch:
        if len(columns) > len(rows):
            return product_flat(target, b, a, columns, rows, summed)
        return product_flat(target, a, b, rows, columns, summed)
    left = grouped(target, a, *((x,) for x in batch), rows, summed)
    right = grouped(target, b, *((x,) for x in batch), summed, columns)
    result = target.emit.op("MatMul", left, right)
    return ungrouped(target, result, *((x,) for x in batch), rows, columns)


def _summed(a: Laid, b: Laid, over: Axes) -> Axes:
    """The summed axes in the order of the operand that holds them last, to move fewer."""
    lead = a if a.axes[len(a.axes) - len(over) :] == over else b
    return tuple(axis for axis in lead.axes if axis in over)


def product_flat(
    target: OnnxTarget, a: Laid, b: Laid, rows: Axes, columns: Axes, summed: Axes
) -> Laid:
    """Without batch: all rows stay as they are, against one matrix.

    A vector is a matrix of one column, since the runtime refuses to multiply no rows by a vector,
    and gets a transposed matrix times a vector wrong.
    """
    left = grouped(target, a, *((x,) for x in rows), summed)
    right = grouped(target, b, summed, columns)
    result = target.emit.op("MatMul", left, right)
    return ungrouped(target, result, *((x,) for x in rows), columns)


def _contract(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    a, b = operands
    for x, weight in ((a, b), (b, a)):
        if is_pointwise(target, node, x, weight):
            return _pointwise(target, x, weight)
    return product(target, a, b, node.attrs["over"])


def _pointwise(target: OnnxTarget, x: Laid, weight: Laid) -> Laid:
    """It needs no transposes, keeps the runtime's blocked layout, and takes in the norm and the
    activation that follow.
    """
    window, axes = pointwise_window(target, x, weight)
    return Laid(target.emit.op("Conv", x.array, window), axes)


def _linear(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    """A product and a sum, which the runtime fuses."""
    x, weight, *bias = operands
    made = product(target, x, weight, node.attrs["over"])
    return zipped(target, "Add", made, *bias) if bias else made


def _attention(target: OnnxTarget, node: Node, operands: Operands) -> Any:
    """Products around one softmax; rows that a bool mask empties are mended afterwards.

    The runtime's own Attention refuses empty axes, and its rows of great negative masks are zero.
    """
    q, k, v, *masks = operands
    attrs, emit = node.attrs, target.emit
    dtype, rows = node.output.type.dtype, attrs["masked_rows"]
    bools = bool(masks) and node.inputs[3].type.dtype is DType.boolean
    if masks and not bools and rows not in ("nan", "none"):
        return target.open_body(node, operands)
    scores = _scaled(target, node, product(target, q, k, (attrs["over"],)))
    if bools:
        hidden = _LEAST[dtype] if rows == "mean" else -np.inf
        fill = Laid(emit.constant(hidden, dtype), ())
        scores = zipped(target, "Where", masks[0], scores, fill)
    elif masks:
        scores = zipped(target, "Add", scores, masks[0])
    wide = emit.cast(scores.array, DType.f32) if attrs["in_f32"] and dtype.bits == 16 else None
    place = scores.axes.index(attrs["key"])
    pattern = emit.op("Softmax", scores.array if wide is None else wide, axis=place)
    z = product(target, Laid(emit.cast(pattern, dtype), scores.axes), v, (attrs["key"],))
    if not bools or rows != "zero":
        return z
    alive = any_over(target, masks[0], [a for a in masks[0].axes if a == attrs["key"]])
    return zipped(target, "Where", alive, z, Laid(emit.constant(0, dtype), ()))


def _scaled(target: OnnxTarget, node: Node, scores: Laid) -> Laid:
    """Scores times the scale, bent below the soft cap."""
    emit, dtype, attrs = target.emit, node.output.type.dtype, node.attrs
    array = scores.array
    if attrs["scale"] != 1.0:
        array = emit.op("Mul", array, emit.constant(attrs["scale"], dtype))
    if attrs["softcap"] is not None:
        cap = emit.constant(attrs["softcap"], dtype)
        array = emit.op("Mul", emit.op("Tanh", emit.op("Div", array, cap)), cap)
    return Laid(array, scores.axes)


TABLE: Mapping[Op, Lowering] = {
    ops.contract: _contract,
    ops.linear: _linear,
    ops.attention: _attention,
}
