"""Positions along an axis: what `where=` takes.

A position is an integer, a slice or a list of integers; or one of the small records here, for
positions that only a run can tell (`Positions`, `Tokens`, `LastReal`, `Mask`) and for the span of
some directions instead of positions (`Basis`). All of them work in every pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from attrs import cmp_using, field, frozen

from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType, dtype_of
from graftwork.ir.errors import InputError, RewriteError, SelectionError, nearest
from graftwork.ir.graph import Guard, Value
from graftwork.ir.names import unused
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found
from graftwork.ir.types import Type

WORLDS = "worlds"
"""The axis along which runs of one graph lie side by side."""


def _same_array(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    names = (getattr(a, "axes", None), getattr(b, "axes", None))
    return names[0] == names[1] and np.array_equal(np.asarray(a), np.asarray(b), equal_nan=False)


SAME_ARRAY = cmp_using(eq=_same_array)
"""How fields that hold an array or None compare: by contents."""


def summary(array: Any) -> str:
    """An array in a few words, for the reprs of passes."""
    if array is None or isinstance(array, str | tuple | list | int | float):
        return repr(array)
    return f"<array of shape {np.shape(array)}>"


def _integers(ids: int | Sequence[int]) -> tuple[int, ...]:
    return (int(ids),) if isinstance(ids, int | np.integer) else tuple(map(int, ids))


@frozen
class Positions:
    """One position an example, given with each run as an integer input; negative from the end.

    Attributes:
        name: of the input, an i64 array over `batch`; passes that use one name share it.
        count: so many positions an example; the input then has a second axis. A position outside
            of the axis selects nothing, which fills up examples that have fewer.
    """

    name: str
    count: int | None = None


@frozen
class Tokens:
    """Where an input of the model holds one of these numbers.

    Attributes:
        ids: one or several token ids.
        input: the input that holds them.
        nth: only the first (0), second (1) or last (-1) such position of each example.
    """

    ids: tuple[int, ...] = field(converter=_integers)
    input: str = "input_ids"
    nth: int | None = None


@frozen
class LastReal:
    """The last position of each example that is not padding, on whichever side the padding is.

    Attributes:
        mask: the input of the model that is 0 at padding.
    """

    mask: str = "attention_mask"


@frozen
class Mask:
    """Where a boolean array holds: given now, or with each run.

    Attributes:
        holds: an array along the axis; a NamedArray, which may have more axes of the site, and
            `worlds`, which the site then gains; or the name of an input, a new one over `batch`
            and the axis if the graph has none.
    """

    holds: Any = field(eq=SAME_ARRAY, hash=False, repr=summary)


@frozen
class Basis:
    """The span of orthonormal directions along an axis: of a change, only its part in the span.

    An edit of x to y becomes an edit of x to x + (y - x) B^T B.

    Attributes:
        vectors: one row a direction, or a single direction.
    """

    vectors: Any = field(eq=SAME_ARRAY, hash=False, repr=summary)


@frozen
class Swept:
    """One position a world, from the front: what `each` stands for while a sweep is compiled.

    Attributes:
        name: of the input, an i64 array over `worlds`, which the graph has; -1 is no position.
    """

    name: str


At: TypeAlias = int | slice | Sequence[int] | Positions | Tokens | LastReal | Mask | Basis | Swept
Where: TypeAlias = Mapping[str, At]
Inputs: TypeAlias = Callable[[str], Value | None]
RECORDS = {cls.__name__: cls for cls in (Positions, Tokens, LastReal, Mask, Basis)}


def is_single(at: At) -> bool:
    """Whether this is one position (of each example), so that an array put there lacks the axis."""
    return (
        isinstance(at, int | np.integer | LastReal | Swept)
        or (isinstance(at, Positions) and at.count is None)
        or (isinstance(at, Tokens) and at.nth is not None)
    )


def editing(x: Term) -> Rewriter:
    """The edits that a term is built for, which know the inputs of the graph."""
    rewriter = x.builder.editing
    if rewriter is None:
        raise RewriteError("positions that a run tells are for edits of a graph")
    return rewriter


def hits(found: Found, axis: str, at: At, x: Term, inputs: Inputs | None = None) -> Term:
    """True at the selected positions of one axis of x.

    Args:
        inputs: name -> an input of the run that tells the positions; those of the graph if None.

    Raises:
        SelectionError: for positions outside of the axis, or none at all; where the axis is
            dynamic a guard of the graph refuses runs that are too short.
    """
    told = isinstance(at, Tokens | LastReal) or (isinstance(at, Mask) and isinstance(at.holds, str))
    if axis in found.scanned and told:
        raise SelectionError(f"{found.name}: steps of a loop are given by number, not as {at}")
    if isinstance(at, slice):
        return _in_slice(found, axis, at, x)
    if isinstance(at, Mask):
        return _holding(found, axis, at, x, inputs)
    if isinstance(at, Tokens):
        return _matching(found, axis, at, x, inputs)
    place = _places(found, axis, x)
    if isinstance(at, Positions):
        given = _given(found, axis, at, x)
        hit = ops.eq(place, given)
        return hit if at.count is None else ops.any(hit, over=given.axes[-1])
    if isinstance(at, LastReal | Swept):
        return ops.eq(place, picked(found, axis, at, x, inputs))
    positions = tuple(at) if isinstance(at, Sequence | np.ndarray) else (at,)
    if not positions:
        raise SelectionError(f"{found.name}: no position of {axis!r} is selected")
    each = [ops.eq(place, _inside(found, axis, p, x)) for p in positions]
    return reduce(lambda a, b: a | b, each)


def _places(found: Found, axis: str, x: Term) -> Term:
    """The positions along an axis; inside a scan over it, the one at which it is."""
    if axis in found.scanned:
        return Term(editing(x).step(found.place.value, axis), x.builder)
    return ops.iota(axis=axis)


def picked(found: Found, axis: str, at: At, x: Term, inputs: Inputs | None = None) -> Term:
    """The one position (of each example) that `at` means, as an integer."""
    if isinstance(at, int | np.integer):
        position = _inside(found, axis, at, x)
        return x.builder.constant(position, DType.i64) if isinstance(position, int) else position
    if isinstance(at, Positions):
        return _given(found, axis, at, x)
    if isinstance(at, Swept):
        return Term(next(p.value for p in editing(x).inputs if p.name == at.name), x.builder)
    if isinstance(at, LastReal):
        mask = ops.ne(_input(found, axis, at.mask, x, inputs), 0)
    else:
        mask = hits(found, axis, at, x, inputs)
    return ops.select(mask, ops.iota(axis=axis), -1).max(axis)


# --- integers -----------------------------------------------------------------------------------


def _inside(found: Found, axis: str, position: Any, x: Term) -> Any:
    """A position counted from the front: an integer, or a term where the size is dynamic."""
    if isinstance(position, bool | np.bool_) or not isinstance(position, int | np.integer):
        raise SelectionError(
            f"{found.name}: {position!r} is no position of {axis!r}; positions are integers, and "
            "booleans are given as Mask([...])"
        )
    position, size = int(position), x.size(axis)
    least = position + 1 if position >= 0 else -position
    if isinstance(size, int):
        if size < least:
            raise SelectionError(
                f"{found.name}: position {position} is outside of {axis!r} of size {size}"
            )
        return position % size
    require_extent(editing(x), found, axis, least, None, f"position {position}")
    return position if position >= 0 else ops.size(value=size + position)


def require_extent(
    rewriter: Rewriter, found: Found, axis: str, low: int, high: int | None, what: str
) -> None:
    """Let the graph refuse runs in which a dynamic axis is too short, or too long."""
    reason = f"{rewriter.by} edits {what} of {axis!r} at {found.name}"
    rewriter.guards.append(Guard(rewriter.typing.size(axis), low, high, reason))


def _in_slice(found: Found, axis: str, at: slice, x: Term) -> Term:
    size, step = x.size(axis), 1 if at.step is None else at.step
    if step < 1:
        raise SelectionError(f"{found.name}: slices of {axis!r} go forward, not by {step}")
    if isinstance(size, int):
        positions = range(size)[at]
        if not positions:
            raise SelectionError(f"{found.name}: {at} selects nothing of {axis!r} of size {size}")
    elif (at.start or 0) > 0:
        require_extent(editing(x), found, axis, at.start + 1, None, f"{at}")
    place = _places(found, axis, x)
    start, stop = (_bound(bound, size) for bound in (at.start, at.stop))
    mask = ops.ge(place, 0 if start is None else start)
    if stop is not None:
        mask = mask & ops.lt(place, stop)
    if step > 1:
        offset = place if start is None else place - start
        mask = mask & ops.eq(offset % step, 0)
    return mask


def _bound(bound: int | None, size: Any) -> Any:
    """The bound of a slice, counted from the front and not before it."""
    if bound is None or bound >= 0:
        return bound
    if isinstance(size, int):
        return max(size + bound, 0)
    return ops.maximum(ops.size(value=size + bound), 0)


# --- what a run tells ---------------------------------------------------------------------------


def _input(found: Found, axis: str, name: str, x: Term, inputs: Inputs | None) -> Term:
    """An input of the graph, with the axis of its positions called `axis`.

    Raises:
        SelectionError: if there is none, or it does not lie along such an axis.
    """
    ports = {port.name: port.value for port in editing(x).inputs}
    value = ports.get(name) if inputs is None else inputs(name)
    if value is None:
        raise SelectionError(
            f"{found.name}: the graph has no input {name!r} to find positions of {axis!r} by"
            f"{nearest(name, ports)}"
        )
    term = Term(value, x.builder)
    if axis in term.axes:
        return term
    along = [a for a in term.axes if a != found.roles.get("batch", "batch")]
    if len(along) != 1 or x.size(along[0]) != x.size(axis):
        raise SelectionError(
            f"{found.name}: the input {name!r} has axes {{{', '.join(term.axes)}}}, none of which "
            f"is {axis!r} or as long"
        )
    return term.rename(**{along[0]: axis})


def _given(found: Found, axis: str, at: Positions, x: Term) -> Term:
    """The positions that a run gives, from the front."""
    rewriter = editing(x)
    batch = tuple(a for a in (found.roles.get("batch", "batch"),) if a in found.axes)
    known = {port.name: port for port in rewriter.inputs}
    if at.name in known:
        value = known[at.name].value
        if value.type.dtype is not DType.i64 or len(value.axes) != len(batch) + bool(at.count):
            raise InputError(f"{found.name}: the input {at.name!r} is {value.type!r}, no positions")
    else:
        axes = batch
        if at.count is not None:
            extra = rewriter.typing.fresh(at.name)
            rewriter.typing.table[extra] = at.count
            axes = (*batch, extra)
        value = rewriter.add_input(at.name, Type(DType.i64, axes), axes)
    term = Term(value, x.builder)
    return ops.select(term < 0, term + ops.size(value=x.size(axis)), term)


def _matching(found: Found, axis: str, at: Tokens, x: Term, inputs: Inputs | None) -> Term:
    if not at.ids:
        raise SelectionError(f"{found.name}: no tokens are given to look for")
    held = _input(found, axis, at.input, x, inputs)
    if not held.dtype.is_int:
        raise SelectionError(f"{found.name}: the input {at.input!r} holds no tokens")
    mask = reduce(lambda a, b: a | b, [ops.eq(held, token) for token in at.ids])
    if at.nth is None:
        return mask
    back = at.nth < 0
    count = ops.cumsum(mask.cast(DType.i64), axis=axis, reverse=back)
    return mask & ops.eq(count, -at.nth if back else at.nth + 1)


def _holding(found: Found, axis: str, at: Mask, x: Term, inputs: Inputs | None) -> Term:
    if not isinstance(at.holds, str):
        return _constant_mask(found, axis, at.holds, x)
    rewriter = editing(x)
    if inputs is None and all(port.name != at.holds for port in rewriter.inputs):
        batch = tuple(a for a in (found.roles.get("batch", "batch"),) if a in found.axes)
        axes = tuple(dict.fromkeys((*batch, axis)))
        return Term(rewriter.add_input(at.holds, Type(DType.boolean, axes), axes), x.builder)
    term = _input(found, axis, at.holds, x, inputs)
    return term if term.dtype is DType.boolean else ops.ne(term, 0)


def _constant_mask(found: Found, axis: str, holds: Any, x: Term) -> Term:
    data = np.asarray(holds)
    if data.dtype.kind != "b" or not data.any():
        raise SelectionError(f"{found.name}: a mask is of booleans, and true somewhere")
    axes: tuple[str, ...] = (axis,)
    if isinstance(holds, NamedArray):
        data, axes = np.asarray(holds.squeeze()), named_axes(editing(x), found, holds)
    if axis not in axes:
        raise SelectionError(f"{found.name}: the mask of {axis!r} lies along {list(axes)}")
    value = fixed(editing(x), found, f"mask.{found.name}", data, axes)
    return Term(value, x.builder)


def named_axes(rewriter: Rewriter, found: Found, array: NamedArray) -> tuple[str, ...]:
    """The axes of a user's array at a site, by role or name; `worlds` may be new there."""
    sizes = array.squeeze().sizes
    if WORLDS in sizes:
        rewriter.typing.make(WORLDS, sizes[WORLDS])
    return tuple(axis if axis == WORLDS else found.axis(axis) for axis in sizes)


def fixed(rewriter: Rewriter, found: Found, name: str, data: Any, axes: tuple[str, ...]) -> Value:
    """What edits at a site read of a parameter that holds an array over its axes."""
    return rewriter.inside(found.place.value, array_parameter(rewriter, found, name, data, axes))


def array_parameter(
    rewriter: Rewriter, found: Found, name: str, data: Any, axes: tuple[str, ...]
) -> Value:
    """A parameter that holds an array over axes of a site, and does not learn.

    Raises:
        InputError: if the array does not fit the axes; names both.
    """
    if len(axes) != data.ndim:
        raise InputError(f"{found.name}: an array of shape {data.shape} does not lie along {axes}")
    for axis, extent in zip(axes, data.shape, strict=True):
        size = rewriter.typing.size(axis)
        if not isinstance(size, int):
            require_extent(rewriter, found, axis, extent, extent, f"{extent} positions")
        elif size != extent:
            raise InputError(
                f"{rewriter.by}: the array has {extent} along {axis!r}, but at {found.name} that "
                f"axis has size {size}"
            )
    unique = unused(name, {p.name for p in rewriter.parameters})
    of = Type(dtype_of(data.dtype), axes)
    return rewriter.add_parameter(unique, data, of, trainable=False)
