"""ONNX: pairs of an axis that turn by angles, as rotary positions do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx_ir as onnx

from graftwork.backends.engine import Laid, Lowering
from graftwork.backends.onnx.lower_contract import grouped, total, ungrouped
from graftwork.backends.onnx.target import OnnxTarget, Operands, zipped
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

Axes = tuple[str, ...]

# Ops of one operand that leave it to each element alone what becomes of it.
_EACH = {"Cos", "Sin", "Neg", "Cast"}


def _rotary(target: OnnxTarget, node: Node, operands: Operands) -> Any:
    """Halves turn in one step where both are known to turn by the same angles, else they change
    places as blocks of memory; neighbours do as the body says."""
    (x, cos, sin), emit = operands, target.emit
    axis = node.attrs["axis"]
    size = target.typing.size(axis)
    empty = not isinstance(size, int) or size == 0  # the runtime refuses to split nothing
    if empty or node.attrs["style"] != "half" or axis not in x.axes:
        return target.open_body(node, operands)
    if _turns_in_one(target, node, operands):
        return _turned(target, operands, axis)
    place = x.axes.index(axis)
    first, second = emit.ops("Split", x.array, dtypes=(None, None), axis=place, num_outputs=2)
    turned = emit.op("Concat", emit.op("Neg", second), first, axis=place)
    straight = zipped(target, "Mul", x, cos)
    return zipped(target, "Add", straight, zipped(target, "Mul", Laid(turned, x.axes), sin))


def _turns_in_one(target: OnnxTarget, node: Node, operands: Operands) -> bool:
    """Whether the kernel fits: f32, positions first, heads behind them that share their angles."""
    (x, *angles), axis = operands, node.attrs["axis"]
    if any(value.type.dtype is not DType.f32 for value in node.inputs) or x.axes[-1] != axis:
        return False
    positions, heads = _positions(x, angles)
    known = target.certain(heads) and all(isinstance(n, int) for n in target.sizes(heads))
    inside = all({*angle.axes} <= {*positions, axis} for angle in angles)
    return known and inside and bool(positions) and all(_repeats(each, axis) for each in angles)


def _positions(x: Laid, angles: Operands) -> tuple[Axes, Axes]:
    """The axes of x but the last: up to the last one that angles depend on, and the others."""
    turning = {axis for angle in angles for axis in angle.axes}
    end = max((i + 1 for i, axis in enumerate(x.axes[:-1]) if axis in turning), default=0)
    return x.axes[:end], x.axes[end:-1]


def _repeats(angle: Laid, axis: str) -> bool:
    """Whether an array was made of two copies, one after the other along an axis."""
    if axis not in angle.axes:
        return False
    value = angle.array
    while (maker := value.producer()) is not None and maker.op_type in _EACH:
        value = maker.inputs[0]
    if maker is None or maker.op_type != "Concat" or len(maker.inputs) != 2:
        return False
    at = maker.attributes["axis"].as_int()
    return maker.inputs[0] is maker.inputs[1] and at == angle.axes.index(axis)


def _turned(target: OnnxTarget, operands: Operands, axis: str) -> Laid:
    x, cos, sin = operands
    positions, heads = _positions(x, (cos, sin))
    rows = (positions[:-1], positions[-1:])

    def once(angle: Laid) -> onnx.Value:
        whole = Laid(target.spread(angle, (*positions, axis)), (*positions, axis))
        array = grouped(target, whole, *rows, (axis,))
        return target.emit.ops("Split", array, dtypes=(None, None), axis=2, num_outputs=2)[0]

    array = target.emit.op(
        "RotaryEmbedding", grouped(target, x, *rows, (*heads, axis)), once(cos), once(sin),
        num_heads=total(target, heads),
    )  # fmt: skip
    return ungrouped(target, array, *rows, (*heads, axis))


TABLE: Mapping[Op, Lowering] = {ops.rotary: _rotary}
