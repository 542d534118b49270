"""torch: ops that make, remove and rename axes, and values out of nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from graftwork.backends.engine import Laid, Lowering, adjacent, widest
from graftwork.backends.torch import kernels
from graftwork.backends.torch.arrays import CARRIER, as_torch
from graftwork.backends.torch.target import TorchTarget
from graftwork.ir import ops
from graftwork.ir.attributes import Literal
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

Operands = Sequence[Laid]


def _constant(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    value, axes = node.attrs["value"], node.attrs["axes"]
    if value.shape or value.dtype is DType.u64:
        tensor = as_torch(value.array.copy()).to(CARRIER[value.dtype])
        return Laid(target.attribute("constant", tensor), axes)
    return Laid(_scalar(target, value), axes)


def _scalar(target: TorchTarget, value: Literal) -> object:
    number = value.item()
    dtype = CARRIER[value.dtype]
    proxy = target.call(torch.full, (), number, dtype=dtype, device=target.device)
    target.literals[proxy.node] = number
    return proxy


def _iota(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    axis, dtype = node.attrs["axis"], node.attrs["dtype"]
    places = target.call(torch.arange, target.size(axis), device=target.device)
    if dtype is DType.i64:
        return Laid(places, (axis,))
    return Laid(target.wrap(places.to(CARRIER[dtype]), dtype), (axis,))


def _size(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    dtype = node.attrs["dtype"]
    value = target.value(node.attrs["value"])
    return Laid(target.call(torch.full, (), value, dtype=CARRIER[dtype], device=target.device), ())


def _rename(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    (x,), mapping = operands, dict(node.attrs["axes"])
    return Laid(x.array, tuple(mapping.get(axis, axis) for axis in x.axes))


def _split(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    (x,), into = operands, node.attrs["into"]
    place = x.axes.index(node.attrs["axis"])
    sizes = [target.value(size) for size in node.attrs["sizes"]]
    array = x.array.unflatten(place, sizes) if into else x.array.squeeze(place)
    return Laid(array, (*x.axes[:place], *into, *x.axes[place + 1 :]))


def _merge(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    (x,), axes, into = operands, node.attrs["axes"], node.attrs["into"]
    order, place = adjacent(x.axes, axes, into, node.output.axes)
    array = target.lay(x, order)
    if not axes:
        array = array.unsqueeze(place)
    elif len(axes) > 1:
        array = array.flatten(place, place + len(axes) - 1)
    return Laid(array, (*order[:place], into, *order[place + len(axes) :]))


def _broadcast(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    order = widest(operands, node.output.axes)
    return Laid(target.spread(operands[0], order), order)


def _index(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    (x,) = operands
    place = x.axes.index(node.attrs["axis"])
    taken = x.array.select(place, target.value(node.attrs["at"]))
    return Laid(taken, (*x.axes[:place], *x.axes[place + 1 :]))


def _slice(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    (x,), into = operands, node.attrs["into"]
    place = x.axes.index(node.attrs["axis"])
    start, stop = (target.value(node.attrs[word]) for word in ("start", "stop"))
    key = (*[slice(None)] * place, slice(start, stop, node.attrs["step"]))
    return Laid(x.array[key], (*x.axes[:place], into, *x.axes[place + 1 :]))


def renamed(x: Laid, axis: str, into: str) -> Laid:
    """With one axis called otherwise, where it is there."""
    return Laid(x.array, tuple(into if known == axis else known for known in x.axes))


def _lengthened(x: Laid, axis: str) -> Laid:
    """With the axis, of extent 1, where it is not there."""
    return x if axis in x.axes else Laid(x.array.unsqueeze(0), (axis, *x.axes))


def _beside(target: TorchTarget, x: Laid, order: Sequence[str]) -> object:
    """The array in this order, repeated along axes that it lacks."""
    array = target.lay(x, order)
    if len(x.axes) == len(order):
        return array
    return array.expand([-1 if axis in x.axes else target.size(axis) for axis in order])


def _concat(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    into = node.attrs["into"]
    named = [
        _lengthened(renamed(x, axis, into), into)
        for x, axis in zip(operands, node.attrs["axes"], strict=True)
    ]
    order = widest(named, node.output.axes)
    parts = [_beside(target, x, order) for x in named]
    return Laid(target.call(torch.cat, parts, order.index(into)), order)


def _pad(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    into = node.attrs["into"]
    x = _lengthened(renamed(operands[0], node.attrs["axis"], into), into)
    order = widest([x, operands[1]], node.output.axes)
    value = target.lay(operands[1], order)
    low, high = target.value(node.attrs["low"]), target.value(node.attrs["high"])
    padded = target.call(
        kernels.pad,
        _beside(target, x, order),
        value,
        order.index(into),
        low,
        high,
        node.attrs["interior"],
    )
    return Laid(padded, order)


def _flip(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    (x,) = operands
    return Laid(x.array.flip([x.axes.index(axis) for axis in node.attrs["axes"]]), x.axes)


TABLE: dict[Op, Lowering] = {
    ops.constant: _constant,
    ops.iota: _iota,
    ops.size: _size,
    ops.rename: _rename,
    ops.split: _split,
    ops.merge: _merge,
    ops.broadcast: _broadcast,
    ops.index: _index,
    ops.slice: _slice,
    ops.concat: _concat,
    ops.pad: _pad,
    ops.flip: _flip,
}
