"""ONNX: reduction, running totals and order along axes.

The runtime's kernels for extremes do not see NaN, so it is put back where it belongs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as onnx

from graftwork.backends.engine import Laid, Lowering, widest
from graftwork.backends.onnx import formulas
from graftwork.backends.onnx.emit import Emitter, dtype_of_value
from graftwork.backends.onnx.lower_axes import sliced
from graftwork.backends.onnx.lower_elementwise import formula
from graftwork.backends.onnx.target import OnnxTarget, Operands
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Node
from graftwork.ir.op import Op


def over_axes(target: OnnxTarget, kind: str, x: Laid, over: Sequence[str]) -> Laid:
    """A reduction that has a kernel."""
    if not over:
        return x
    places = target.emit.ints(*(x.axes.index(axis) for axis in over))
    array = target.emit.op(kind, x.array, places, keepdims=0)
    return Laid(array, tuple(axis for axis in x.axes if axis not in over))


def any_over(target: OnnxTarget, x: Laid, over: Sequence[str]) -> Laid:
    """Whether any is true; of nothing, which the kernel for bool refuses, none is."""
    if target.certain(over):
        return over_axes(target, "ReduceMax", x, over)
    count = over_axes(target, "ReduceSum", Laid(target.emit.cast(x.array, DType.i32), x.axes), over)
    return Laid(target.emit.cast(count.array, DType.boolean), count.axes)


def _reduced(kind: str) -> Lowering:
    def lower(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
        return over_axes(target, kind, operands[0], node.attrs["over"])

    return lower


def _any(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    return any_over(target, operands[0], node.attrs["over"])


def _all(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
    (x,), emit = operands, target.emit
    fails = any_over(target, Laid(emit.op("Not", x.array), x.axes), node.attrs["over"])
    return Laid(emit.op("Not", fails.array), fails.axes)


def ordered(emit: Emitter, x: onnx.Value) -> onnx.Value:
    """u64 as i64 in the same order, whose kernels are those that exist; its own inverse."""
    dtype = dtype_of_value(x)
    if dtype is DType.u64:
        return emit.op("Add", emit.cast(x, DType.i64), emit.constant(np.iinfo(np.int64).min))
    return x


def _unordered(emit: Emitter, x: onnx.Value, dtype: DType) -> onnx.Value:
    if dtype is DType.u64:
        x = emit.op("Add", x, emit.constant(np.iinfo(np.int64).min))
    return emit.cast(x, dtype)


def _extreme(kind: str) -> Lowering:
    def lower(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
        (x,), over = operands, node.attrs["over"]
        if not over:
            return x
        emit, dtype = target.emit, node.output.type.dtype
        found = over_axes(target, kind, Laid(ordered(emit, x.array), x.axes), over)
        if not dtype.is_float:
            return Laid(_unordered(emit, found.array, dtype), found.axes)
        nan = Laid(emit.op("IsNaN", x.array, dtype=DType.boolean), x.axes)
        spoiled = any_over(target, nan, over).array
        array = emit.op("Where", spoiled, emit.constant(np.nan, dtype), found.array)
        return Laid(array, found.axes)

    return lower


def _arg(kind: str) -> Lowering:
    """Where there is a NaN, the first one wins."""

    def lower(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
        (x,), axis = operands, node.attrs["axis"]
        emit, place = target.emit, x.axes.index(axis)
        keys: dict[str, Any] = {"axis": place, "keepdims": 0, "dtype": DType.i64}
        found = emit.op(kind, ordered(emit, x.array), **keys)
        if node.inputs[0].type.dtype.is_float:
            nan = emit.op("IsNaN", x.array, dtype=DType.boolean)
            spoiled = any_over(target, Laid(nan, x.axes), (axis,)).array
            found = emit.op("Where", spoiled, emit.op("ArgMax", nan, **keys), found)
        rest = tuple(a for a in x.axes if a != axis)
        return Laid(emit.cast(found, node.attrs["dtype"]), rest)

    return lower


# --- running ------------------------------------------------------------------------------------


def _running(kind: str) -> Lowering:
    def lower(target: OnnxTarget, node: Node, operands: Operands) -> Laid:
        (x,), attrs = operands, node.attrs
        place = target.emit.constant(x.axes.index(attrs["axis"]))
        array = target.emit.op(kind, x.array, place, reverse=int(attrs["reverse"]))
        return Laid(array, x.axes)

    return lower


# --- order --------------------------------------------------------------------------------------


def _keys(emit: Emitter, x: onnx.Value) -> list[onnx.Value]:
    """What sorts as x does, NaN greatest, in dtypes whose kernels know no NaN; major one first."""
    dtype = dtype_of_value(x)
    if not dtype.is_float:
        return [ordered(emit, x)]
    nan = emit.op("IsNaN", x, dtype=DType.boolean)
    if dtype is DType.f64:
        return [emit.cast(nan, DType.i32), emit.op("Where", nan, emit.constant(0.0), x)]
    wide = emit.cast(x, DType.f64)  # whose finite numbers go beyond those of f32
    infinite = emit.op("Equal", wide, emit.constant(np.inf), dtype=DType.boolean)
    finite = emit.op("Where", infinite, emit.constant(1e300), wide)
    return [emit.op("Where", nan, emit.constant(np.inf), finite)]


def _first(target: OnnxTarget, key: onnx.Value, count: onnx.Value, descending: bool) -> onnx.Value:
    """Positions of the first keys along the last dimension; ties in their order."""
    largest = int(descending)
    _, found = target.emit.ops(
        "TopK", key, count, dtypes=(None, DType.i64), axis=-1, largest=largest, sorted=1
    )
    return found


def _order(target: OnnxTarget, keys: Sequence[onnx.Value], size: onnx.Value,
           descending: bool) -> onnx.Value:  # fmt: skip
    """Positions that sort along the last dimension, the minor keys first, each time stably."""
    *major, minor = keys
    order = _first(target, minor, size, descending)
    for key in reversed(major):
        moved = target.emit.op("GatherElements", key, order, axis=-1)
        order = target.emit.op(
            "GatherElements", order, _first(target, moved, size, descending), axis=-1
        )
    return order


def _sort(target: OnnxTarget, node: Node, operands: Operands) -> list[Laid]:
    axis, count = node.attrs["axis"], node.attrs["keys"]
    free = [a for a in widest(operands, node.outputs[0].type.axes) if a != axis]
    axes = (*free, axis)
    arrays = [target.spread(x, axes) for x in operands]
    keys = [key for x in arrays[:count] for key in _keys(target.emit, x)]
    size = target.shape(target.sizes([axis]))
    order = _order(target, keys, size, node.attrs["descending"])
    return [Laid(target.emit.op("GatherElements", x, order, axis=-1), axes) for x in arrays]


def _top_k(target: OnnxTarget, node: Node, operands: Operands) -> list[Laid]:
    (x,), axis, k = operands, node.attrs["axis"], node.attrs["k"]
    free = [a for a in x.axes if a != axis]
    array = target.lay(x, (*free, axis))
    keys = _keys(target.emit, array)
    if len(keys) == 1:
        order = _first(target, keys[0], target.shape([k]), True)
    else:
        whole = _order(target, keys, target.shape(target.sizes([axis])), True)
        order = sliced(target, whole, len(free), 0, k)
    axes = (*free, node.attrs["into"])
    values = target.emit.op("GatherElements", array, order, axis=-1)
    return [Laid(values, axes), Laid(order, axes)]


TABLE: Mapping[Op, Lowering] = {
    ops.sum: _reduced("ReduceSum"),
    ops.prod: _reduced("ReduceProd"),
    ops.max: _extreme("ReduceMax"),
    ops.min: _extreme("ReduceMin"),
    ops.any: _any,
    ops.all: _all,
    ops.argmax: _arg("ArgMax"),
    ops.argmin: _arg("ArgMin"),
    ops.cumsum: _running("CumSum"),
    ops.cumprod: _running("CumProd"),
    ops.cummax: formula(formulas.in_turn(ops.maximum, formulas.least)),
    ops.cummin: formula(formulas.in_turn(ops.minimum, formulas.greatest)),
    ops.cumlogsumexp: formula(formulas.in_turn(ops.logaddexp, formulas.least)),
    ops.sort: _sort,
    ops.top_k: _top_k,
}
