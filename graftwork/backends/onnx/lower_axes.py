"""ONNX: ops that make, remove and rename axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as onnx

from graftwork.backends.engine import Laid, Lowering, widest
from graftwork.backends.onnx.kernels import carrier
from graftwork.backends.onnx.target import OnnxTarget, Operands, zipped
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node
from graftwork.ir.op import Op
from graftwork.ir.sizes import Size

_BACKWARD = -(2**63)
_SMALL = 4096  # positions that are written into the model rather than counted at run time


def _constant(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    return Laid(target.emit.constant(node.attrs["value"].array), node.attrs["axes"])


def positions(target: OnnxTarget, axis: str, dtype: DType) -> onnx.Value:
    """0, 1, 2 ... along an axis."""
    size = target.typing.size(axis)
    if isinstance(size, int) and size <= _SMALL:
        return target.emit.constant(np.arange(size), dtype)
    counter = dtype if carrier("Range", dtype) is dtype else DType.i64
    stop = target.emit.cast(target.scalar(size), counter)
    zero, one = (target.emit.constant(n, counter) for n in (0, 1))
    return target.emit.cast(target.emit.op("Range", zero, stop, one), dtype)


def _iota(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    axis = node.attrs["axis"]
    return Laid(positions(target, axis, node.attrs["dtype"]), (axis,))


def _size(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    return Laid(target.emit.cast(target.scalar(node.attrs["value"]), node.attrs["dtype"]), ())


def _rename(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    (x,), names = operands, dict(node.attrs["axes"])
    return Laid(x.array, tuple(names.get(axis, axis) for axis in x.axes))


def _split(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    (x,), axis, into = operands, node.attrs["axis"], node.attrs["into"]
    place = x.axes.index(axis)
    axes = (*x.axes[:place], *into, *x.axes[place + 1 :])
    before = target.sizes(x.axes)
    after = [*before[:place], *node.attrs["sizes"], *before[place + 1 :]]
    return Laid(target.reshape(x.array, before, after), axes)


def _merge(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    (x,), axes, into = operands, node.attrs["axes"], node.attrs["into"]
    lead, tail = _around(x, node)
    order = (*lead, *axes, *tail)
    total: Size = 1
    for axis in axes:
        total = total * target.typing.size(axis)
    after = [*target.sizes(lead), total, *target.sizes(tail)]
    array = target.reshape(target.lay(x, order), target.sizes(order), after)
    return Laid(array, (*lead, into, *tail))


def _around(x: Laid, node: Node) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The axes before and after those that merge: as they lie, or in the order that is hinted."""
    axes, into = node.attrs["axes"], node.attrs["into"]
    place = x.axes.index(axes[0]) if axes else len(x.axes)
    end = place + len(axes)
    if x.axes[place:end] == axes:
        return x.axes[:place], x.axes[end:]
    hint = node.output.type.axes
    place = hint.index(into)
    return hint[:place], hint[place + 1 :]


def _broadcast(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    """The new axes first, where repeating is cheapest."""
    (x,) = operands
    axes = (*(a for a in node.output.type.axes if a not in x.axes), *x.axes)
    return Laid(target.spread(x, axes), axes)


def _index(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    (x,), axis = operands, node.attrs["axis"]
    place = x.axes.index(axis)
    at = target.scalar(node.attrs["at"])
    array = target.emit.op("Gather", x.array, at, axis=place)
    return Laid(array, tuple(a for a in x.axes if a != axis))


def sliced(target: OnnxTarget, array: onnx.Value, place: int, start: Size, stop: Size,
           step: int = 1) -> onnx.Value:  # fmt: skip
    """Positions of one dimension."""
    bounds = target.shape([start]), target.shape([stop])
    return target.emit.op("Slice", array, *bounds, target.emit.ints(place), target.emit.ints(step))


def _slice(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    (x,), attrs = operands, node.attrs
    place = x.axes.index(attrs["axis"])
    axes = (*x.axes[:place], attrs["into"], *x.axes[place + 1 :])
    start, stop, step = attrs["start"], attrs["stop"], attrs["step"]
    if start == 0 and step == 1 and stop == target.typing.size(attrs["axis"]):
        return Laid(x.array, axes)
    return Laid(sliced(target, x.array, place, start, stop, step), axes)


def _concat(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    into = node.attrs["into"]
    named = [
        Laid(x.array, tuple(into if a == axis else a for a in x.axes))
        for x, axis in zip(operands, node.attrs["axes"], strict=True)
    ]
    axes = widest(named, node.output.type.axes)
    parts = [_part(target, x, axes, into) for x in named]
    joined = target.emit.op("Concat", *parts, axis=axes.index(into)) if parts[1:] else parts[0]
    return Laid(joined, axes)


def _part(target: OnnxTarget, x: Laid, axes: Sequence[str], into: str) -> onnx.Value:
    """With every axis; one of extent 1 where it lacks the one that is joined."""
    array: onnx.Value = target.lay(x, axes)
    if all(axis in x.axes for axis in axes if axis != into):
        return array
    sizes = [1 if axis == into else target.typing.size(axis) for axis in axes]
    return target.expand(array, sizes)


def _pad(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    """A fill that has axes itself is chosen wherever there is nothing of x."""
    (x, value), attrs = operands, node.attrs
    axis, into = attrs["axis"], attrs["into"]
    if axis not in x.axes:
        x = Laid(target.expand_dims(x.array, len(x.axes) + 1, [0]), (axis, *x.axes))
    axes = tuple(into if a == axis else a for a in x.axes)
    if not value.axes:
        return Laid(_padded(target, node, x, value.array), axes)
    zero = target.emit.constant(0, node.output.type.dtype)
    padded = Laid(_padded(target, node, x, zero), axes)
    extent = target.typing.size(axis) if axis in node.inputs[0].type.axis_set else 1
    true, false = (target.emit.constant(flag) for flag in (True, False))
    inside = Laid(target.emit.op("Expand", true, target.shape([extent])), (axis,))
    inside = Laid(_padded(target, node, inside, false), (into,))
    return zipped(target, "Where", inside, padded, value)


def _padded(target: OnnxTarget, node: Node, x: Laid, fill: onnx.Value) -> onnx.Value:
    """Positions between others first, then those before and after."""
    emit, attrs = target.emit, node.attrs
    place = x.axes.index(attrs["axis"])
    array: onnx.Value = _spaced(target, node, x, fill) if attrs["interior"] else x.array
    low, high = attrs["low"], attrs["high"]
    if low == 0 and high == 0:
        return array
    return emit.op("Pad", array, target.shape([low, high]), fill, emit.ints(place))


def _spaced(target: OnnxTarget, node: Node, x: Laid, fill: onnx.Value) -> onnx.Value:
    """Fills after each position of the axis, less those after the last one."""
    place, between = x.axes.index(node.attrs["axis"]), node.attrs["interior"]
    bound = node.attrs["axis"] in node.inputs[0].type.axis_set
    extent = target.typing.size(node.attrs["axis"]) if bound else 1
    lead, tail = target.sizes(x.axes[:place]), target.sizes(x.axes[place + 1 :])
    tall = target.expand_dims(x.array, len(x.axes) + 1, [place + 1])
    gaps = target.emit.op(
        "Pad", tall, target.emit.ints(0, between), fill, target.emit.ints(place + 1)
    )
    total = extent * (between + 1)
    flat = target.reshape(gaps, [*lead, extent, between + 1, *tail], [*lead, total, *tail])
    return sliced(target, flat, place, 0, total - between)


def _flip(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    (x,), axes = operands, node.attrs["axes"]
    ints = target.emit.ints
    if not axes:
        return x
    last, steps = [ints(*[n] * len(axes)) for n in (-1, -1)]
    places = ints(*(x.axes.index(axis) for axis in axes))
    stop = ints(*[_BACKWARD] * len(axes))
    return Laid(target.emit.op("Slice", x.array, last, stop, places, steps), x.axes)


TABLE: Mapping[Op, Lowering] = {
    ops.constant: _constant,
    ops.iota: _iota,
    ops.size: _size,
    ops.rename: _rename,
    ops.split: _split,
    ops.merge: _merge,
    ops.broadcast: _broadcast,
    ops.index: _index,
    ops.slice_: _slice,
    ops.concat: _concat,
    ops.pad: _pad,
    ops.flip: _flip,
}
