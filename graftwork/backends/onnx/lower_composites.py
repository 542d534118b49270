"""ONNX: composites that the runtime has fused kernels for. All others open into their bodies.

A kernel is used where it means the same as the body; where operands or attributes ask for what
it cannot do, the composite opens too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir as onnx

from graftwork.backends.engine import Laid, Lowering
from graftwork.backends.onnx.kernels import carrier
from graftwork.backends.onnx.target import OnnxTarget, Operands
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

Attributes = Callable[..., "dict[str, Any] | None"]


def _activation(kind: str, attributes: Attributes = dict) -> Lowering:
    """An activation with a kernel, for those attributes that `attributes` does not answer None."""

    def lower(target: OnnxTarget, node: Node, operands: Operands) -> Any:
        (x,) = operands
        attrs = attributes(**node.attrs.as_dict())
        dtype = node.output.type.dtype
        if attrs is None or not dtype.is_float or carrier(kind, dtype) is None:
            return target.open_body(node, operands)
        return Laid(target.emit.op(kind, x.array, **attrs), x.axes)

    return lower


def _softplus(beta: float, threshold: float | None) -> dict[str, Any] | None:
    """From 20 on the difference is below the last bit of f32."""
    exact = beta == 1.0 and (threshold is None or threshold >= 20.0)
    return {} if exact else None


def _along(kind: str) -> Lowering:
    def lower(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
        (x,) = operands
        axis = x.axes.index(node.attrs["axis"])
        return Laid(target.emit.op(kind, x.array, axis=axis), x.axes)

    return lower


def _mean(target: OnnxTarget, node: Node, operands: Operands) -> Any:
    """The kernel's mean of nothing is 0, and not NaN."""
    (x,), over = operands, node.attrs["over"]
    if not over or not target.certain(over):
        return target.open_body(node, operands)
    places = target.emit.ints(*(x.axes.index(axis) for axis in over))
    array = target.emit.op("ReduceMean", x.array, places, keepdims=0)
    return Laid(array, tuple(axis for axis in x.axes if axis not in over))


# --- norms --------------------------------------------------------------------------------------


def _trailing(x: Laid, over: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The axes that are not normalised, and those that are, in an order that x holds."""
    return tuple(a for a in x.axes if a not in over), tuple(a for a in x.axes if a in over)


def _gain(target: OnnxTarget, node: Node, weight: Laid | None, over: tuple[str, ...],
          offset: float = 0.0) -> onnx.Value | None:  # fmt: skip
    """The scale that a norm's kernel must have; None where the kernel does not fit.

    Its eps is an f32, which is not precise enough for f64.
    """
    dtype = node.output.type.dtype
    if dtype is DType.f64 or not over or not target.certain(over):
        return None
    sizes = target.sizes(over)
    if weight is None:
        known = [size for size in sizes if isinstance(size, int)]
        return target.emit.constant(np.ones(known), dtype) if known == sizes else None
    if set(weight.axes) != set(over) or node.inputs[1].type.dtype is not dtype:
        return None
    gain: onnx.Value = target.lay(weight, over)
    return target.emit.op("Add", gain, target.emit.constant(offset, dtype)) if offset else gain


def _layer_norm(target: OnnxTarget, node: Node, operands: Operands) -> Any:
    x, *rest = operands
    lead, over = _trailing(x, node.attrs["over"])
    weight, bias = [*rest, None, None][:2]
    gain = _gain(target, node, weight, over)
    fits = bias is None or (
        set(bias.axes) == set(over) and node.inputs[2].type.dtype is node.output.type.dtype
    )
    if gain is None or not fits:
        return target.open_body(node, operands)
    shift = [] if bias is None else [target.lay(bias, over)]
    array = target.emit.op(
        "LayerNormalization", target.lay(x, (*lead, *over)), gain, *shift,
        axis=len(lead), epsilon=node.attrs["eps"],
    )  # fmt: skip
    return Laid(array, (*lead, *over))


def _rms_norm(target: OnnxTarget, node: Node, operands: Operands) -> Any:
    """Rounding before the weight is something that the kernel does not do."""
    x, *rest = operands
    lead, over = _trailing(x, node.attrs["over"])
    weight = rest[0] if rest else None
    rounds = node.output.type.dtype.bits == 16 and node.attrs["weight_after_cast"]
    offset = node.attrs["offset"] if rest else 0.0
    gain = None if rounds else _gain(target, node, weight, over, offset)
    if gain is None:
        return target.open_body(node, operands)
    array = target.emit.op(
        "RMSNormalization", target.lay(x, (*lead, *over)), gain,
        axis=len(lead), epsilon=node.attrs["eps"],
    )  # fmt: skip
    return Laid(array, (*lead, *over))


def _batch_norm(target: OnnxTarget, node: Node, operands: Operands) -> Any:
    """The kernel wants the channels second, and both gains; the runtime folds it into weights."""
    x, *rest = operands
    channels = x.axes[1:2]
    alike = all(other.axes == channels for other in rest)
    if not channels or not alike or any(value.type.dtype is not DType.f32 for value in node.inputs):
        return target.open_body(node, operands)
    (size,) = target.sizes(channels)
    if not isinstance(size, int) or not target.certain(x.axes[1:]):
        return target.open_body(node, operands)
    mean, var, *gains = (other.array for other in rest)
    for missing in (1.0, 0.0)[len(gains) :]:
        gains.append(target.emit.constant(np.full(size, missing), DType.f32))
    array = target.emit.op(
        "BatchNormalization", x.array, *gains, mean, var, epsilon=node.attrs["eps"]
    )
    return Laid(array, x.axes)


TABLE: Mapping[Op, Lowering] = {
    ops.relu: _activation("Relu"),
    ops.gelu: _activation("Gelu", lambda approximate: {"approximate": approximate}),
    ops.softplus: _activation("Softplus", _softplus),
    ops.leaky_relu: _activation("LeakyRelu", lambda slope: {"alpha": slope}),
    ops.elu: _activation("Elu", lambda alpha: {"alpha": alpha}),
    ops.softmax: _along("Softmax"),
    ops.log_softmax: _along("LogSoftmax"),
    ops.mean: _mean,
    ops.layer_norm: _layer_norm,
    ops.rms_norm: _rms_norm,
    ops.batch_norm: _batch_norm,
}
