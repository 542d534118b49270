"""JAX: ops that make, remove and rename axes, and values out of nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from graftwork.backends.engine import Laid, Lowering, adjacent, widest
from graftwork.backends.jax.target import JaxTarget
from graftwork.ir import ops
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

Operands = Sequence[Laid]


def _constant(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    return Laid(jnp.asarray(node.attrs["value"].array), node.attrs["axes"])


def _iota(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    axis = node.attrs["axis"]
    return Laid(lax.iota(node.attrs["dtype"].numpy, target.size(axis)), (axis,))


def _size(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    value = np.asarray(target.value(node.attrs["value"])).astype(node.attrs["dtype"].numpy)
    return Laid(jnp.asarray(value), ())


def _rename(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    (x,), mapping = operands, dict(node.attrs["axes"])
    return Laid(x.array, tuple(mapping.get(axis, axis) for axis in x.axes))


def _split(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    (x,), into = operands, node.attrs["into"]
    place = x.axes.index(node.attrs["axis"])
    sizes = [target.value(size) for size in node.attrs["sizes"]]
    shape = (*x.array.shape[:place], *sizes, *x.array.shape[place + 1 :])
    return Laid(lax.reshape(x.array, shape), (*x.axes[:place], *into, *x.axes[place + 1 :]))


def _merge(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    (x,), axes, into = operands, node.attrs["axes"], node.attrs["into"]
    order, place = adjacent(x.axes, axes, into, node.output.axes)
    kept = (*order[:place], into, *order[place + len(axes) :])
    sizes = [target.size(axis) for axis in kept]
    return Laid(lax.reshape(target.lay(x, order), sizes), kept)


def _broadcast(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    order = widest(operands, node.output.axes)
    return Laid(target.spread(operands[0], order), order)


def _index(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    (x,) = operands
    place, at = x.axes.index(node.attrs["axis"]), target.value(node.attrs["at"])
    taken = lax.index_in_dim(x.array, at, place, keepdims=False)
    return Laid(taken, (*x.axes[:place], *x.axes[place + 1 :]))


def _slice(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    (x,), into = operands, node.attrs["into"]
    place = x.axes.index(node.attrs["axis"])
    stop = min(target.value(node.attrs["stop"]), x.array.shape[place])
    start = min(target.value(node.attrs["start"]), stop)
    taken = lax.slice_in_dim(x.array, start, stop, node.attrs["step"], place)
    return Laid(taken, (*x.axes[:place], into, *x.axes[place + 1 :]))


def renamed(x: Laid, axis: str, into: str) -> Laid:
    """With one axis called otherwise, where it is there."""
    return Laid(x.array, tuple(into if known == axis else known for known in x.axes))


def _concat(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    into = node.attrs["into"]
    named = [renamed(x, axis, into) for x, axis in zip(operands, node.attrs["axes"], strict=True)]
    order = widest(named, node.output.axes)
    parts = []
    for x in named:
        long = x if into in x.axes else Laid(lax.expand_dims(x.array, [0]), (into, *x.axes))
        parts.append(_beside(target, long, order))
    return Laid(lax.concatenate(parts, order.index(into)), order)


def _beside(target: JaxTarget, x: Laid, order: Sequence[str]) -> Any:
    """The array in this order, repeated along axes that it lacks, but as long as it is."""
    extents = dict(zip(x.axes, x.array.shape, strict=True))
    shape = [extents[axis] if axis in extents else target.size(axis) for axis in order]
    present = [axis for axis in order if axis in extents]
    return lax.broadcast_in_dim(
        target.lay(x, present), shape, [order.index(axis) for axis in present]
    )


def _pad(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    axis, into = node.attrs["axis"], node.attrs["into"]
    x, value = renamed(operands[0], axis, into), operands[1]
    if into not in x.axes:
        x = Laid(lax.expand_dims(x.array, [0]), (into, *x.axes))
    low, high = target.value(node.attrs["low"]), target.value(node.attrs["high"])
    config = [(low, high, node.attrs["interior"]) if axis == into else (0, 0, 0) for axis in x.axes]
    if not value.axes:
        return Laid(lax.pad(x.array, value.array, config), x.axes)
    order = widest([x, value], node.output.axes)
    padded = lax.pad(x.array, jnp.zeros((), x.array.dtype), config)
    outside = lax.pad(jnp.zeros(x.array.shape, np.bool_), np.bool_(True), config)
    arrays = (Laid(outside, x.axes), value, Laid(padded, x.axes))
    return Laid(lax.select(*(target.spread(y, order) for y in arrays)), order)


def _flip(target: JaxTarget, node: Node, operands: Operands) -> Laid:
    (x,) = operands
    return Laid(lax.rev(x.array, [x.axes.index(axis) for axis in node.attrs["axes"]]), x.axes)


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
