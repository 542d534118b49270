"""Equations that move, cut and join dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graftwork.frontends.jax._jax import JaxprEqn
from graftwork.frontends.jax.exact import at_least
from graftwork.frontends.jax.reshape import reshape
from graftwork.frontends.jax.translate import Translator
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.dtypes import dtype_of
from graftwork.ir.positional import (
    Label,
    Positional,
    carrying,
    matched,
    without_axis,
)
from graftwork.ir.sizes import Size, ceil_div, maximum


def _transpose(tr: Translator, equation: JaxprEqn, x: Positional) -> Positional:
    return Positional(x.term, tuple(x.dims[i] for i in equation.params["permutation"]))


def _squeeze(tr: Translator, equation: JaxprEqn, x: Positional) -> Positional:
    gone = set(equation.params["dimensions"])
    for place in gone:
        x = without_axis(x, place)
    return Positional(x.term, tuple(a for i, a in enumerate(x.dims) if i not in gone))


def _broadcast_in_dim(
    tr: Translator, equation: JaxprEqn, x: Positional, *_: Positional
) -> Positional:
    shape = tr.size.shape(equation.params["shape"])
    places: Sequence[int] = equation.params["broadcast_dimensions"]
    for i, place in enumerate(places):
        if shape[place] != 1 and x.size(i) == 1:
            x = without_axis(x, i)
    kept = dict(zip(places, x.dims, strict=True))
    dims = (
        kept.get(i) or (None if extent == 1 else tr.fresh(extent)) for i, extent in enumerate(shape)
    )
    return Positional(x.term, tuple(dims))


def _reshape(tr: Translator, equation: JaxprEqn, x: Positional, *_: Positional) -> Positional:
    if equation.params["dimensions"] is not None:
        x = Positional(x.term, tuple(x.dims[i] for i in equation.params["dimensions"]))
    return reshape(x, tr.size.shape(equation.params["new_sizes"]))


def cut(
    tr: Translator, x: Positional, place: int, start: Size, stop: Size, step: int = 1
) -> Positional:
    """Every step-th position of a dimension from start to before stop."""
    extent = ceil_div(stop - start, step)
    if start == 0 and extent == x.size(place):
        return x
    if x.dims[place] is None:
        x = carrying(x, place)  # an empty part of one position
    if not x.carries(place):
        return x.with_dim(place, None if extent == 1 else tr.fresh(extent))
    axis = x.dims[place]
    if extent == 1:
        return Positional(ops.index(x.term, axis=axis, at=start), x.with_dim(place, None).dims)
    into = tr.fresh(extent)
    term = ops.slice(x.term, axis=axis, start=start, stop=stop, step=step, into=into)
    return Positional(term, x.with_dim(place, into).dims)


def _slice(tr: Translator, equation: JaxprEqn, x: Positional) -> Positional:
    p = equation.params
    steps = p["strides"] or (1,) * x.rank
    starts, stops = tr.size.shape(p["start_indices"]), tr.size.shape(p["limit_indices"])
    for place, (start, stop, step) in enumerate(zip(starts, stops, steps, strict=True)):
        x = cut(tr, x, place, start, stop, int(step))
    return x


def _split(tr: Translator, equation: JaxprEqn, x: Positional) -> list[Positional]:
    place, parts = int(equation.params["axis"]), []
    start: Size = 0
    for extent in tr.size.shape(equation.params["sizes"]):
        parts.append(cut(tr, x, place, start, start + extent))
        start = start + extent
    return parts


def join(tr: Translator, place: int, xs: Sequence[Positional]) -> Positional:
    """Arrays one after another along a dimension."""
    if len(xs) == 1:
        return xs[0]
    total: Size = 0
    for x in xs:
        total = total + x.size(place)
    labels: list[list[Label]] = [
        [(i, n) if i == place else i for i in range(x.rank)] for n, x in enumerate(xs)
    ]
    met, chosen = matched(*zip(xs, labels, strict=True))
    full = [carrying(x, place) if x.dims[place] is not None else x for x in met]
    into = tr.fresh(total)
    axes = [x.dims[place] or into for x in full]
    term = ops.concat(*(x.term for x in full), axes=axes, into=into)
    return Positional(term, tuple(into if i == place else chosen[i] for i in range(xs[0].rank)))


def _concatenate(tr: Translator, equation: JaxprEqn, *xs: Positional) -> Positional:
    return join(tr, int(equation.params["dimension"]), xs)


def _stack(tr: Translator, equation: JaxprEqn, *xs: Positional) -> Positional:
    place = int(equation.params["axis"])
    return join(tr, place, [Positional(x.term, _inserted(x, place)) for x in xs])


def _inserted(x: Positional, place: int) -> tuple[str | None, ...]:
    return (*x.dims[:place], None, *x.dims[place:])


def _unstack(tr: Translator, equation: JaxprEqn, x: Positional) -> list[Positional]:
    place = int(equation.params["axis"])
    parts = [cut(tr, x, place, i, i + 1) for i in range(len(equation.outvars))]
    return [Positional(part.term, (*part.dims[:place], *part.dims[place + 1 :])) for part in parts]


def _tile(tr: Translator, equation: JaxprEqn, x: Positional) -> Positional:
    """Each dimension repeated as a whole: an expansion merged with what it repeats."""
    sizes = [x.size(i) for i in range(x.rank)]
    repeats = tr.size.shape(equation.params["reps"])
    dims: list[str | None] = []
    for repeat, axis in zip(repeats, x.dims, strict=True):
        dims += [None if repeat == 1 else tr.fresh(repeat), axis]
    shape = tuple(repeat * size for repeat, size in zip(repeats, sizes, strict=True))
    return reshape(Positional(x.term, tuple(dims)), shape)


def _reverse(tr: Translator, equation: JaxprEqn, x: Positional) -> Positional:
    axes = [x.dims[i] for i in equation.params["dimensions"] if x.carries(i)]
    return Positional(ops.flip(x.term, axes=axes), x.dims) if axes else x


def _pad(tr: Translator, equation: JaxprEqn, x: Positional, value: Positional) -> Positional:
    for place, config in enumerate(equation.params["padding_config"]):
        low, high = tr.size.shape(config[:2])
        x = padded(tr, x, value.term, place, low, high, int(config[2]))
    return x


def padded(
    tr: Translator, x: Positional, value: Term, place: int, low: Size, high: Size, interior: int = 0
) -> Positional:
    """A dimension with a value before, after and between its positions; negative cuts off."""
    (more_low, less_low), (more_high, less_high) = (_sides(edge) for edge in (low, high))
    extent = x.size(place)
    spread = extent + (extent - 1) * interior
    if (more_low, more_high) != (0, 0) or spread != extent:
        if x.dims[place] is not None:
            x = carrying(x, place)
        into = tr.fresh(more_low + spread + more_high)
        axis = x.dims[place] or into
        attrs = {"low": more_low, "high": more_high, "interior": interior, "into": into}
        x = Positional(ops.pad(x.term, value, axis=axis, **attrs), x.with_dim(place, into).dims)
    return cut(tr, x, place, less_low, x.size(place) - less_high)


def _sides(edge: Size) -> tuple[Size, Size]:
    """How much to add at an edge, and how much to cut off."""
    verdict = at_least(edge, 0)
    if verdict is None:
        return maximum(edge, 0), maximum(-edge, 0)
    return (edge, 0) if verdict else (0, -edge)


def _iota(tr: Translator, equation: JaxprEqn, *_: Positional) -> Positional:
    shape = tr.size.shape(equation.params["shape"])
    dtype, place = dtype_of(equation.params["dtype"]), int(equation.params["dimension"])
    dims = tuple(None if extent == 1 else tr.fresh(extent) for extent in shape)
    axis = dims[place]
    if axis is None:
        return Positional(tr.constant(0, dtype), dims)
    return Positional(ops.iota(axis=axis, dtype=dtype), dims)


def _empty(tr: Translator, equation: JaxprEqn, *_: Positional) -> Positional:
    """Any numbers: zeros."""
    shape, dtype = tr.size.shape(equation.params["shape"]), dtype_of(equation.params["dtype"])
    dims = tuple(None if extent == 1 else tr.fresh(extent) for extent in shape)
    return Positional(tr.constant(0, dtype), dims)


RULES: dict[str, Any] = {
    "empty": _empty,
    "transpose": _transpose,
    "squeeze": _squeeze,
    "broadcast_in_dim": _broadcast_in_dim,
    "reshape": _reshape,
    "slice": _slice,
    "split": _split,
    "concatenate": _concatenate,
    "stack": _stack,
    "unstack": _unstack,
    "tile": _tile,
    "rev": _reverse,
    "pad": _pad,
    "iota": _iota,
}
