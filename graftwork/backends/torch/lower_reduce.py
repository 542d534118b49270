"""torch: contraction, reduction, running totals and order along axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from graftwork.backends.engine import (
    Laid,
    Lowering,
    is_pointwise,
    pointwise_window,
    product_order,
    widest,
)
from graftwork.backends.torch import kernels, unsigned
from graftwork.backends.torch.arrays import CARRIER
from graftwork.backends.torch.target import TorchTarget
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

Operands = Sequence[Laid]


def product(
    target: TorchTarget, a: Laid, b: Laid, over: Sequence[str], bias: Laid | None = None
) -> Laid | None:
    """The product as torch's `linear`, where the second operand is a matrix of runs of axes."""
    inner = [axis for axis in b.axes if axis in over]
    own = [axis for axis in b.axes if axis not in over]
    upright = b.axes == (*own, *inner)
    if not inner or not own or set(own) & set(a.axes):
        return None
    if not upright and b.axes != (*inner, *own):
        return None
    left = [[axis] for axis in a.axes if axis not in over]
    weight = target.grouped(b, (own, inner) if upright else (inner, own))
    found = target.call(
        F.linear,
        target.grouped(a, (*left, inner)),
        weight if upright else weight.t(),
        None if bias is None else target.grouped(bias, (own,)),
    )
    return target.ungrouped(found, (*left, own))


def _pointwise(target: TorchTarget, x: Laid, weight: Laid) -> Laid:
    """With channels the fastest in memory, which the kernels and the norms that follow prefer."""
    window, axes = pointwise_window(target, x, weight)
    volume = len(axes) == 5
    order = torch.channels_last_3d if volume else torch.channels_last
    convolve: Callable[..., Any] = F.conv3d if volume else F.conv2d
    return Laid(target.call(convolve, x.array.contiguous(memory_format=order), window), axes)


def contract(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    """As a convolution or `linear` where one operand is a matrix of floats, else as an einsum."""
    over = node.attrs["over"]
    for x, weight in (operands[:2], operands[1::-1]):
        if is_pointwise(target, node, x, weight):
            return _pointwise(target, x, weight)
    a, b = product_order(operands[:2], node.output.axes)
    if node.output.type.dtype.is_float:
        found = product(target, a, b, over)
        if found is not None:
            return found
    letters = {axis: chr(ord("a") + i) for i, axis in enumerate(dict.fromkeys(a.axes + b.axes))}
    shared = [axis for axis in a.axes if axis in b.axes and axis not in over]
    own = [axis for x in (a, b) for axis in x.axes if axis not in over and axis not in shared]
    order = (*shared, *own)
    terms = ["".join(letters[axis] for axis in axes) for axes in (a.axes, b.axes, order)]
    found = target.call(torch.einsum, f"{terms[0]},{terms[1]}->{terms[2]}", a.array, b.array)
    return Laid(target.wrap(found, node.output.type.dtype), order)


def _reduction(function: Callable[..., Any]) -> Lowering:
    """A lowering for `function(target, dtype, array, places)`; nothing to do without axes."""

    def lower(target: TorchTarget, node: Node, operands: Operands) -> Laid:
        (x,), over = operands, node.attrs["over"]
        if not over:
            return x
        kept = tuple(axis for axis in x.axes if axis not in over)
        places = sorted(x.axes.index(axis) for axis in over)
        dtype = node.output.type.dtype
        return Laid(target.wrap(function(target, dtype, x.array, places), dtype), kept)

    return lower


def _sum(target: TorchTarget, dtype: DType, array: Any, places: list[int]) -> Any:
    return target.call(torch.sum, array, places, dtype=CARRIER[dtype])


def _prod(target: TorchTarget, dtype: DType, array: Any, places: list[int]) -> Any:
    return target.call(kernels.product, array, places)


def _extremum(largest: bool) -> Lowering:
    def reduce(target: TorchTarget, dtype: DType, array: Any, places: list[int]) -> Any:
        key, never = comparable(target, dtype, array), _never(dtype, largest)
        found = target.call(kernels.extremum, key, places, largest, never)
        return comparable(target, dtype, found)

    return _reduction(reduce)


def _never(dtype: DType, largest: bool) -> float:
    """What never wins a maximum or a minimum, as the carrier holds it."""
    if dtype.is_float:
        return -math.inf if largest else math.inf
    info = np.iinfo(np.int64 if dtype is DType.u64 else dtype.numpy)
    return int(info.min if largest else info.max)


def comparable(target: TorchTarget, dtype: DType, array: Any) -> Any:
    """A carrier that torch orders as the element type is ordered; its own inverse."""
    return target.call(unsigned.ordered, array) if dtype is DType.u64 else array


def _truth(function: Callable[..., Any]) -> Lowering:
    return _reduction(lambda target, dtype, array, places: target.call(function, array, places))


def _arg(function: Callable[..., Any]) -> Lowering:
    def lower(target: TorchTarget, node: Node, operands: Operands) -> Laid:
        (x,), axis, dtype = operands, node.attrs["axis"], node.attrs["dtype"]
        of = node.inputs[0].type.dtype
        array = x.array.to(torch.uint8) if of is DType.boolean else comparable(target, of, x.array)
        found = target.call(function, array, x.axes.index(axis))
        found = found if dtype is DType.i64 else target.wrap(found.to(CARRIER[dtype]), dtype)
        return Laid(found, tuple(known for known in x.axes if known != axis))

    return lower


def _cumulative(function: Callable[..., Any], order_only: bool = False) -> Lowering:
    def lower(target: TorchTarget, node: Node, operands: Operands) -> Laid:
        (x,), dtype = operands, node.output.type.dtype
        place = x.axes.index(node.attrs["axis"])
        array = x.array.flip(place) if node.attrs["reverse"] else x.array
        if order_only:
            found = target.call(function, comparable(target, dtype, array), place)
            found = comparable(target, dtype, found)
        else:
            found = target.wrap(target.call(function, array, place), dtype)
        return Laid(found.flip(place) if node.attrs["reverse"] else found, x.axes)

    return lower


def _sort(target: TorchTarget, node: Node, operands: Operands) -> list[Laid]:
    order = widest(operands, node.outputs[0].axes)
    place = order.index(node.attrs["axis"])
    arrays = [target.spread(x, order) for x in operands]
    keys = [
        comparable(target, value.type.dtype, array)
        for value, array in zip(node.inputs[: node.attrs["keys"]], arrays, strict=False)
    ]
    where = target.call(kernels.order, keys, place, node.attrs["descending"])
    return [Laid(target.call(torch.take_along_dim, array, where, place), order) for array in arrays]


def _top_k(target: TorchTarget, node: Node, operands: Operands) -> tuple[Laid, Laid]:
    """By a stable sort: torch's own `topk` breaks ties as it likes."""
    (x,), axis, k = operands, node.attrs["axis"], target.value(node.attrs["k"])
    place = x.axes.index(axis)
    key = comparable(target, node.inputs[0].type.dtype, x.array)
    where = target.call(kernels.order, [key], place, True).narrow(place, 0, k)
    axes = tuple(node.attrs["into"] if known == axis else known for known in x.axes)
    return Laid(target.call(torch.take_along_dim, x.array, where, place), axes), Laid(where, axes)


TABLE: dict[Op, Lowering] = {
    ops.contract: contract,
    ops.sum: _reduction(_sum),
    ops.prod: _reduction(_prod),
    ops.max: _extremum(True),
    ops.min: _extremum(False),
    ops.any: _truth(torch.any),
    ops.all: _truth(torch.all),
    ops.argmax: _arg(torch.argmax),
    ops.argmin: _arg(torch.argmin),
    ops.cumsum: _cumulative(kernels.cumsum),
    ops.cumprod: _cumulative(kernels.cumprod),
    ops.cummax: _cumulative(kernels.cummax, order_only=True),
    ops.cummin: _cumulative(kernels.cummin, order_only=True),
    ops.cumlogsumexp: _cumulative(torch.logcumsumexp),
    ops.sort: _sort,
    ops.top_k: _top_k,
}
