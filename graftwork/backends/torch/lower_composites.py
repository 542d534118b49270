"""torch: fused kernels for activations, statistics, norms and affine maps.

A kernel is used where it computes exactly what the composite means; elsewhere the body is lowered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from graftwork.backends.engine import Laid, Lowering
from graftwork.backends.torch.lower_elementwise import elementwise
from graftwork.backends.torch.lower_reduce import product
from graftwork.backends.torch.target import TorchTarget
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

Operands = Sequence[Laid]


def _activation(function: Callable[..., Any], **names: str) -> Lowering:
    """A function of one float array; `names` says what torch calls each attribute."""

    def lower(target: TorchTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
        (x,) = operands
        if not node.output.type.dtype.is_float:
            return target.open_body(node, operands)
        attrs = {names[name]: node.attrs[name] for name in node.attrs}
        return Laid(target.call(function, x.array, **attrs), x.axes)

    return lower


def _softplus(target: TorchTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
    (x,), threshold = operands, node.attrs["threshold"]
    if threshold is None:
        return target.open_body(node, operands)
    return Laid(target.call(F.softplus, x.array, node.attrs["beta"], threshold), x.axes)


def _along(function: Callable[..., Any]) -> Lowering:
    """A function along one axis, which stays."""

    def lower(target: TorchTarget, node: Node, operands: Operands) -> Laid:
        (x,) = operands
        return Laid(target.call(function, x.array, x.axes.index(node.attrs["axis"])), x.axes)

    return lower


def _over(function: Callable[..., Any]) -> Lowering:
    """A function that removes axes; other attributes are given by name."""

    def lower(target: TorchTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
        (x,), over = operands, node.attrs["over"]
        if not over:
            return target.open_body(node, operands)
        attrs = {name: node.attrs[name] for name in node.attrs if name != "over"}
        places = [x.axes.index(axis) for axis in over]
        kept = tuple(axis for axis in x.axes if axis not in over)
        return Laid(target.call(function, x.array, places, **attrs), kept)

    return lower


def _linear(target: TorchTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
    """With the bias inside where it lies along the output axes of the weight."""
    x, weight, *rest = operands
    over = node.attrs["over"]
    own = {axis for axis in weight.axes if axis not in over}
    found = None
    if rest and set(rest[0].axes) == own and node.output.type.dtype.is_float:
        found = product(target, x, weight, over, rest[0])
    return target.open_body(node, operands) if found is None else found


def _embedding(target: TorchTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
    (table, ids), axis = operands, node.attrs["axis"]
    narrow = node.inputs[1].type.dtype in (DType.i32, DType.i64)
    if len(table.axes) != 2 or table.axes[0] != axis or table.axes[1] in ids.axes or not narrow:
        return target.open_body(node, operands)
    return Laid(target.call(F.embedding, ids.array, table.array), (*ids.axes, table.axes[1]))


def _affine(target: TorchTarget, parts: Operands, axes: tuple[str, ...]) -> list[Any] | None:
    """Weight and bias over exactly these axes, or None if they lie over others."""
    if any(set(part.axes) != set(axes) for part in parts):
        return None
    return [target.lay(part, axes) for part in parts]


def _last(x: Laid, over: Sequence[str]) -> tuple[str, ...]:
    """An order with the axes `over` last."""
    return (*(a for a in x.axes if a not in over), *(a for a in x.axes if a in over))


def _layer_norm(target: TorchTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
    x, *rest = operands
    order = _last(x, node.attrs["over"])
    normed = order[len(order) - len(node.attrs["over"]) :]
    affine = _affine(target, rest, normed)
    if affine is None or not normed:
        return target.open_body(node, operands)
    shape = [target.size(axis) for axis in normed]
    words = dict(zip(("weight", "bias"), affine, strict=False))
    found = target.call(F.layer_norm, target.lay(x, order), shape, eps=node.attrs["eps"], **words)
    return Laid(found, order)


def _rms_norm(target: TorchTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
    """Of wide floats: of 16-bit ones the attributes say where to round, and the kernel does not."""
    x, *rest = operands
    order = _last(x, node.attrs["over"])
    normed = order[len(order) - len(node.attrs["over"]) :]
    affine = _affine(target, rest, normed)
    if affine is None or not normed or node.output.type.dtype.bits == 16:
        return target.open_body(node, operands)
    shape = [target.size(axis) for axis in normed]
    weight = affine[0] if affine else None
    if weight is not None and node.attrs["offset"] != 0.0:
        weight = weight + node.attrs["offset"]
    found = target.call(F.rms_norm, target.lay(x, order), shape, weight, node.attrs["eps"])
    return Laid(found, order)


def _batch_norm(target: TorchTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
    """torch wants the channels second."""
    x, *rest = operands
    channels = rest[0].axes
    affine = _affine(target, rest, channels)
    if affine is None or len(channels) != 1 or len(x.axes) < 2 or channels[0] not in x.axes:
        return target.open_body(node, operands)
    others = [axis for axis in x.axes if axis != channels[0]]
    order = (others[0], channels[0], *others[1:])
    found = target.call(F.batch_norm, target.lay(x, order), *affine, eps=node.attrs["eps"])
    return Laid(found, order)


def _group_norm(target: TorchTarget, node: Node, operands: Operands) -> Laid | Sequence[Laid]:
    x, *rest = operands
    axis, over, groups = node.attrs["axis"], node.attrs["over"], node.attrs["groups"]
    affine = _affine(target, rest, (axis,))
    if affine is None:
        return target.open_body(node, operands)
    spatial = [a for a in x.axes if a in over]
    batch = [a for a in x.axes if a not in over and a != axis]
    dims = (batch, [axis], *([a] for a in spatial))
    words = dict(zip(("weight", "bias"), affine, strict=False))
    found = target.call(
        F.group_norm, target.grouped(x, dims), groups, eps=node.attrs["eps"], **words
    )
    return target.ungrouped(found, dims)


TABLE: Mapping[Op, Lowering] = {
    ops.relu: _activation(F.relu),
    ops.gelu: _activation(F.gelu, approximate="approximate"),
    ops.silu: _activation(F.silu),
    ops.log_sigmoid: _activation(F.logsigmoid),
    ops.mish: _activation(F.mish),
    ops.leaky_relu: _activation(F.leaky_relu, slope="negative_slope"),
    ops.elu: _activation(F.elu, alpha="alpha"),
    ops.selu: _activation(F.selu),
    ops.clip: _activation(torch.clamp, low="min", high="max"),
    ops.hard_sigmoid: _activation(F.hardsigmoid),
    ops.hard_swish: _activation(F.hardswish),
    ops.softplus: _softplus,
    ops.logaddexp: elementwise(torch.logaddexp),
    ops.softmax: _along(F.softmax),
    ops.log_softmax: _along(F.log_softmax),
    ops.mean: _over(torch.mean),
    ops.var: _over(torch.var),
    ops.logsumexp: _over(torch.logsumexp),
    ops.linear: _linear,
    ops.embedding: _embedding,
    ops.layer_norm: _layer_norm,
    ops.rms_norm: _rms_norm,
    ops.batch_norm: _batch_norm,
    ops.group_norm: _group_norm,
}
