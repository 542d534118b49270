"""ONNX: contraction as matrix products.

The axes of a contraction are of four kinds: those of both operands (batch), of the first alone
(rows), of the second alone (columns), and those summed. A matrix product takes any number of rows
of the first operand when the second has no batch, so that weights need no reshaping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as onnx

from graftwork.backends.engine import Laid, Lowering, widest
from graftwork.backends.onnx.target import OnnxTarget, Operands
from graftwork.ir import ops
from graftwork.ir.graph import Node
from graftwork.ir.op import Op
from graftwork.ir.sizes import Size

Axes = tuple[str, ...]


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
        axes = widest([a, b], dict.fromkeys((*a.axes, *b.axes)))
        return Laid(target.emit.op("Mul", *target.aligned([a, b], axes)), axes)
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
    """Without batch: all rows stay as they are, against one matrix."""
    left = grouped(target, a, *((x,) for x in rows), summed)
    if not columns:
        right = grouped(target, b, summed)
        return Laid(target.emit.op("MatMul", left, right), rows)
    right = grouped(target, b, summed, columns)
    result = target.emit.op("MatMul", left, right)
    return ungrouped(target, result, *((x,) for x in rows), columns)


def _contract(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    a, b = operands
    return product(target, a, b, node.attrs["over"])


def _linear(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    """A product and a sum, which the runtime fuses."""
    x, weight, *bias = operands
    made = product(target, x, weight, node.attrs["over"])
    if not bias:
        return made
    axes = widest([made, *bias], node.output.type.axes)
    return Laid(target.emit.op("Add", *target.aligned([made, *bias], axes)), axes)


TABLE: Mapping[Op, Lowering] = {ops.contract: _contract, ops.linear: _linear}
