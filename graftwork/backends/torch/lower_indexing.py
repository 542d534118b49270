"""torch: reading and writing at computed positions, and sliding windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from graftwork.backends.engine import Laid, Lowering, widest
from graftwork.backends.torch import kernels
from graftwork.backends.torch.lower_reduce import comparable
from graftwork.backends.torch.target import TorchTarget
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node, Value
from graftwork.ir.op import Op

Operands = Sequence[Laid]


def _positions(
    target: TorchTarget, values: Sequence[Value], indices: Operands, order: Sequence[str]
) -> list[Any]:
    """Index operands as i64 that broadcast in this order."""
    return [
        target.zip(index, order)
        if value.type.dtype is DType.i64
        else target.zip(index, order).to(torch.int64)
        for value, index in zip(values, indices, strict=True)
    ]


def _grid(target: TorchTarget, axes: Sequence[str], order: Sequence[str]) -> list[Any]:
    """The positions along each of these axes, which broadcast in this order."""
    return [
        target.zip(
            Laid(target.call(torch.arange, target.size(axis), device=target.device), (axis,)), order
        )
        for axis in axes
    ]


def _gather(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    x, *indices = operands
    axes, mode, fill = node.attrs["axes"], node.attrs["mode"], node.attrs["fill"]
    if not indices:
        return x
    points = widest(indices, dict.fromkeys(axis for index in indices for axis in index.axes))
    shared = [axis for axis in points if axis in x.axes and axis not in axes]
    rest = [axis for axis in x.axes if axis not in axes and axis not in shared]
    dtype = node.output.type.dtype
    number = fill if dtype.is_float else int(fill) if math.isfinite(fill) else 0
    wanted = _positions(target, node.inputs[1:], indices, points)
    if mode == "promise" and len(axes) == 1 and not shared:
        place = x.axes.index(axes[0])
        taken = target.call(kernels.take, x.array, place, *wanted)
        return Laid(taken, (*x.axes[:place], *points, *x.axes[place + 1 :]))
    taken = target.call(
        kernels.gather,
        target.lay(x, (*axes, *shared, *rest)),
        wanted,
        _grid(target, shared, points),
        mode,
        bool(fill) if dtype is DType.boolean else number,
    )
    return Laid(taken, (*points, *rest))


def _scatter(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    x, updates, *indices = operands
    axes, over, combine = node.attrs["axes"], node.attrs["over"], node.attrs["combine"]
    if not indices:
        return Laid(target.spread(x, node.output.axes), node.output.axes)
    addressed = dict.fromkeys(axis for index in indices for axis in index.axes)
    shared = [axis for axis in node.output.axes if axis in addressed and axis not in over]
    rest = [axis for axis in node.output.axes if axis not in axes and axis not in shared]
    points, order = (*over, *shared), (*axes, *shared, *rest)
    dtype = node.output.type.dtype
    arrays = [target.spread(x, order), target.spread(updates, (*points, *rest))]
    if combine in ("min", "max"):
        arrays = [comparable(target, dtype, array) for array in arrays]
    written = target.call(
        kernels.scatter,
        *arrays,
        _positions(target, node.inputs[2:], indices, points),
        _grid(target, shared, points),
        combine,
        node.attrs["mode"],
    )
    if combine in ("min", "max"):
        written = comparable(target, dtype, written)
    return Laid(target.wrap(written, dtype), order)


def _window(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    (x,), into, kernel = operands, node.attrs["into"], node.attrs["kernel"]
    place = x.axes.index(node.attrs["axis"])
    size = target.value(node.attrs["size"])
    stride, dilation = node.attrs["stride"], node.attrs["dilation"]
    found = target.call(kernels.window, x.array, place, size, stride, dilation)
    return Laid(found, (*x.axes[:place], into, kernel, *x.axes[place + 1 :]))


TABLE: dict[Op, Lowering] = {
    ops.gather: _gather,
    ops.scatter: _scatter,
    ops.window: _window,
}
