"""Blocks read and written at a computed start."""

from __future__ import annotations

from graftwork.ir.attributes import AXIS, SIZE, Spec
from graftwork.ir.build import Term
from graftwork.ir.draw import ANY, INTS, Call, Draw
from graftwork.ir.op import REGISTRY, define
from graftwork.ir.ops.elementwise import maximum, minimum
from graftwork.ir.sizes import Size


def _positions(x: Term, start: Term, axis: str, block: str) -> Term:
    """The places of a block, moved so that it lies within the axis."""
    with x.builder:
        room = REGISTRY["size"](value=x.size(axis) - x.size(block), dtype=start.dtype)
        steps = REGISTRY["iota"](axis=block, dtype=start.dtype)
    return maximum(minimum(start, room), 0) + steps


def _dynamic_slice(x: Term, start: Term, *, axis: str, size: Size, into: str) -> Term:
    x.builder.typing.make(into, size)
    return REGISTRY["gather"](x, _positions(x, start, axis, into), axes=(axis,))


def _sample_dynamic_slice(draw: Draw) -> Call:
    size = draw.number(1, 2)
    x = draw.operand(ANY, binds=1, least=size)
    start = draw.operand(INTS)
    return Call((x, start), {"axis": draw.axis(x, least=size), "size": size, "into": draw.new()})


dynamic_slice = define(
    "dynamic_slice",
    "x start",
    "A block of `size` positions of an axis; the start is moved so that it lies within.",
    attrs=(Spec("axis", AXIS), Spec("size", SIZE), Spec("into", AXIS)),
    body=_dynamic_slice,
    sample=_sample_dynamic_slice,
)


def _dynamic_update_slice(
    x: Term, update: Term, start: Term, *, axis: str, update_axis: str
) -> Term:
    where = _positions(x, start, axis, update_axis)
    return REGISTRY["scatter"](x, update, where, axes=(axis,), over=(update_axis,))


def _sample_dynamic_update_slice(draw: Draw) -> Call:
    size = draw.number(1, 2)
    block = draw.make(size)
    x = draw.operand(ANY, binds=1, least=size, avoid=(block,))
    axis = draw.axis(x, least=size)
    update = draw.operand((x.dtype,), axes=(block,), avoid=(axis,))
    start = draw.operand(INTS, avoid=(axis, block))
    return Call((x, update, start), {"axis": axis, "update_axis": block})


dynamic_update_slice = define(
    "dynamic_update_slice",
    "x update start",
    "x with a block of an axis replaced; the start is moved so that it lies within.",
    attrs=(Spec("axis", AXIS), Spec("update_axis", AXIS)),
    body=_dynamic_update_slice,
    sample=_sample_dynamic_update_slice,
)
