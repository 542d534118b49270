"""Operators that make tensors out of numbers.

A constant fill has no axes at all: its dimensions are expanded, and cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graftwork.frontends.torch.dtypes import Operand, float_dtype, lifted
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.values import raised
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.positional import Positional
from graftwork.ir.sizes import Size


def filled(call: Call, value: Operand) -> Positional:
    """A tensor of one value, in the shape of the call's result."""
    scalar = lifted(call.builder, value, call.dtype)
    return Positional(scalar.term, call.fresh_dims(call.shape))


@rule("aten.full", "aten.full_like", "aten.fill")
def full(call: Call, size: object, fill_value: Operand, *_: object, **__: object) -> Positional:
    """One value everywhere."""
    return filled(call, fill_value)


@rule("aten.new_full")
def new_full(
    call: Call, self: Positional, size: object, fill_value: Operand, *_: object, **__: object
) -> Positional:
    """One value everywhere, in another tensor's element type."""
    return filled(call, fill_value)


@rule("aten.zeros", "aten.zeros_like", "aten.new_zeros", "aten.zero")
def zeros(call: Call, *_: object, **__: object) -> Positional:
    """Zero everywhere."""
    return filled(call, 0)


@rule("aten.empty", "aten.empty_like", "aten.new_empty", "aten.empty_permuted")
def empty(call: Call, *_: object, **__: object) -> Positional:
    """Values that nobody reads; zeros make the graph a function."""
    return filled(call, 0)


@rule("aten.ones", "aten.ones_like", "aten.new_ones")
def ones(call: Call, *_: object, **__: object) -> Positional:
    """One everywhere."""
    return filled(call, 1)


@rule("aten.scalar_tensor")
def scalar_tensor(call: Call, s: Operand, **_: object) -> Positional:
    """A number as a tensor."""
    return lifted(call.builder, s, call.dtype)


@rule("aten.arange.start_step")
def arange(call: Call, start: Operand, end: Any, step: Operand = 1, **_: object) -> Positional:
    """start, start + step, ... up to before end."""
    return _progression(call, start, step)


@rule("aten.arange.start")
def arange_start(call: Call, start: Operand, end: Any, **_: object) -> Positional:
    """start, start + 1, ... up to before end."""
    return _progression(call, start, 1)


@rule("aten.arange.default")
def arange_end(call: Call, end: Any, **_: object) -> Positional:
    """0, 1, ... up to before end."""
    return _progression(call, 0, 1)


def _progression(call: Call, start: Operand, step: Operand) -> Positional:
    (axis,) = call.fresh_dims(call.shape)
    if axis is None:
        return Positional(lifted(call.builder, start, call.dtype).term, (None,))
    term = positions(call, axis, call.dtype)
    if step != 1:
        term = term * lifted(call.builder, step, call.dtype).term
    if start != 0:
        term = term + lifted(call.builder, start, call.dtype).term
    return Positional(term, (axis,))


def positions(call: Call, axis: str, dtype: DType = DType.i64) -> Any:
    """0, 1, 2 ... along an axis."""
    with call.builder:
        return ops.iota(axis=axis, dtype=dtype)


def position(call: Call, axis: str | None) -> Positional:
    """The position along one dimension, 0 on a unit one."""
    if axis is None:
        return Positional(call.builder.constant(0, DType.i64), (None,))
    return Positional(positions(call, axis), (axis,))


@rule("aten.linspace")
def linspace(call: Call, start: Operand, end: Operand, steps: Size, **_: object) -> Positional:
    """Evenly spaced numbers, both ends included; integers have integer ends."""
    (axis,) = call.fresh_dims(call.shape)
    if axis is None:
        return filled(call, start)
    dtype = float_dtype(call.dtype) if call.dtype.is_float else DType.f64
    first, last = (lifted(call.builder, x, call.dtype).term.cast(dtype) for x in (start, end))
    with call.builder:
        count = ops.size(value=steps - 1, dtype=dtype)
    at = positions(call, axis, dtype)
    back = count - at
    # XLA divides by a constant through its reciprocal, and 25 - 1e-15 would be the integer 24.
    stride = (last - first) / (at + back)
    half = ops.lt(at, back)
    spaced = ops.select(half, first + stride * at, last - stride * back)
    return Positional(spaced.cast(call.dtype), (axis,))


@rule("aten.meshgrid")
def meshgrid(
    call: Call, tensors: Sequence[Positional], *, indexing: str = "ij"
) -> tuple[Positional, ...]:
    """Each tensor along a dimension of its own; "xy" has the first two exchanged."""
    order = list(range(len(tensors)))
    if indexing == "xy" and len(order) > 1:
        order[:2] = [1, 0]
    grids: list[Positional] = []
    for x, place, shape in zip(tensors, order, call.shapes, strict=True):
        dims = [*call.fresh_dims(shape)]
        dims[place] = raised(x).dims[0]
        grids.append(Positional(x.term, tuple(dims)))
    return tuple(grids)


@rule("aten.eye")
def eye(call: Call, *_: object, **__: object) -> Positional:
    """One on the diagonal, zero elsewhere."""
    rows, columns = (position(call, axis) for axis in call.fresh_dims(call.shape))
    term = ops.eq(rows.term, columns.term).cast(call.dtype)
    return Positional(term, (*rows.dims, *columns.dims))


@rule("aten.tril", "aten.triu")
def triangle(call: Call, self: Positional, diagonal: Size = 0) -> Positional:
    """Zero on one side of a diagonal."""
    row, column = (position(call, axis) for axis in self.dims[-2:])
    distance = column.term - row.term
    keep = ops.le if "tril" in call.op else ops.ge
    bound = lifted(call.builder, diagonal, DType.i64)
    zero = lifted(call.builder, 0, self.dtype)
    return Positional(ops.select(keep(distance, bound.term), self.term, zero.term), self.dims)
