"""ONNX: ops that act on every element alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir as onnx

from graftwork.backends.engine import Laid, Lowering, widest
from graftwork.backends.onnx import formulas
from graftwork.backends.onnx.emit import Emitter, dtype_of_value, literal
from graftwork.backends.onnx.kernels import ELEMENT, carrier
from graftwork.backends.onnx.target import OnnxTarget, Operands
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node
from graftwork.ir.op import Op

Rule = Callable[..., onnx.Value]


def pointwise(rule: Rule) -> Lowering:
    """`rule(emit, *arrays)` on operands that are brought into one order of dimensions."""

    def lower(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
        axes = widest(operands, node.output.type.axes)
        return Laid(rule(target.emit, *target.aligned(operands, axes)), axes)

    return lower


def kernel(kind: str, *, result: DType | None = None, **attrs: Any) -> Lowering:
    """An op that ONNX has."""
    return pointwise(lambda emit, *xs: emit.op(kind, *xs, dtype=result, **attrs))


def formula(rule: Callable[..., Any]) -> Lowering:
    """An op that ONNX lacks, as an expression of others."""
    return lambda target, node, operands: target.open(node, operands, rule)


def kernel_or(kind: str, rule: Callable[..., Any], **attrs: Any) -> Lowering:
    """An op that ONNX has for some dtypes; an expression of others for the rest."""
    direct, opened = kernel(kind, **attrs), formula(rule)

    def lower(target: OnnxTarget, node: Node, operands: Operands) -> Any:
        found = carrier(kind, node.inputs[0].type.dtype)
        chosen = opened if found is None else direct
        return chosen(target, node, operands)

    return lower


def by_dtype(floats: Lowering, ints: Lowering) -> Lowering:
    """An op whose lowering depends on whether its operands are floats."""

    def lower(target: OnnxTarget, node: Node, operands: Operands) -> Any:
        chosen = floats if node.inputs[0].type.dtype.is_float else ints
        return chosen(target, node, operands)

    return lower


# --- one operand --------------------------------------------------------------------------------


def _trunc(emit: Emitter, x: onnx.Value) -> onnx.Value:
    zero = emit.constant(0, dtype_of_value(x))
    negative = emit.op("Less", x, zero, dtype=DType.boolean)
    return emit.op("Where", negative, emit.op("Ceil", x), emit.op("Floor", x))


def _is_finite(emit: Emitter, x: onnx.Value) -> onnx.Value:
    infinite, nan = (emit.op(kind, x, dtype=DType.boolean) for kind in ("IsInf", "IsNaN"))
    return emit.op("Not", emit.op("Or", infinite, nan))


def _not(emit: Emitter, x: onnx.Value) -> onnx.Value:
    return emit.op("Not" if dtype_of_value(x) is DType.boolean else "BitwiseNot", x)


# --- integers -----------------------------------------------------------------------------------


def _guarded(emit: Emitter, kind: str, a: onnx.Value, b: onnx.Value,
             at_zero: Rule, at_minus_one: Rule) -> onnx.Value:  # fmt: skip
    """An integer division that the processor does not trap: none by 0, none of the least by -1."""
    dtype = dtype_of_value(b)
    known = literal(b)
    awkward = [(0, at_zero)] if dtype.is_unsigned else [(0, at_zero), (-1, at_minus_one)]
    if known is not None:
        awkward = [(value, rule) for value, rule in awkward if (known == value).any()]
    hits = [emit.op("Equal", b, emit.constant(v, dtype), dtype=DType.boolean) for v, _ in awkward]
    safe = b
    for hit in hits:
        safe = emit.op("Where", hit, emit.constant(1, dtype), safe)
    result = emit.op(kind, a, safe)
    for hit, (_, rule) in zip(hits, awkward, strict=True):
        result = emit.op("Where", hit, rule(emit, a), result)
    return result


def _zero(emit: Emitter, a: onnx.Value) -> onnx.Value:
    return emit.constant(0, dtype_of_value(a))


def _minus_one(emit: Emitter, a: onnx.Value) -> onnx.Value:
    return emit.constant(-1 if not dtype_of_value(a).is_unsigned else _top(dtype_of_value(a)),
                         dtype_of_value(a))  # fmt: skip


def _top(dtype: DType) -> int:
    return int(np.iinfo(dtype.numpy).max)


def _negated(emit: Emitter, a: onnx.Value) -> onnx.Value:
    return emit.op("Neg", a)


def _itself(emit: Emitter, a: onnx.Value) -> onnx.Value:
    return a


def _int_div(emit: Emitter, a: onnx.Value, b: onnx.Value) -> onnx.Value:
    return _guarded(emit, "Div", a, b, _minus_one, _negated)


def _int_mod(emit: Emitter, a: onnx.Value, b: onnx.Value) -> onnx.Value:
    return _guarded(emit, "Mod", a, b, _itself, _zero)


def _int_pow(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    """As many squarings as the exponent, where it is known, or its dtype has bits."""
    known = literal(operands[1].array)
    bits = node.output.type.dtype.bits
    if known is not None and known.size:
        bits = int(np.max(np.abs(known.astype(object)))).bit_length()
    return target.open(node, operands, formulas.int_pow(bits))


def _bits(logical: str, bitwise: str) -> Lowering:
    def rule(emit: Emitter, a: onnx.Value, b: onnx.Value) -> onnx.Value:
        return emit.op(logical if dtype_of_value(a) is DType.boolean else bitwise, a, b)

    return pointwise(rule)


def _shifted(emit: Emitter, a: onnx.Value, b: onnx.Value, direction: str) -> onnx.Value:
    """Bits moved within an unsigned integer of at least 32 bits; 0 where all of them leave."""
    own = dtype_of_value(a)
    word = DType.u64 if own.bits == 64 else DType.u32
    unsigned = DType(f"u{own.bits}")
    bits = emit.cast(emit.cast(a, unsigned), word)
    count = emit.cast(b, word)  # a negative count becomes a great one
    far = emit.op("GreaterOrEqual", count, emit.constant(own.bits, word), dtype=DType.boolean)
    near = emit.op("Where", far, emit.constant(0, word), count)
    moved = emit.op("BitShift", bits, near, direction=direction)
    kept = emit.op("Where", far, emit.constant(0, word), moved)
    return emit.cast(emit.cast(kept, unsigned), own)


def _shift_left(emit: Emitter, a: onnx.Value, b: onnx.Value) -> onnx.Value:
    return _shifted(emit, a, b, "LEFT")


def _shift_right_logical(emit: Emitter, a: onnx.Value, b: onnx.Value) -> onnx.Value:
    return _shifted(emit, a, b, "RIGHT")


def _shift_right(emit: Emitter, a: onnx.Value, b: onnx.Value) -> onnx.Value:
    """Of a negative number the complement shifts, so that ones come in."""
    dtype = dtype_of_value(a)
    if dtype.is_unsigned:
        return _shift_right_logical(emit, a, b)
    negative = emit.op("Less", a, emit.constant(0, dtype), dtype=DType.boolean)
    flipped = emit.op("Where", negative, emit.op("BitwiseNot", a), a)
    moved = _shift_right_logical(emit, flipped, b)
    return emit.op("Where", negative, emit.op("BitwiseNot", moved), moved)


# --- floats, comparison, casts ------------------------------------------------------------------


def _compare(kind: str) -> Lowering:
    def rule(emit: Emitter, a: onnx.Value, b: onnx.Value) -> onnx.Value:
        return emit.op(kind, a, b, dtype=DType.boolean)

    return pointwise(rule)


def _ne(emit: Emitter, a: onnx.Value, b: onnx.Value) -> onnx.Value:
    return emit.op("Not", emit.op("Equal", a, b, dtype=DType.boolean))


def _cast(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    (x,) = operands
    return Laid(target.emit.cast(x.array, node.attrs["dtype"]), x.axes)


def _bitcast(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    (x,), dtype = operands, node.attrs["dtype"]
    if x.array.dtype == ELEMENT[dtype]:
        return x
    return Laid(target.emit.op("BitCast", x.array, dtype=dtype, to=int(ELEMENT[dtype])), x.axes)


def _same(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    return operands[0]


TABLE: Mapping[Op, Lowering] = {
    ops.exp: kernel("Exp"),
    ops.expm1: formula(formulas.expm1),
    ops.log: kernel("Log"),
    ops.log1p: formula(formulas.log1p),
    ops.sqrt: kernel("Sqrt"),
    ops.rsqrt: pointwise(lambda emit, x: emit.op("Reciprocal", emit.op("Sqrt", x))),
    ops.sin: kernel("Sin"),
    ops.cos: kernel("Cos"),
    ops.tan: kernel_or("Tan", formulas.tan),
    ops.asin: kernel_or("Asin", formulas.asin),
    ops.acos: kernel_or("Acos", formulas.acos),
    ops.atan: kernel_or("Atan", formulas.atan),
    ops.sinh: kernel_or("Sinh", formulas.sinh),
    ops.cosh: kernel_or("Cosh", formulas.cosh),
    ops.tanh: kernel("Tanh"),
    ops.asinh: kernel_or("Asinh", formulas.asinh),
    ops.acosh: kernel_or("Acosh", formulas.acosh),
    ops.atanh: kernel_or("Atanh", formulas.atanh),
    ops.logistic: kernel("Sigmoid"),
    ops.erf: kernel_or("Erf", formulas.erf),
    ops.erfc: formula(formulas.in_f64(formulas.erfc)),
    ops.erf_inv: formula(formulas.in_f64(formulas.erf_inv)),
    ops.lgamma: formula(formulas.in_f64(formulas.lgamma)),
    ops.digamma: formula(formulas.in_f64(formulas.digamma)),
    ops.floor: kernel("Floor"),
    ops.ceil: kernel("Ceil"),
    ops.round: kernel("Round"),
    ops.trunc: pointwise(_trunc),
    ops.sign: kernel("Sign"),
    ops.neg: kernel("Neg"),
    ops.abs: kernel("Abs"),
    ops.is_finite: pointwise(_is_finite),
    ops.is_nan: kernel("IsNaN", result=DType.boolean),
    ops.not_: pointwise(_not),
    ops.add: kernel("Add"),
    ops.sub: kernel("Sub"),
    ops.mul: kernel("Mul"),
    ops.div: by_dtype(kernel("Div"), pointwise(_int_div)),
    ops.floor_div: by_dtype(formula(formulas.floor_div), formula(formulas.int_floor_div)),
    ops.rem: by_dtype(kernel("Mod", fmod=1), formula(formulas.int_rem)),
    ops.mod: by_dtype(formula(formulas.mod), pointwise(_int_mod)),
    ops.pow: by_dtype(kernel("Pow"), _int_pow),
    ops.maximum: kernel("Max"),
    ops.minimum: kernel("Min"),
    ops.atan2: formula(formulas.in_f64(formulas.atan2)),
    ops.and_: _bits("And", "BitwiseAnd"),
    ops.or_: _bits("Or", "BitwiseOr"),
    ops.xor: _bits("Xor", "BitwiseXor"),
    ops.shift_left: pointwise(_shift_left),
    ops.shift_right: pointwise(_shift_right),
    ops.shift_right_logical: pointwise(_shift_right_logical),
    ops.eq: _compare("Equal"),
    ops.ne: pointwise(_ne),
    ops.lt: _compare("Less"),
    ops.le: _compare("LessOrEqual"),
    ops.gt: _compare("Greater"),
    ops.ge: _compare("GreaterOrEqual"),
    ops.select: kernel("Where"),
    ops.cast: _cast,
    ops.bitcast: _bitcast,
    ops.stop_gradient: _same,
}
