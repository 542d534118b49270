"""Reading and writing at computed positions, and sliding windows.

Gather and scatter are pointwise: each index operand addresses one axis, which it binds; all other
axes are zipped by name, so indices that share an axis with the data map over it. Reading slices
is index arithmetic with `iota`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray, aligned, union
from graftwork.ir.attributes import AXIS, AXIS_LIST, AXIS_SET, FLOAT, INT, SIZE, Spec, choice
from graftwork.ir.draw import ANY, INTS, NUMBERS, Call, Draw, some
from graftwork.ir.errors import AxisError, DTypeError, InputError, UnsupportedOpError
from graftwork.ir.op import REGISTRY, define
from graftwork.ir.sizes import Size
from graftwork.ir.types import (
    Type,
    Typing,
    require_axes,
    require_new,
    require_same_dtype,
    zipped,
)

Array = np.ndarray[Any, Any]


def _require_indices(indices: tuple[Type, ...], axes: tuple[str, ...]) -> None:
    if len(indices) != len(axes) or len(set(axes)) != len(axes):
        raise AxisError(f"{len(indices)} index operands need as many distinct axes, not {axes}")
    for index in indices:
        if not index.dtype.is_int:
            raise DTypeError(f"positions are integers, not {index.dtype.value}")


def infer_gather(typing: Typing, x: Type, *indices: Type, axes: tuple[str, ...], **_: Any) -> Type:
    """The operand with the axes of the indices in the place of those that they index."""
    _require_indices(indices, axes)
    require_axes(x, axes)
    rest = x.without(axes)
    if not indices:
        return x
    found = zipped(*indices)
    new = tuple(a for a in found if a not in rest.axis_set)
    place = min(x.axes.index(a) for a in axes)
    before = tuple(a for a in x.axes[:place] if a not in axes)
    after = tuple(a for a in x.axes[place:] if a not in axes)
    return x.with_axes((*before, *new, *after))


def _inside(indices: list[Array], extents: list[int]) -> Array:
    ok: Array = np.ones((), np.bool_)
    for index, extent in zip(indices, extents, strict=True):
        ok = ok & (index >= 0) & (index < extent)
    return ok


def _evaluate_gather(
    at: Any, x: NamedArray, *indices: NamedArray, axes: tuple[str, ...], mode: str, fill: float
) -> NamedArray:
    if not indices:
        return x
    points = union(*indices)
    shared = [a for a in points if a in x.axes and a not in axes]
    rest = [str(a) for a in x.axes if a not in axes and a not in shared]
    data = x.order(*axes, *shared, *rest).array
    found = [np.asarray(i) for i in aligned(points, *indices)]
    ok = _inside(found, [x.sizes[a] for a in axes])
    if mode == "promise" and not ok.all():
        sizes = {a: x.sizes[a] for a in axes}
        raise InputError(f"gather: an index is out of range of {sizes}")
    safe = [np.clip(i, 0, max(x.sizes[a] - 1, 0)) for i, a in zip(found, axes, strict=True)]
    mapped = aligned(points, *(NamedArray(np.arange(x.sizes[a]), (a,)) for a in shared))
    shape = np.broadcast_shapes(*(i.shape for i in (*safe, *mapped)))
    if 0 in data.shape[: len(axes)] and 0 not in shape:
        taken = np.zeros((*shape, *data.shape[len(axes) + len(shared) :]), data.dtype)
    else:
        taken = data[tuple(np.broadcast_to(i, shape) for i in (*safe, *mapped))]
    if mode == "fill":
        keep = np.broadcast_to(ok, shape).reshape((*shape, *[1] * len(rest)))
        with np.errstate(all="ignore"):
            taken = np.where(keep, taken, np.asarray(fill).astype(data.dtype))
    return NamedArray(taken, (*points, *rest))


def _transpose_gather(
    cts: Any, operands: Any, position: int, typing: Typing, axes: Any, mode: str, fill: float
) -> Any:
    (ct,), (x, *indices) = cts, operands
    zero = ct.builder.constant(0.0, ct.dtype).broadcast(*x.axes)
    looped = {a for index in indices for a in index.axes} - (x.type.axis_set - set(axes))
    modes = {"promise": "promise", "clip": "clip", "fill": "drop"}
    full = ct.broadcast(*looped)
    return REGISTRY["scatter"](
        zero, full, *indices, axes=axes, over=looped, combine="add", mode=modes[mode]
    )


def _sample_gather(draw: Draw) -> Call:
    count, mode = draw.pick(1, 2), draw.pick("promise", "clip", "fill")
    x = draw.operand(ANY, binds=count, least=1)
    axes = some(draw, x, count, least=1)
    far = mode != "promise" and draw.pick(True, False)
    indices = [draw.operand(INTS) if far else draw.positions(axis) for axis in axes]
    fill = draw.pick(0.0, 1.0, *((np.nan, -0.0) if x.dtype.is_float else ()))
    return Call((x, *indices), {"axes": axes, "mode": mode, "fill": fill})


gather = define(
    "gather",
    "x *indices",
    "x at computed positions: each index operand replaces one axis of x.",
    attrs=(
        Spec("axes", AXIS_LIST),
        Spec("mode", choice("promise", "clip", "fill"), "promise"),
        Spec("fill", FLOAT, 0.0),
    ),
    infer=infer_gather,
    evaluate=_evaluate_gather,
    linear=(0,),
    jvp=lambda operands, tangents, outputs, axes, mode, fill: (
        REGISTRY["gather"](
            tangents[0].broadcast(*axes), *operands[1:], axes=axes, mode=mode, fill=0.0
        ),
    ),
    transpose=_transpose_gather,
    sample=_sample_gather,
)


def _infer_scatter(
    typing: Typing, x: Type, updates: Type, *indices: Type, axes: tuple[str, ...],
    over: tuple[str, ...], combine: str, mode: str,
) -> Type:  # fmt: skip
    _require_indices(indices, axes)
    require_same_dtype(x, updates)
    require_axes(x, axes)
    rest = x.without(axes)
    looped = zipped(updates, *indices)
    for axis in over:
        if axis not in looped:
            raise AxisError(f"no update or index has the axis {axis!r} to scatter over")
        if axis in rest.axis_set:
            raise AxisError(f"{x!r} has the axis {axis!r} that is scattered over; rename it")
    free = tuple(a for a in looped if a not in over)
    require_new(axes, Type(x.dtype, free))
    return x.with_axes((*(a for a in free if a not in rest.axis_set), *x.axes))


_COMBINE: dict[str, Any] = {
    "add": np.add,
    "mul": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
}


def _evaluate_scatter(
    at: Any, x: NamedArray, updates: NamedArray, *indices: NamedArray, axes: tuple[str, ...],
    over: tuple[str, ...], combine: str, mode: str,
) -> NamedArray:  # fmt: skip
    looped = union(updates, *indices)
    free = tuple(dict.fromkeys(
        [a for a in looped if a not in over] + [str(a) for a in x.axes if a not in axes]
    ))  # fmt: skip
    extents = {k: v for y in (updates, *indices, x) for k, v in y.sizes.items()} | x.sizes
    out = np.broadcast_to(aligned((*axes, *free), x)[0], [extents[a] for a in (*axes, *free)])
    out = out.copy()
    loop = (*over, *free)
    shape = tuple(next(y.sizes[a] for y in (updates, *indices, x) if a in y.axes) for a in loop)
    found = [np.broadcast_to(i, shape) for i in aligned(loop, *indices)]
    value = np.broadcast_to(aligned(loop, updates)[0], shape)
    sizes = [x.sizes[a] for a in axes]
    keep = np.broadcast_to(_inside(found, sizes), shape)
    if mode == "promise" and not keep.all():
        extents = dict(zip(axes, sizes, strict=True))
        raise InputError(f"scatter: an index is out of range of {extents}")
    if mode == "clip":
        found = [np.clip(i, 0, n - 1) for i, n in zip(found, sizes, strict=True)]
        keep = np.ones(shape, np.bool_)
    grid = np.indices(shape, sparse=True)[len(over) :]
    where = (*found, *(np.broadcast_to(g, shape) for g in grid))
    key = tuple(np.asarray(w)[keep] for w in where)
    if combine == "set":
        out[key] = value[keep]
    else:
        with np.errstate(all="ignore"):
            _COMBINE[combine].at(out, key, value[keep])
    return NamedArray(out, (*axes, *free))


def _scatter_jvp(
    operands: Any, tangents: Any, outputs: Any, *, axes: Any, over: Any, combine: str, mode: str
) -> Any:
    (x, updates, *indices), (dx, dupdates, *_) = operands, tangents
    if combine not in ("set", "add"):
        raise UnsupportedOpError(f"scatter with combine={combine!r} has no derivative here")
    zero = x.builder.constant(0.0, x.dtype)
    dx = zero.broadcast(*x.axes) if dx is None else dx.broadcast(*x.axes)
    dupdates = zero.broadcast(*updates.axes) if dupdates is None else dupdates
    return (
        REGISTRY["scatter"](
            dx, dupdates.broadcast(*updates.axes), *indices,
            axes=axes, over=over, combine=combine, mode=mode,
        ),
    )  # fmt: skip


def _transpose_scatter(
    cts: Any, operands: Any, position: int, typing: Typing, axes: Any, over: Any, combine: str,
    mode: str,
) -> Any:  # fmt: skip
    (ct,), (_, updates, *indices) = cts, operands
    if position == 1:
        modes = {"promise": "promise", "clip": "clip", "drop": "fill"}
        return REGISTRY["gather"](ct, *indices, axes=axes, mode=modes[mode])
    if combine == "add":
        return ct
    zero = ct.builder.constant(0.0, ct.dtype).broadcast(*updates.axes)
    return REGISTRY["scatter"](ct, zero, *indices, axes=axes, over=over, combine="set", mode=mode)


def _sample_scatter(draw: Draw) -> Call:
    """No two updates of one place, unless their order means nothing."""
    combine = draw.pick("set", "add", "mul", "min", "max")
    x = draw.operand(ANY if combine == "set" else NUMBERS, binds=1, least=2)
    axis = draw.axis(x, least=2)
    looped = (draw.make(draw.number(0, 2)),)[: draw.number(0, 1)]
    updates = draw.operand((x.dtype,), axes=looped, avoid=(axis,))
    if combine == "set" and looped:
        places = REGISTRY["iota"](axis=looped[0]) + draw.number(0, 1)
        index = REGISTRY["mod"](places, REGISTRY["size"](value=draw.size(axis)))
    elif combine == "set":
        index = draw.positions(axis, avoid=(axis,))
    else:
        index = draw.positions(axis, axes=looped, avoid=(axis,))
    attrs = {"combine": combine, "mode": draw.pick("promise", "drop", "clip")}
    return Call((x, updates, index), {"axes": (axis,), "over": looped, **attrs})


scatter = define(
    "scatter",
    "x updates *indices",
    "x with updates combined in at computed positions, for every point of the axes `over`.",
    attrs=(
        Spec("axes", AXIS_LIST),
        Spec("over", AXIS_SET, ()),
        Spec("combine", choice("set", "add", "mul", "min", "max"), "set"),
        Spec("mode", choice("promise", "drop", "clip"), "promise"),
    ),
    infer=_infer_scatter,
    evaluate=_evaluate_scatter,
    jvp=_scatter_jvp,
    linear=(0, 1),
    transpose=_transpose_scatter,
    sample=_sample_scatter,
)


def _infer_window(
    typing: Typing, x: Type, *, axis: str, into: str, kernel: str, size: Size, stride: int,
    dilation: int,
) -> Type:  # fmt: skip
    require_axes(x, (axis,))
    require_new((into, kernel), x.without((axis,)))
    if stride < 1 or dilation < 1 or into == kernel:
        raise AxisError(f"a window needs positive steps and two new axes, not {into}, {kernel}")
    extent = typing.size(axis)
    reach = (size - 1) * dilation + 1
    if isinstance(extent, int) and isinstance(reach, int) and reach > extent:
        raise AxisError(f"a window of {reach} does not fit in axis {axis!r} of size {extent}")
    typing.make(kernel, size)
    typing.make(into, (extent - reach) // stride + 1)
    return x.replacing(axis, (into, kernel))


def _evaluate_window(
    at: Any, x: NamedArray, *, axis: str, into: str, kernel: str, size: Size, stride: int,
    dilation: int,
) -> NamedArray:  # fmt: skip
    place = x.position(axis)
    reach = (at.value(size) - 1) * dilation + 1
    view = np.lib.stride_tricks.sliding_window_view(x.array, reach, axis=place)
    key = (*[slice(None)] * place, slice(None, None, stride))
    axes = tuple(into if a == axis else a for a in x.axes)
    return NamedArray(view[key][..., ::dilation], (*axes, kernel))


def _transpose_window(cts: Any, operands: Any, position: int, typing: Typing, **attrs: Any) -> Any:
    """Overlapping windows add up where they overlap."""
    (ct,), (x,) = cts, operands
    axis, into, kernel = attrs["axis"], attrs["into"], attrs["kernel"]
    starts = REGISTRY["iota"](axis=into) * attrs["stride"]
    where = starts + REGISTRY["iota"](axis=kernel) * attrs["dilation"]
    zero = ct.builder.constant(0.0, ct.dtype).broadcast(*x.axes)
    return REGISTRY["scatter"](zero, ct, where, axes=(axis,), over=(into, kernel), combine="add")


def _sample_window(draw: Draw) -> Call:
    size, dilation = draw.number(1, 3), draw.number(1, 2)
    reach = (size - 1) * dilation + 1
    x = draw.operand(ANY, binds=1, least=reach)
    attrs = {"size": size, "dilation": dilation, "stride": draw.number(1, 3)}
    axis = draw.axis(x, least=reach)
    return Call((x,), {"axis": axis, "into": draw.new(), "kernel": draw.new(), **attrs})


window = define(
    "window",
    "x",
    "Sliding windows along an axis: out[into=i, kernel=j] = x[i * stride + j * dilation].",
    attrs=(
        Spec("axis", AXIS),
        Spec("into", AXIS),
        Spec("kernel", AXIS),
        Spec("size", SIZE),
        Spec("stride", INT, 1),
        Spec("dilation", INT, 1),
    ),
    infer=_infer_window,
    evaluate=_evaluate_window,
    linear=(0,),
    transpose=_transpose_window,
    sample=_sample_window,
)
