"""What all interventions share: which places, which positions there, and what stands there instead.

A position is given by axis words, roles first (`where={"heads": 3, "seq": slice(2, 5)}`); an
integer, a slice or a list of integers each. An array is named, or lies along the last axes of
the site that no integer selects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from attrs import cmp_using

from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.build import Term
from graftwork.ir.errors import InputError, SelectionError
from graftwork.ir.graph import Graph, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found, Selector, require
from graftwork.ir.types import Type

At: TypeAlias = int | slice | Sequence[int]
Where: TypeAlias = Mapping[str, At]
Site: TypeAlias = str | Selector


def summary(array: Any) -> str:
    """An array in a few words, for the reprs of passes."""
    if array is None or isinstance(array, str | tuple | list):
        return repr(array)
    return f"<array of shape {np.shape(array)}>"


SAME_ARRAY = cmp_using(eq=lambda a, b: _same_array(a, b))
"""How fields that hold an array or None compare: by contents."""


def _same_array(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    names = (getattr(a, "axes", None), getattr(b, "axes", None))
    return names[0] == names[1] and np.array_equal(np.asarray(a), np.asarray(b), equal_nan=False)


def edit_sites(
    graph: Graph,
    by: str,
    site: Site,
    edit: Callable[[Rewriter, Found, Term], Term],
    count: int | None = None,
) -> Graph:
    """Interpose an edit at every selected place.

    Raises:
        SelectionError: if nothing is selected, or not `count` places.
        UnreachableEditError: if no output depends on a place.
    """
    found = require(graph, site)
    if count is not None:
        found.count(count)
    rewriter = Rewriter(graph, by)
    for place in found:
        value = rewriter.resolve(place.place)
        rewriter.interpose(value, lambda term, f=place: edit(rewriter, f, term))
    return rewriter.finish(must_reach=True)


def chosen(found: Found, where: Where | None, new: Term, old: Term) -> Term:
    """`new` at the positions `where`, `old` elsewhere; `new` has the axes of `old` or fewer."""
    if not where:
        return new.broadcast(*old.axes)
    mask: Term | None = None
    for word, at in where.items():
        hit = _mask(found, found.axis(word), at, old)
        mask = hit if mask is None else mask & hit
    assert mask is not None
    return ops.select(mask, new, old)


def _mask(found: Found, axis: str, at: At, x: Term) -> Term:
    """True at the selected positions of one axis.

    Raises:
        SelectionError: for a position outside of an axis of known size.
    """
    size = x.size(axis)
    place = ops.iota(axis=axis)
    if isinstance(at, slice):
        step = 1 if at.step is None else at.step
        if step < 1:
            raise SelectionError(f"{found.name}: slices of {axis!r} go forward, not by {step}")
        start, stop = (_from_end(b, size) for b in (at.start, at.stop))
        mask = ops.ge(place, _number(start)) if start is not None else None
        if stop is not None:
            below = ops.lt(place, _number(stop))
            mask = below if mask is None else mask & below
        if step > 1:
            offset = place if start is None else place - _number(start)
            on = ops.eq(offset % step, 0)
            mask = on if mask is None else mask & on
        return ops.ge(place, 0) if mask is None else mask
    positions = (at,) if isinstance(at, int | np.integer) else tuple(at)
    mask = None
    for position in positions:
        inside = not isinstance(size, int) or -size <= position < size
        if not inside:
            raise SelectionError(
                f"{found.name}: position {position} is outside of {axis!r} of size {size}"
            )
        hit = ops.eq(place, _number(_from_end(int(position), size)))
        mask = hit if mask is None else mask | hit
    if mask is None:
        raise SelectionError(f"{found.name}: no position of {axis!r} is selected")
    return mask


def _from_end(position: int | None, size: Any) -> Any:
    if position is None or position >= 0:
        return position
    return size + position


def _number(size: Any) -> Any:
    return size if isinstance(size, int) else ops.size(value=size)


def given_array(
    rewriter: Rewriter, found: Found, array: Any, where: Where | None, name: str
) -> Value:
    """A parameter that holds a user's array, over the axes of the site that it lies along.

    Raises:
        InputError: if the array does not fit the site; names both.
    """
    axes = _axes_of(found, array, where)
    data = np.asarray(array).astype(found.dtype.numpy)
    for axis, extent in zip(axes, data.shape, strict=True):
        size = rewriter.typing.size(axis)
        if isinstance(size, int) and size != extent:
            raise InputError(
                f"{rewriter.by}: the array has {extent} along {axis!r}, but at {found.name} that "
                f"axis has size {size}"
            )
    taken = {p.name for p in rewriter.parameters}
    unique, count = name, 2
    while unique in taken:
        unique, count = f"{name}_{count}", count + 1
    return rewriter.add_parameter(unique, data, Type(found.dtype, axes), trainable=False)


def _axes_of(found: Found, array: Any, where: Where | None) -> tuple[str, ...]:
    if isinstance(array, NamedArray):
        return tuple(found.axis(axis) for axis in array.squeeze().axes if axis is not None)
    single = {found.axis(w) for w, at in (where or {}).items() if isinstance(at, int)}
    free = [axis for axis in found.axes if axis not in single]
    rank = np.ndim(array)
    if rank > len(free):
        raise InputError(
            f"an array of shape {np.shape(array)} does not fit {found.name}, whose free axes are "
            f"{free}; give a NamedArray to say which axes it has"
        )
    return tuple(free[len(free) - rank :])
