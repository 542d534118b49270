"""Ops that make, remove and rename axes, and those that make values out of nothing.

There is no transpose, unsqueeze or permute: a value has no order of axes to change.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.attributes import (
    AXIS,
    AXIS_MAP,
    AXIS_SEQ,
    AXIS_SET,
    DTYPE,
    LITERAL,
    SIZE,
    SIZES,
    Literal,
    Spec,
)
from graftwork.ir.draw import ANY, NUMBERS, Call, Draw, some
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import AxisError, DTypeError
from graftwork.ir.op import REGISTRY, define
from graftwork.ir.size_values import decide
from graftwork.ir.sizes import Size, exact_div
from graftwork.ir.types import Type, Typing, require_axes, require_new

# --- values out of nothing ----------------------------------------------------------------------


def _infer_constant(typing: Typing, *, value: Literal, axes: tuple[str, ...]) -> Type:
    if len(value.shape) != len(axes):
        raise AxisError(f"a constant of shape {value.shape} needs as many axes, not {axes}")
    for axis, extent in zip(axes, value.shape, strict=True):
        typing.make(axis, extent)
    return Type(value.dtype, axes)


def _sample_constant(draw: Draw) -> Call:
    """Numbers that rewrites have rules for."""
    dtype = draw.pick(*ANY)
    values: tuple[float, ...] = (1, 0, 2, 3)
    if dtype.is_float:
        values += (-0.0, 0.5, np.nan, np.inf, -1.0)
    count = draw.pick(-1, 2, 3, 1, 0)
    if count < 0:
        return Call((), {"value": Literal.of(draw.pick(*values), dtype)})
    array = Literal.of([draw.pick(*values) for _ in range(count)], dtype)
    return Call((), {"value": array, "axes": (draw.new(),)})


constant = define(
    "constant",
    "",
    "A small constant array.",
    attrs=(Spec("value", LITERAL), Spec("axes", AXIS_SEQ, ())),
    infer=_infer_constant,
    evaluate=lambda at, value, axes: NamedArray(value.array, axes),
    traits={"creation"},
    sample=_sample_constant,
)


def _infer_iota(typing: Typing, *, axis: str, dtype: DType) -> Type:
    typing.size(axis)
    if dtype is DType.boolean:
        raise DTypeError("positions are numbers, not bool")
    return Type(dtype, (axis,))


iota = define(
    "iota",
    "",
    "The positions 0, 1, 2 ... along an axis.",
    attrs=(Spec("axis", AXIS), Spec("dtype", DTYPE, DType.i64)),
    infer=_infer_iota,
    evaluate=lambda at, axis, dtype: NamedArray(
        np.arange(at.size(axis)).astype(dtype.numpy), (axis,)
    ),
    traits={"creation"},
    sample=lambda draw: Call((), {"axis": draw.other_axis(), "dtype": draw.pick(*NUMBERS)}),
)

size = define(
    "size",
    "",
    "A symbolic size as a number.",
    attrs=(Spec("value", SIZE), Spec("dtype", DTYPE, DType.i64)),
    infer=lambda typing, value, dtype: Type(dtype),
    evaluate=lambda at, value, dtype: NamedArray(np.array(at.value(value)).astype(dtype.numpy), ()),
    traits={"creation"},
    sample=lambda draw: Call(
        (), {"value": draw.size(draw.other_axis()), "dtype": draw.pick(*NUMBERS)}
    ),
)

# --- names and shapes ---------------------------------------------------------------------------


def _infer_rename(typing: Typing, x: Type, *, axes: tuple[tuple[str, str], ...]) -> Type:
    mapping = dict(axes)
    require_axes(x, mapping)
    for old, new in axes:
        typing.make(new, typing.size(old))
    return x.renamed(mapping)


def _transpose_rename(cts: Any, operands: Any, position: int, typing: Typing, axes: Any) -> Any:
    return REGISTRY["rename"](cts[0], axes={new: old for old, new in axes})


def _sample_rename(draw: Draw) -> Call:
    x = draw.operand(ANY, binds=1)
    axes = some(draw, x, draw.number(1, min(2, len(x.axes))))
    if len(axes) == 2 and draw.size(axes[0]) == draw.size(axes[1]) and draw.pick(True, False):
        return Call((x,), {"axes": dict(zip(axes, reversed(axes), strict=True))})
    return Call((x,), {"axes": {axis: draw.new() for axis in axes}})


rename = define(
    "rename",
    "x",
    "The same array with other names for its axes.",
    attrs=(Spec("axes", AXIS_MAP),),
    infer=_infer_rename,
    evaluate=lambda at, x, axes: NamedArray(x.array, tuple(dict(axes).get(a, a) for a in x.axes)),
    linear=(0,),
    transpose=_transpose_rename,
    traits={"view"},
    sample=_sample_rename,
)


def _infer_split(
    typing: Typing, x: Type, *, axis: str, into: tuple[str, ...], sizes: tuple[Size, ...]
) -> Type:
    require_axes(x, (axis,))
    require_new(into, x.without((axis,)))
    if len(into) != len(sizes):
        raise AxisError(f"{len(into)} new axes {into} need as many sizes, not {sizes}")
    total: Size = 1
    for part in sizes:
        total = total * part
    if decide(total, typing.size(axis)) is False:
        raise AxisError(
            f"axis {axis!r} of size {typing.size(axis)} does not split into {sizes} (= {total})"
        )
    if decide(total, typing.size(axis)) is None:
        typing.unproven.append((axis, total))
    for part_axis, extent in zip(into, sizes, strict=True):
        typing.make(part_axis, extent)
    return x.replacing(axis, into)


def _evaluate_split(
    at: Any, x: NamedArray, *, axis: str, into: tuple[str, ...], sizes: tuple[Size, ...]
) -> NamedArray:
    place = x.position(axis)
    extents = tuple(at.value(s) for s in sizes)
    shape = (*x.shape[:place], *extents, *x.shape[place + 1 :])
    axes = (*x.axes[:place], *into, *x.axes[place + 1 :])
    return NamedArray(x.array.reshape(shape), axes)


def _transpose_split(
    cts: Any, operands: Any, position: int, typing: Typing, axis: str, into: Any, sizes: Any
) -> Any:
    return REGISTRY["merge"](cts[0], axes=into, into=axis)


def _sample_split(draw: Draw) -> Call:
    x = draw.operand(ANY, binds=1)
    axis = draw.axis(x)
    extent = draw.size(axis)
    factors = [n for n in (2, 1, 3) if exact_div(extent, n) is not None]
    sizes: tuple[Size | None, ...] = (factor := draw.pick(*factors), exact_div(extent, factor))
    parts = draw.pick(sizes, sizes[::-1], (1, *sizes), (extent,))
    return Call((x,), {"axis": axis, "into": tuple(draw.new() for _ in parts), "sizes": parts})


split = define(
    "split",
    "x",
    "One axis as several, the first the slowest.",
    attrs=(Spec("axis", AXIS), Spec("into", AXIS_SEQ), Spec("sizes", SIZES)),
    infer=_infer_split,
    evaluate=_evaluate_split,
    linear=(0,),
    transpose=_transpose_split,
    traits={"view"},
    sample=_sample_split,
)


def _infer_merge(typing: Typing, x: Type, *, axes: tuple[str, ...], into: str) -> Type:
    require_axes(x, axes)
    rest = x.without(axes)
    require_new((into,), rest)
    total: Size = 1
    for axis in axes:
        total = total * typing.size(axis)
    typing.make(into, total)
    if not axes:
        return x.with_axes((*x.axes, into))
    return x.without(axes[1:]).replacing(axes[0], (into,))


def _evaluate_merge(at: Any, x: NamedArray, *, axes: tuple[str, ...], into: str) -> NamedArray:
    rest = [a for a in x.axes if a not in axes]
    place = min((x.position(a) for a in axes), default=len(rest))
    before = [a for a in x.axes[:place] if a not in axes]
    order = (*before, *axes, *[a for a in rest if a not in before])
    array = x.array.transpose([x.position(a) for a in order if a is not None])
    stop = len(before) + len(axes)
    shape = (*array.shape[: len(before)], -1, *array.shape[stop:])
    if 0 in array.shape:
        extent = int(np.prod(array.shape[len(before) : stop]))
        shape = (*array.shape[: len(before)], extent, *array.shape[stop:])
    return NamedArray(array.reshape(shape), (*before, into, *order[stop:]))


def _transpose_merge(
    cts: Any, operands: Any, position: int, typing: Typing, axes: Any, into: str
) -> Any:
    sizes = tuple(typing.size(a) for a in axes)
    return REGISTRY["split"](cts[0], axis=into, into=axes, sizes=sizes)


def _sample_merge(draw: Draw) -> Call:
    count = draw.pick(2, 1, 3, 0)
    x = draw.operand(ANY, binds=count)
    axes = some(draw, x, count)
    whole = prod(draw.size(axis) for axis in axes)
    same = [axis for axis in axes if draw.size(axis) == whole]
    return Call((x,), {"axes": axes, "into": draw.pick(draw.new(), *same)})


merge = define(
    "merge",
    "x",
    "Several axes as one, the first the slowest.",
    attrs=(Spec("axes", AXIS_SEQ), Spec("into", AXIS)),
    infer=_infer_merge,
    evaluate=_evaluate_merge,
    linear=(0,),
    transpose=_transpose_merge,
    traits={"view"},
    sample=_sample_merge,
)


def _infer_broadcast(typing: Typing, x: Type, *, axes: tuple[str, ...]) -> Type:
    require_new(axes, x)
    for axis in axes:
        typing.size(axis)
    return x.with_axes((*axes, *x.axes))


def _evaluate_broadcast(at: Any, x: NamedArray, *, axes: tuple[str, ...]) -> NamedArray:
    extents = tuple(at.size(a) for a in axes)
    return NamedArray(np.broadcast_to(x.array, (*extents, *x.shape)), (*axes, *x.axes))


def _sample_broadcast(draw: Draw) -> Call:
    x = draw.operand(ANY)
    axes = {draw.other_axis(x) for _ in range(draw.pick(1, 2, 0))}
    return Call((x,), {"axes": sorted(axes)})


broadcast = define(
    "broadcast",
    "x",
    "The same array repeated along axes that it lacks.",
    attrs=(Spec("axes", AXIS_SET),),
    infer=_infer_broadcast,
    evaluate=_evaluate_broadcast,
    linear=(0,),
    transpose=lambda cts, operands, position, typing, axes: cts[0].sum(*axes),
    traits={"view"},
    sample=_sample_broadcast,
)
