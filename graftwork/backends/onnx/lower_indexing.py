"""ONNX: reading and writing at computed positions, and sliding windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as onnx

from graftwork.backends.engine import Laid, Lowering, widest
from graftwork.backends.onnx.lower_axes import positions, sliced
from graftwork.backends.onnx.target import OnnxTarget, Operands, zipped
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node
from graftwork.ir.op import Op


def _wide(target: OnnxTarget, index: Laid) -> Laid:
    return Laid(target.emit.cast(index.array, DType.i64), index.axes)


def _clipped(target: OnnxTarget, index: Laid, axis: str) -> Laid:
    """Moved to the nearest position of an axis."""
    emit = target.emit
    last = emit.op("Sub", target.scalar(target.typing.size(axis)), emit.constant(1))
    low = emit.op("Min", index.array, last)
    return Laid(emit.op("Max", low, emit.constant(0)), index.axes)


def _inside(target: OnnxTarget, index: Laid, axis: str) -> Laid:
    emit = target.emit
    size = target.scalar(target.typing.size(axis))
    above = emit.op("GreaterOrEqual", index.array, emit.constant(0), dtype=DType.boolean)
    below = emit.op("Less", index.array, size, dtype=DType.boolean)
    return Laid(emit.op("And", above, below), index.axes)


def _all_inside(target: OnnxTarget, indices: Operands, axes: Sequence[str]) -> Laid:
    """Where every coordinate of a point is within its axis."""
    found, *rest = (_inside(target, i, axis) for i, axis in zip(indices, axes, strict=True))
    for other in rest:
        found = zipped(target, "And", found, other)
    return found


def _points(target: OnnxTarget, columns: Operands, order: Sequence[str]) -> onnx.Value:
    """Coordinates side by side in the last dimension."""
    rank = len(order)
    parts = [target.expand_dims(target.spread(c, order), rank + 1, [rank]) for c in columns]
    return target.emit.op("Concat", *parts, axis=-1) if parts[1:] else parts[0]


# --- gather -------------------------------------------------------------------------------------


def _gather(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    x, *given = operands
    axes, mode = node.attrs["axes"], node.attrs["mode"]
    if not given:
        return x
    indices = [_wide(target, index) for index in given]
    if mode == "promise":
        return _taken(target, x, indices, axes)
    safe = [_clipped(target, i, axis) for i, axis in zip(indices, axes, strict=True)]
    taken = _taken(target, _never_empty(target, x, axes), safe, axes)
    if mode == "clip":
        return taken
    fill = Laid(target.emit.constant(node.attrs["fill"], node.output.type.dtype), ())
    return zipped(target, "Where", _all_inside(target, indices, axes), taken, fill)


def _never_empty(target: OnnxTarget, x: Laid, axes: Sequence[str]) -> Laid:
    """With one more position, never meant, on axes that may have none."""
    array, ints = x.array, target.emit.ints
    for axis in axes:
        if not target.certain([axis]):
            array = target.emit.op("Pad", array, ints(0, 1), None, ints(x.axes.index(axis)))
    return Laid(array, x.axes)


def _taken(target: OnnxTarget, x: Laid, indices: Operands, axes: Sequence[str]) -> Laid:
    points = widest(indices, dict.fromkeys(a for index in indices for a in index.axes))
    shared = tuple(a for a in points if a in x.axes and a not in axes)
    if len(axes) == 1 and not shared:
        (index,), place = indices, x.axes.index(axes[0])
        array = target.emit.op("Gather", x.array, index.array, axis=place)
        return Laid(array, (*x.axes[:place], *index.axes, *x.axes[place + 1 :]))
    rest = tuple(a for a in x.axes if a not in axes and a not in shared)
    order = (*shared, *(a for a in points if a not in shared))
    data = target.lay(x, (*shared, *axes, *rest))
    where = _points(target, indices, order)
    array = target.emit.op("GatherND", data, where, batch_dims=len(shared))
    return Laid(array, (*order, *rest))


# --- scatter ------------------------------------------------------------------------------------

_REDUCTION = {"set": "none", "add": "add", "mul": "mul", "min": "min", "max": "max"}


def _scatter(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    """Axes that updates alone share with x are slices; the others become coordinates."""
    x, updates, *given = operands
    axes, over, mode = node.attrs["axes"], node.attrs["over"], node.attrs["mode"]
    indices = [_wide(target, index) for index in given]
    pointed = dict.fromkeys(a for index in indices for a in index.axes)
    looped = dict.fromkeys((*pointed, *updates.axes))
    mapped = tuple(a for a in looped if a in pointed and a not in over)
    slices = tuple(dict.fromkeys(
        [a for a in x.axes if a not in axes and a not in mapped]
        + [a for a in looped if a not in over and a not in mapped]
    ))  # fmt: skip
    data = target.spread(x, (*axes, *mapped, *slices))
    if mode == "clip":
        indices = [_clipped(target, i, axis) for i, axis in zip(indices, axes, strict=True)]
    if mode == "drop":
        ok = _all_inside(target, indices, axes)
        data, indices = _with_bin(target, node, data, ok, indices)
    loop = (*over, *mapped)
    columns = [*indices, *(Laid(positions(target, a, DType.i64), (a,)) for a in mapped)]
    where = _points(target, columns, loop)
    values = target.spread(updates, (*loop, *slices))
    array = _combined(target, node, data, where, values)
    if mode == "drop" and axes:
        array = sliced(target, array, 0, 0, target.typing.size(axes[0]))
    return Laid(array, (*axes, *mapped, *slices))


def _with_bin(target: OnnxTarget, node: Node, data: onnx.Value, ok: Laid,
              indices: Operands) -> tuple[onnx.Value, list[Laid]]:  # fmt: skip
    """One more position at the end of the first axis, where what lies outside is thrown."""
    emit, axes = target.emit, node.attrs["axes"]
    thrown = [target.scalar(target.typing.size(axes[0])), *[emit.constant(0)] * (len(axes) - 1)]
    moved = []
    for index, place in zip(indices, thrown, strict=True):
        moved.append(zipped(target, "Where", ok, index, Laid(place, ())))
    return emit.op("Pad", data, emit.ints(0, 1), None, emit.ints(0)), moved


def _combined(target: OnnxTarget, node: Node, data: onnx.Value, where: onnx.Value,
              values: onnx.Value) -> onnx.Value:  # fmt: skip
    """The runtime's extremes do not see NaN, so it is written afterwards."""
    emit, combine = target.emit, node.attrs["combine"]
    dtype = node.output.type.dtype
    result = emit.op("ScatterND", data, where, values, reduction=_REDUCTION[combine])
    if combine not in ("min", "max") or not dtype.is_float:
        return result
    flags = [emit.cast(emit.op("IsNaN", v, dtype=DType.boolean), DType.u8) for v in (data, values)]
    spoiled = emit.cast(emit.op("ScatterND", flags[0], where, flags[1], reduction="max"),
                        DType.boolean)  # fmt: skip
    return emit.op("Where", spoiled, emit.constant(np.nan, dtype), result)


# --- windows ------------------------------------------------------------------------------------


def _window(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    (x,), attrs, emit = operands, node.attrs, target.emit
    place, into, kernel = x.axes.index(attrs["axis"]), attrs["into"], attrs["kernel"]
    starts = emit.op("Mul", positions(target, into, DType.i64), emit.constant(attrs["stride"]))
    steps = emit.op("Mul", positions(target, kernel, DType.i64), emit.constant(attrs["dilation"]))
    where = emit.op("Add", target.expand_dims(starts, 2, [1]), steps)
    array = emit.op("Gather", x.array, where, axis=place)
    return Laid(array, (*x.axes[:place], into, kernel, *x.axes[place + 1 :]))


TABLE: Mapping[Op, Lowering] = {
    ops.gather: _gather,
    ops.scatter: _scatter,
    ops.window: _window,
}
