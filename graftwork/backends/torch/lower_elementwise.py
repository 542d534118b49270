"""torch: ops on every element alone."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from graftwork.backends.engine import Laid, Lowering, widest
from graftwork.backends.torch import kernels, unsigned
from graftwork.backends.torch.arrays import CARRIER
from graftwork.backends.torch.target import TorchTarget
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

Operands = Sequence[Laid]
Function = Callable[..., Any]


def elementwise(function: Function) -> Lowering:
    """A lowering that lets torch broadcast the operands and reduces the result to its range."""
    return partial(_apply, function)


def _apply(function: Function, target: TorchTarget, node: Node, operands: Operands) -> Laid:
    order = widest(operands, node.output.axes)
    found = target.call(function, *(target.zip(x, order) for x in operands))
    return Laid(target.wrap(found, node.output.type.dtype), order)


def _numeric(floats: Function, ints: Function, u64: Function) -> Lowering:
    """Different functions for floats, integers, and integers that need all 64 bits."""

    def lower(target: TorchTarget, node: Node, operands: Operands) -> Laid:
        dtype = node.inputs[0].type.dtype
        function = floats if dtype.is_float else u64 if dtype is DType.u64 else ints
        return _apply(function, target, node, operands)

    return lower


def _abs(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    (x,) = operands
    return x if node.output.type.dtype.is_unsigned else Laid(torch.abs(x.array), x.axes)


def _shift(function: Function) -> Lowering:
    def lower(target: TorchTarget, node: Node, operands: Operands) -> Laid:
        order = widest(operands, node.output.axes)
        dtype = node.output.type.dtype
        arrays = (target.zip(x, order) for x in operands)
        logical = dtype.is_unsigned and function is kernels.shift_right
        chosen = kernels.shift_right_logical if logical else function
        return Laid(target.wrap(target.call(chosen, *arrays, dtype.bits), dtype), order)

    return lower


def _pow(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    """A known exponent is given as a number, for which torch has faster code."""
    if not node.output.type.dtype.is_float:
        return _apply(kernels.power, target, node, operands)
    a, b = operands
    exponent = target.literals.get(b.array.node)
    if exponent is None:
        return _apply(torch.pow, target, node, operands)
    return Laid(torch.pow(a.array, exponent), a.axes)


def cast(target: TorchTarget, x: Any, source: DType, to: DType) -> Any:
    """Conversion between carriers."""
    if source is DType.u64 and to.is_float:
        return target.call(unsigned.to_float, x, CARRIER[to])
    if to is DType.u64 and source.is_float:
        return target.call(unsigned.from_float, x)
    if to in (DType.u16, DType.u32) and source.is_float:
        x = x.to(torch.int64)
    return target.wrap(x.to(CARRIER[to]), to)


def _cast(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    (x,) = operands
    return Laid(cast(target, x.array, node.inputs[0].type.dtype, node.attrs["dtype"]), x.axes)


_BITS = {DType.u16: torch.int16, DType.u32: torch.int32, DType.u64: torch.int64}


def _bitcast(target: TorchTarget, node: Node, operands: Operands) -> Laid:
    """Through the signed integers of the same width."""
    (x,), source, to = operands, node.inputs[0].type.dtype, node.attrs["dtype"]
    array = x.array.to(_BITS[source]) if source in _BITS else x.array
    array = array.view(_BITS.get(to, CARRIER[to]))
    return Laid(target.wrap(array.to(CARRIER[to]), to), x.axes)


_FUNCTIONS: dict[Op, Function] = {
    ops.exp: torch.exp,
    ops.expm1: torch.expm1,
    ops.log: torch.log,
    ops.log1p: torch.log1p,
    ops.sqrt: torch.sqrt,
    ops.rsqrt: torch.rsqrt,
    ops.sin: torch.sin,
    ops.cos: torch.cos,
    ops.tan: torch.tan,
    ops.asin: torch.asin,
    ops.acos: torch.acos,
    ops.atan: torch.atan,
    ops.sinh: torch.sinh,
    ops.cosh: torch.cosh,
    ops.tanh: torch.tanh,
    ops.asinh: torch.asinh,
    ops.acosh: torch.acosh,
    ops.atanh: torch.atanh,
    ops.logistic: torch.sigmoid,
    ops.erf: torch.erf,
    ops.erfc: torch.erfc,
    ops.erf_inv: torch.erfinv,
    ops.lgamma: torch.lgamma,
    ops.digamma: torch.digamma,
    ops.floor: torch.floor,
    ops.ceil: torch.ceil,
    ops.round: torch.round,
    ops.trunc: torch.trunc,
    ops.is_finite: torch.isfinite,
    ops.is_nan: torch.isnan,
    ops.neg: torch.neg,
    ops.add: operator.add,
    ops.sub: operator.sub,
    ops.mul: operator.mul,
    ops.atan2: torch.atan2,
    ops.not_: torch.bitwise_not,
    ops.and_: torch.bitwise_and,
    ops.or_: torch.bitwise_or,
    ops.xor: torch.bitwise_xor,
    ops.eq: operator.eq,
    ops.ne: operator.ne,
    ops.select: torch.where,
    ops.stop_gradient: torch.Tensor.detach,
}
TABLE: dict[Op, Lowering] = {
    **{op: elementwise(function) for op, function in _FUNCTIONS.items()},
    ops.sign: _numeric(kernels.sign, torch.sign, unsigned.sign),
    ops.abs: _abs,
    ops.div: _numeric(operator.truediv, kernels.divide, unsigned.divide),
    ops.rem: _numeric(torch.fmod, kernels.remainder, unsigned.remainder),
    ops.mod: _numeric(torch.remainder, kernels.modulo, unsigned.remainder),
    ops.floor_div: _numeric(torch.floor_divide, kernels.floor_divide, unsigned.divide),
    ops.pow: _pow,
    ops.maximum: _numeric(torch.maximum, torch.maximum, unsigned.maximum),
    ops.minimum: _numeric(torch.minimum, torch.minimum, unsigned.minimum),
    ops.lt: _numeric(operator.lt, operator.lt, unsigned.less),
    ops.le: _numeric(operator.le, operator.le, unsigned.less_equal),
    ops.gt: _numeric(operator.gt, operator.gt, unsigned.greater),
    ops.ge: _numeric(operator.ge, operator.ge, unsigned.greater_equal),
    ops.shift_left: _shift(kernels.shift_left),
    ops.shift_right: _shift(kernels.shift_right),
    ops.shift_right_logical: _shift(kernels.shift_right_logical),
    ops.cast: _cast,
    ops.bitcast: _bitcast,
}
