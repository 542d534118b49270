"""Families of ops whose members differ by one function, so that each takes one line."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray, aligned, union
from graftwork.ir.attributes import AXIS, AXIS_SET, BOOL, Spec
from graftwork.ir.draw import ANY, Call, Draw, some
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import DTypeError
from graftwork.ir.op import Op, define
from graftwork.ir.types import Type, Typing, require_axes, require_same_dtype, zipped

Array = np.ndarray[Any, Any]
Check = Callable[[DType], bool]


def is_number(dtype: DType) -> bool:
    """Numbers: all but bool."""
    return dtype is not DType.boolean


def is_float(dtype: DType) -> bool:
    """Floats."""
    return dtype.is_float


def is_bits(dtype: DType) -> bool:
    """Integers and bool."""
    return not dtype.is_float


def anything(dtype: DType) -> bool:
    """Every dtype."""
    return True


def require(check: Check, dtype: DType) -> None:
    """Refuse a dtype that the op has no meaning for."""
    if not check(dtype):
        raise DTypeError(f"not defined on {dtype.value}; cast the operand first")


def accepted(check: Check) -> tuple[DType, ...]:
    """The dtypes that a check accepts, those of most use first."""
    return tuple(dtype for dtype in ANY if check(dtype))


def pointwise(
    dtypes: Sequence[DType], count: int = 1, within: tuple[float, float] | None = None
) -> Callable[[Draw], Call]:
    """A sampler of so many operands of one dtype."""

    def sample(draw: Draw) -> Call:
        first = draw.operand(dtypes, within=within)
        rest = (draw.operand((first.dtype,), within=within) for _ in range(count - 1))
        return Call((first, *rest))

    return sample


def along(dtypes: Sequence[DType], *, least: int = 0, word: str = "axis") -> Callable[[Draw], Call]:
    """A sampler of an operand and one axis of it."""

    def sample(draw: Draw) -> Call:
        x = draw.operand(dtypes, binds=1, least=least)
        return Call((x,), {word: draw.axis(x, least=least)})

    return sample


def over(dtypes: Sequence[DType]) -> Callable[[Draw], Call]:
    """A sampler of an operand and some axes of it."""

    def sample(draw: Draw) -> Call:
        count = draw.pick(1, 2, 0)
        x = draw.operand(dtypes, binds=count)
        return Call((x,), {"over": some(draw, x, count)})

    return sample


def total(parts: Iterable[Any]) -> Any:
    """The sum of tangents, where None is zero; None if all are."""
    present = [part for part in parts if part is not None]
    return functools.reduce(operator.add, present) if present else None


def in_float(function: Callable[..., Any], *arrays: Array) -> Array:
    """Apply a numpy function, computing 16-bit floats in 32 bits and rounding once."""
    dtype = arrays[0].dtype
    with np.errstate(all="ignore"):
        if dtype.itemsize == 2 and dtype.kind not in "iu":
            wide = (a.astype(np.float32) for a in arrays)
            return np.asarray(function(*wide)).astype(dtype)
        return np.asarray(function(*arrays)).astype(dtype, copy=False)


# --- type rules ---------------------------------------------------------------------------------


def zips(on: Check = is_float, result: DType | None = None) -> Callable[..., Type]:
    """Operands of one dtype zipped by name; `result` is the output dtype if not theirs."""

    def infer(typing: Typing, *types: Type, **_: Any) -> Type:
        dtype = require_same_dtype(*types)
        require(on, dtype)
        return Type(result or dtype, types[0].axes if len(types) == 1 else zipped(*types))

    return infer


def removes(on: Check = is_float) -> Callable[..., Type]:
    """The operand without the axes `over`."""

    def infer(typing: Typing, x: Type, *, over: tuple[str, ...], **_: Any) -> Type:
        require(on, x.dtype)
        require_axes(x, over)
        return x.without(over)

    return infer


def keeps(on: Check = is_float) -> Callable[..., Type]:
    """The operand as it is, which has the axis `axis`."""

    def infer(typing: Typing, x: Type, *, axis: str, **_: Any) -> Type:
        require(on, x.dtype)
        require_axes(x, (axis,))
        return x

    return infer


# --- families -----------------------------------------------------------------------------------


def elementwise(
    name: str,
    operands: str,
    doc: str,
    function: Callable[..., Any],
    *,
    on: Check = is_float,
    result: DType | None = None,
    traits: Iterable[str] = (),
    within: tuple[float, float] | None = None,
    **fields: Any,
) -> Op:
    """An op that zips its operands by name; `result` is its output dtype if not that of them."""

    def evaluate(at: object, *arrays: NamedArray) -> NamedArray:
        axes = union(*arrays)
        operands = aligned(axes, *arrays)
        if result is None:
            out = in_float(function, *operands)
        else:
            with np.errstate(all="ignore"):
                out = np.asarray(function(*operands)).astype(result.numpy, copy=False)
        return NamedArray(out, axes)

    return define(
        name,
        operands,
        doc,
        infer=zips(on, result),
        evaluate=evaluate,
        traits={"elementwise", *traits},
        sample=pointwise(accepted(on), len(operands.split()), within),
        **fields,
    )


def unary(name: str, doc: str, function: Callable[..., Any], **fields: Any) -> Op:
    """An elementwise op of one operand.

    `slope(x, y)` is the derivative as a function of operand and output.
    """
    slope = fields.pop("slope", None)
    if slope is not None:

        def jvp(operands: Any, tangents: Any, outputs: Any) -> Any:
            return (tangents[0] * slope(operands[0], outputs[0]),)

        fields["jvp"] = jvp
    return elementwise(name, "x", doc, function, **fields)


def reduction(
    name: str, doc: str, function: Callable[..., Any], *, on: Check = is_number, **fields: Any
) -> Op:
    """An op that removes the axes `over`."""

    def evaluate(at: object, x: NamedArray, *, over: tuple[str, ...]) -> NamedArray:
        places = tuple(x.position(axis) for axis in over)
        kept = tuple(a for a in x.axes if a not in over)
        return NamedArray(in_float(lambda a: function(a, axis=places), x.array), kept)

    return define(
        name,
        "x",
        doc,
        attrs=(Spec("over", AXIS_SET),),
        infer=removes(on),
        evaluate=evaluate,
        sample=over(accepted(on)),
        **fields,
    )


def cumulative(
    name: str, doc: str, function: Callable[..., Any], *, on: Check = is_number, **fields: Any
) -> Op:
    """An op that runs along an axis and keeps it."""

    def evaluate(at: object, x: NamedArray, *, axis: str, reverse: bool) -> NamedArray:
        place = x.position(axis)
        forward = np.flip(x.array, place) if reverse else x.array
        out = in_float(lambda a: function(a, axis=place), forward)
        return NamedArray(np.flip(out, place) if reverse else out, x.axes)

    def sample(draw: Draw) -> Call:
        x = draw.operand(accepted(on), binds=1)
        return Call((x,), {"axis": draw.axis(x), "reverse": draw.pick(False, True)})

    specs = (Spec("axis", AXIS), Spec("reverse", BOOL, False))
    return define(
        name, "x", doc, attrs=specs, infer=keeps(on), evaluate=evaluate, sample=sample, **fields
    )
