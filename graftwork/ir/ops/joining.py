"""Ops that select parts of an axis and join arrays along one.

What they make has another extent, so it has another name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray, aligned
from graftwork.ir.attributes import AXIS, AXIS_LIST, AXIS_SET, INT, SIZE, Spec
from graftwork.ir.draw import ANY, Call, Draw, some
from graftwork.ir.errors import AxisError
from graftwork.ir.op import REGISTRY, define
from graftwork.ir.sizes import Size, bounds, ceil_div, maximum
from graftwork.ir.types import Type, Typing, require_axes, require_new, require_same_dtype


def _infer_index(typing: Typing, x: Type, *, axis: str, at: Size) -> Type:
    require_axes(x, (axis,))
    extent = typing.size(axis)
    beyond, _ = bounds(at - extent)
    if (isinstance(at, int) and at < 0) or (beyond is not None and beyond >= 0):
        raise AxisError(f"position {at} is outside of axis {axis!r} of size {extent}")
    return x.without((axis,))


def _evaluate_index(sizes: Any, x: NamedArray, *, axis: str, at: Size) -> NamedArray:
    position = sizes.value(at)
    extent = x.sizes[axis]
    if not 0 <= position < extent:
        raise AxisError(f"position {position} is outside of axis {axis!r} of size {extent}")
    return x[{axis: position}]


def _transpose_index(cts: Any, operands: Any, position: int, typing: Typing, **attrs: Any) -> Any:
    (ct,), axis = cts, attrs["axis"]
    where = REGISTRY["iota"](axis=axis)
    here = REGISTRY["eq"](where, REGISTRY["size"](value=attrs["at"]))
    return REGISTRY["select"](here, ct, ct.builder.constant(0.0, ct.dtype))


def _sample_index(draw: Draw) -> Call:
    x = draw.operand(ANY, binds=1, least=1)
    axis = draw.axis(x, least=1)
    return Call((x,), {"axis": axis, "at": draw.pick(0, draw.size(axis) - 1)})


index = define(
    "index",
    "x",
    "One position of an axis, which disappears.",
    attrs=(Spec("axis", AXIS), Spec("at", SIZE)),
    infer=_infer_index,
    evaluate=_evaluate_index,
    linear=(0,),
    transpose=_transpose_index,
    sample=_sample_index,
)


def _infer_slice(
    typing: Typing, x: Type, *, axis: str, start: Size, stop: Size, step: int, into: str
) -> Type:
    require_axes(x, (axis,))
    require_new((into,), x.without((axis,)))
    extent = typing.size(axis)
    if step < 1:
        raise AxisError(f"step {step} is not positive; flip the axis to go backward")
    if isinstance(extent, int) and isinstance(stop, int) and stop > extent:
        raise AxisError(f"slice to {stop} goes beyond axis {axis!r} of size {extent}")
    if isinstance(start, int) and start < 0:
        raise AxisError(f"slice of {axis!r} starts at {start}; positions count from 0")
    typing.make(into, ceil_div(maximum(stop - start, 0), step))
    return x.replacing(axis, (into,))


def _evaluate_slice(
    at: Any, x: NamedArray, *, axis: str, start: Size, stop: Size, step: int, into: str
) -> NamedArray:
    taken = x[{axis: slice(at.value(start), at.value(stop), step)}]
    return NamedArray(taken.array, tuple(into if a == axis else a for a in x.axes))


def _transpose_slice(
    cts: Any, operands: Any, position: int, typing: Typing, axis: str, start: Size, stop: Size,
    step: int, into: str,
) -> Any:  # fmt: skip
    (ct,) = cts
    zero = ct.builder.constant(0.0, ct.dtype)
    spread = maximum((typing.size(into) - 1) * step + 1, 0)
    high = typing.size(axis) - start - spread
    return REGISTRY["pad"](ct, zero, axis=into, low=start, high=high, interior=step - 1, into=axis)


def _sample_slice(draw: Draw) -> Call:
    start, cut = draw.number(0, 2), draw.number(0, 1)
    x = draw.operand(ANY, binds=1, least=start + cut)
    axis = draw.axis(x, least=start + cut)
    attrs = {"start": start, "stop": draw.size(axis) - cut, "step": draw.number(1, 3)}
    return Call((x,), {"axis": axis, "into": draw.new(), **attrs})


slice_ = define(
    "slice",
    "x",
    "Every step-th position of an axis from start to before stop.",
    attrs=(
        Spec("axis", AXIS),
        Spec("start", SIZE, 0),
        Spec("stop", SIZE),
        Spec("step", INT, 1),
        Spec("into", AXIS),
    ),
    infer=_infer_slice,
    evaluate=_evaluate_slice,
    linear=(0,),
    transpose=_transpose_slice,
    sample=_sample_slice,
)


def _infer_concat(typing: Typing, *xs: Type, axes: tuple[str, ...], into: str) -> Type:
    if not xs or len(axes) != len(xs):
        raise AxisError(f"{len(xs)} operands need as many axes, not {axes}")
    dtype = require_same_dtype(*xs)
    total: Size = 0
    free: dict[str, None] = {}
    lead: tuple[str, ...] = ()
    for x, axis in zip(xs, axes, strict=True):
        rest = x.without((axis,))
        require_new((into,), rest)
        total = total + (typing.size(axis) if axis in x.axis_set else 1)
        free |= dict.fromkeys(rest.axes)
        if axis in x.axis_set and len(x.axes) > len(lead):
            lead = x.replacing(axis, (into,)).axes
    typing.make(into, total)
    names = dict.fromkeys(lead or (into,)) | free
    return Type(dtype, tuple(names))


def _evaluate_concat(at: Any, *xs: NamedArray, axes: tuple[str, ...], into: str) -> NamedArray:
    named = [
        NamedArray(x.array, tuple(into if a == axis else a for a in x.axes))
        for x, axis in zip(xs, axes, strict=True)
    ]
    free = tuple(dict.fromkeys(a for x in named for a in x.axes if a is not None and a != into))
    shape = tuple(next(x.sizes[a] for x in named if a in x.axes) for a in free)
    parts = [
        np.broadcast_to(array, (array.shape[0], *shape)) for array in aligned((into, *free), *named)
    ]
    return NamedArray(np.concatenate(parts, axis=0), (into, *free))


def _transpose_concat(
    cts: Any, operands: Any, position: int, typing: Typing, axes: Any, into: str
) -> Any:
    start: Size = 0
    for x, axis in zip(operands[:position], axes[:position], strict=True):
        start = start + (typing.size(axis) if axis in x.type.axis_set else 1)
    axis, x = axes[position], operands[position]
    ct = _without_others(cts[0], axis, into)
    if axis not in x.type.axis_set:
        return REGISTRY["index"](ct, axis=into, at=start)
    stop = start + typing.size(axis)
    return REGISTRY["slice"](ct, axis=into, start=start, stop=stop, into=axis)


def _without_others(ct: Any, axis: str, into: str) -> Any:
    """Summed over the axis that another operand has free where this one binds it."""
    return ct.sum(axis) if axis != into and axis in ct.type.axis_set else ct


def _sample_concat(draw: Draw) -> Call:
    """One to three operands, each with its axis or as one position."""
    dtype = draw.pick(*ANY)
    wide = [draw.pick(True, False) for _ in range(draw.pick(2, 1, 3))]
    xs = [draw.operand((dtype,), binds=int(has)) for has in wide]
    axes = [draw.axis(x) if has else draw.new() for x, has in zip(xs, wide, strict=True)]
    return Call(xs, {"axes": axes, "into": draw.new()})


concat = define(
    "concat",
    "*xs",
    "Arrays one after another along an axis; an operand that lacks its axis has extent 1.",
    attrs=(Spec("axes", AXIS_LIST), Spec("into", AXIS)),
    infer=_infer_concat,
    evaluate=_evaluate_concat,
    linear=(0,),
    transpose=_transpose_concat,
    sample=_sample_concat,
)


def _infer_pad(
    typing: Typing, x: Type, value: Type, *, axis: str, low: Size, high: Size, interior: int,
    into: str,
) -> Type:  # fmt: skip
    dtype = require_same_dtype(x, value)
    rest = x.without((axis,))
    require_new((into,), rest, value)
    extent = typing.size(axis) if axis in x.axis_set else 1
    spread = extent if not interior else maximum(extent + (extent - 1) * interior, 0)
    for what, amount in (("low", low), ("high", high)):
        if isinstance(amount, int) and amount < 0:
            raise AxisError(f"{what}={amount} is negative; slice the axis instead")
    typing.make(into, low + spread + high)
    padded = x.replacing(axis, (into,)) if axis in x.axis_set else x.with_axes((into, *x.axes))
    extra = tuple(a for a in value.axes if a not in padded.axis_set)
    return Type(dtype, (*extra, *padded.axes))


def _evaluate_pad(
    at: Any, x: NamedArray, value: NamedArray, *, axis: str, low: Size, high: Size,
    interior: int, into: str,
) -> NamedArray:  # fmt: skip
    moved = NamedArray(x.array, tuple(into if a == axis else a for a in x.axes))
    free = tuple(
        dict.fromkeys(a for y in (moved, value) for a in y.axes if a is not None and a != into)
    )
    array, fill = aligned((into, *free), moved, value)
    extents = dict(value.sizes) | dict(moved.sizes)
    start, length = at.value(low), array.shape[0]
    total = at.value(low) + max(length + (length - 1) * interior, 0) + at.value(high)
    out = np.empty((total, *(extents[a] for a in free)), array.dtype)
    out[...] = fill
    if length:
        out[start : start + length + (length - 1) * interior : interior + 1] = array
    return NamedArray(out, (into, *free))


def _transpose_pad(
    cts: Any, operands: Any, position: int, typing: Typing, axis: str, low: Size, high: Size,
    interior: int, into: str,
) -> Any:  # fmt: skip
    (ct,), x = cts, operands[0]
    if position == 0:
        own = _without_others(ct, axis, into)
        if axis not in x.type.axis_set:
            return REGISTRY["index"](own, axis=into, at=low)
        stop = low + (typing.size(axis) - 1) * (interior + 1) + 1
        return REGISTRY["slice"](own, axis=into, start=low, stop=stop, step=interior + 1, into=axis)
    zero = ct.builder.constant(0.0, ct.dtype)
    inner = zero.broadcast(axis) if axis in x.type.axis_set else zero
    mask = REGISTRY["pad"](
        inner, zero + 1.0, axis=axis, low=low, high=high, interior=interior, into=into
    )
    return (ct * mask).sum(into)


def _sample_pad(draw: Draw) -> Call:
    has = draw.pick(True, False)
    x = draw.operand(ANY, binds=int(has))
    axis = draw.axis(x) if has else draw.new()
    value = draw.operand((x.dtype,))
    attrs = {"low": draw.number(0, 2), "high": draw.number(0, 2), "interior": draw.number(0, 2)}
    return Call((x, value), {"axis": axis, "into": draw.new(), **attrs})


pad = define(
    "pad",
    "x value",
    "An axis with `value` before, after and between its positions.",
    attrs=(
        Spec("axis", AXIS),
        Spec("low", SIZE, 0),
        Spec("high", SIZE, 0),
        Spec("interior", INT, 0),
        Spec("into", AXIS),
    ),
    infer=_infer_pad,
    evaluate=_evaluate_pad,
    linear=(0, 1),
    transpose=_transpose_pad,
    sample=_sample_pad,
)


def _infer_flip(typing: Typing, x: Type, *, axes: tuple[str, ...]) -> Type:
    require_axes(x, axes)
    return x


def _sample_flip(draw: Draw) -> Call:
    count = draw.pick(1, 2, 0)
    x = draw.operand(ANY, binds=count)
    return Call((x,), {"axes": some(draw, x, count)})


flip = define(
    "flip",
    "x",
    "Axes read backward.",
    attrs=(Spec("axes", AXIS_SET),),
    infer=_infer_flip,
    evaluate=lambda at, x, axes: NamedArray(
        np.flip(x.array, tuple(x.position(a) for a in axes)), x.axes
    ),
    linear=(0,),
    transpose=lambda cts, operands, position, typing, axes: REGISTRY["flip"](cts[0], axes=axes),
    sample=_sample_flip,
)
