"""Reads and writes at computed positions, as pointwise index arithmetic.

A window of several positions is its start plus `iota` along a new axis. The simple forms, rows of
a table or single elements, are one `gather` without arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.frontends.jax._jax import GatherScatterMode, JaxprEqn
from graftwork.frontends.jax.exact import at_least
from graftwork.frontends.jax.rules.shape import cut
from graftwork.frontends.jax.translate import Translator
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import UnsupportedOpError
from graftwork.ir.positional import (
    Positional,
    aligned,
    carrying,
    matched,
    without_axis,
)
from graftwork.ir.sizes import Size

_FILL = GatherScatterMode.FILL_OR_DROP
_CLIP = GatherScatterMode.CLIP


def _mode(tr: Translator, equation: JaxprEqn) -> GatherScatterMode:
    mode = GatherScatterMode.from_any(equation.params["mode"])
    if mode not in (_FILL, _CLIP, GatherScatterMode.PROMISE_IN_BOUNDS):
        raise UnsupportedOpError(f"no indexing with mode {mode} (from {tr.builder.origin})")
    return mode


def _ints(numbers: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(number) for number in numbers)


# --- index vectors ------------------------------------------------------------------------------


def _components(tr: Translator, indices: Positional) -> list[Positional]:
    """The index operand of each addressed dimension: the last dimension taken apart."""
    last = indices.rank - 1
    if indices.dims[last] is None:
        return [Positional(indices.term, indices.dims[:last])]
    count = indices.size(last)
    assert isinstance(count, int)
    if count == 1:
        return [Positional(without_axis(indices, last).term, indices.dims[:last])]
    parts = [cut(tr, indices, last, i, i + 1) for i in range(count)]
    return [Positional(part.term, part.dims[:last]) for part in parts]


def _moved_within(tr: Translator, start: Term, size: Size, extent: Size) -> Term:
    """A start moved so that a window of a size lies within an axis, as JAX clips."""
    top = tr.number(extent - size, start.dtype)
    return ops.maximum(ops.minimum(start, top), 0)


def _within(tr: Translator, start: Term, size: Size, extent: Size) -> Term:
    """Whether the whole window lies within the axis."""
    return (start >= 0) & (start <= tr.number(extent - size, start.dtype))


@frozen
class Address:
    """How one dimension of an array is addressed.

    Attributes:
        place: the dimension.
        start: where its window starts.
        size: the size of the window.
        axis: the axis along the window; None where it has one position.
    """

    place: int
    start: Term
    size: Size
    axis: str | None

    def position(self) -> Term:
        """The position of every element of the window."""
        if self.axis is None:
            return self.start
        return self.start + ops.iota(axis=self.axis, dtype=self.start.dtype)


def _signed(start: Positional) -> Positional:
    """Positions in a dtype in which arithmetic on them cannot wrap."""
    if start.dtype.is_unsigned or start.dtype.bits < 32:
        wide = DType.i64 if start.dtype.bits >= 32 else DType.i32
        return Positional(start.term.cast(wide), start.dims)
    return start


# --- gather -------------------------------------------------------------------------------------


def _gather(tr: Translator, equation: JaxprEqn) -> Positional:
    x, numbers = tr.read(equation.invars[0]), equation.params["dimension_numbers"]
    sizes = tr.size.shape(equation.params["slice_sizes"])
    start = tr.exact(equation.invars[1])
    if start is not None and len(numbers.start_index_map) == 1:
        (place,) = _ints(numbers.start_index_map)
        if at_least(start, 0) and at_least(x.size(place) - sizes[place] - start, 0):
            return _block(tr, x, place, start, sizes, _ints(numbers.collapsed_slice_dims))
    return _gathered(tr, equation, x, tr.read(equation.invars[1]))


def _block(
    tr: Translator, x: Positional, place: int, start: Size, sizes: Sequence[Size],
    collapsed: Sequence[int],
) -> Positional:  # fmt: skip
    """A read at a known position: a slice."""
    for i, size in enumerate(sizes):
        low = start if i == place else 0
        x = cut(tr, x, i, low, low + size)
    for i in collapsed:
        x = without_axis(x, i)
    return Positional(x.term, tuple(axis for i, axis in enumerate(x.dims) if i not in collapsed))


def _gathered(tr: Translator, equation: JaxprEqn, x: Positional, indices: Positional) -> Positional:
    numbers = equation.params["dimension_numbers"]
    sizes = tr.size.shape(equation.params["slice_sizes"])
    mode = _mode(tr, equation)
    index_map = _ints(numbers.start_index_map)
    batching = dict(
        zip(_ints(numbers.operand_batching_dims), _ints(numbers.start_indices_batching_dims),
            strict=True)
    )  # fmt: skip
    gone = {*_ints(numbers.collapsed_slice_dims), *batching}
    x, batch, starts = _meet(x, indices.dims[:-1], _components(tr, indices), batching)
    addresses: list[Address] = []
    window: list[str | None] = []
    for place, size in enumerate(sizes):
        if place in batching:
            continue
        axis: str | None = None
        if place not in index_map:
            x = cut(tr, x, place, 0, size)
            axis = x.dims[place]
        elif size == x.size(place) and mode is not _FILL and place not in gone:
            axis = x.dims[place]  # the whole dimension: the start can only be 0
        else:
            axis = None if size == 1 else tr.fresh(size)
            start = starts[index_map.index(place)]
            addresses.append(Address(place, start, size, axis))
        if place not in gone:
            window.append(axis)
    term = _read(tr, x, addresses, mode, equation.params["fill_value"])
    return Positional(term, _interleaved(_ints(numbers.offset_dims), window, batch))


def _meet(
    x: Positional,
    batch: tuple[str | None, ...],
    starts: Sequence[Positional],
    batching: dict[int, int],
) -> tuple[Positional, tuple[str | None, ...], list[Term]]:
    """Array and indices, with one axis for the dimensions that both map over, and no other."""
    if not starts:
        starts = [Positional(x.term.builder.constant(0, DType.i32), batch)]
    terms, dims = aligned(*map(_signed, starts))
    labels = [("batch", batching[i]) if i in batching else ("own", i) for i in range(x.rank)]
    over = [("batch", i) for i in range(len(dims))]
    (x, *met), chosen = matched((x, labels), *((Positional(term, dims), over) for term in terms))
    return x, tuple(chosen[label] for label in over), [start.term for start in met]


def _interleaved(
    places: Sequence[int], window: Sequence[str | None], batch: Sequence[str | None]
) -> tuple[str | None, ...]:
    """The dimensions of a result, those of windows at the places given for them."""
    inside, outside = iter(window), iter(batch)
    rank = len(window) + len(batch)
    return tuple(next(inside) if i in places else next(outside) for i in range(rank))


def _read(
    tr: Translator, x: Positional, addresses: Sequence[Address], mode: GatherScatterMode, fill: Any
) -> Term:
    if not addresses:
        return x.term
    x = carrying(x, *(address.place for address in addresses))
    axes = [x.dims[address.place] for address in addresses]
    single = all(address.size == 1 for address in addresses)
    value = _fill_value(x.dtype, fill)
    if single or mode is GatherScatterMode.PROMISE_IN_BOUNDS:
        word = {_FILL: "fill", _CLIP: "clip"}.get(mode, "promise")
        extra = {"fill": value} if word == "fill" else {}
        positions = [address.position() for address in addresses]
        return ops.gather(x.term, *positions, axes=axes, mode=word, **extra)
    moved = [
        Address(a.place, _moved_within(tr, a.start, a.size, x.size(a.place)), a.size, a.axis)
        for a in addresses
    ]
    found = ops.gather(x.term, *(a.position() for a in moved), axes=axes)
    if mode is _CLIP:
        return found
    return ops.select(_all_within(tr, x, addresses), found, tr.constant(value, x.dtype))


def _all_within(tr: Translator, x: Positional, addresses: Sequence[Address]) -> Term:
    first, *rest = (_within(tr, a.start, a.size, x.size(a.place)) for a in addresses)
    for verdict in rest:
        first = first & verdict
    return first


def _fill_value(dtype: DType, given: Any) -> float:
    """What reads out of range give: NaN, the least signed or greatest unsigned number, true."""
    if given is not None:
        return float(given)
    if dtype.is_float:
        return float("nan")
    if dtype is DType.boolean:
        return 1.0
    limits = np.iinfo(dtype.numpy)
    return float(limits.max if dtype.is_unsigned else limits.min)


# --- scatter ------------------------------------------------------------------------------------


def _scatter(combine: str) -> Any:
    def rule(
        tr: Translator, equation: JaxprEqn, x: Positional, indices: Positional, updates: Positional
    ) -> Positional:
        update = equation.params["update_jaxpr"]
        if combine == "set" and update is not None and update.eqns:
            raise UnsupportedOpError(
                "scatter applies a function to what it finds; write it as a read and a write, "
                f"x.at[i].set(f(x[i])) (from {tr.builder.origin})"
            )
        mode = _mode(tr, equation)
        numbers = equation.params["dimension_numbers"]
        batching = dict(
            zip(_ints(numbers.operand_batching_dims), _ints(numbers.scatter_indices_batching_dims),
                strict=True)
        )  # fmt: skip
        return _write(tr, x, _components(tr, indices), updates, numbers, batching, mode, combine)

    return rule


def _write(
    tr: Translator, x: Positional, starts: Sequence[Positional], updates: Positional, numbers: Any,
    batching: dict[int, int], mode: GatherScatterMode, combine: str,
) -> Positional:  # fmt: skip
    inserted = _ints(numbers.inserted_window_dims)
    index_map = _ints(numbers.scatter_dims_to_operand_dims)
    windows = [i for i in range(x.rank) if i not in inserted and i not in batching]
    in_updates = dict(zip(windows, _ints(numbers.update_window_dims), strict=True))
    labels: list[Any] = [None] * updates.rank
    for place, where in in_updates.items():
        whole = place not in index_map and updates.size(where) == x.size(place)
        labels[where] = ("own", place) if whole else ("window", place)
    free = iter(range(updates.rank))
    labels = [("batch", next(free)) if label is None else label for label in labels]
    of_x = [("batch", batching[i]) if i in batching else ("own", i) for i in range(x.rank)]
    terms, dims = aligned(*map(_signed, starts)) if starts else ([], ())
    over = [("batch", i) for i in range(len(dims))]
    (x, updates, *met), chosen = matched(
        (x, of_x), (updates, labels), *((Positional(term, dims), over) for term in terms)
    )
    addresses = []
    for place in range(x.rank):
        if place in batching or (place in in_updates and ("own", place) in labels):
            continue
        axis = chosen.get(("window", place)) if place in in_updates else None
        size = updates.size(in_updates[place]) if place in in_updates else 1
        known = place in index_map
        start = met[index_map.index(place)].term if known else tr.constant(0, DType.i32)
        addresses.append(Address(place, start, size, axis))
    mapped = {chosen["batch", i] for i in batching.values()}
    looped = [*(chosen[label] for label in over), *(a.axis for a in addresses)]
    loop = [axis for axis in looped if axis is not None and axis not in mapped]
    return _written(tr, x, updates, addresses, loop, mode, combine)


_COMBINED: dict[str, Callable[[Term, Term], Term]] = {
    "set": lambda x, update: update,
    "add": lambda x, update: x + update,
    "mul": lambda x, update: x * update,
    "min": lambda x, update: ops.minimum(x, update),
    "max": lambda x, update: ops.maximum(x, update),
}


def _written(
    tr: Translator, x: Positional, updates: Positional, addresses: Sequence[Address],
    over: Sequence[str], mode: GatherScatterMode, combine: str,
) -> Positional:  # fmt: skip
    if not addresses and over:
        raise UnsupportedOpError(f"a scatter that addresses nothing (from {tr.builder.origin})")
    if not addresses:
        return Positional(_COMBINED[combine](x.term, updates.term), x.dims)
    x = carrying(x, *(address.place for address in addresses))
    if mode is _CLIP:
        addresses = [
            Address(a.place, _moved_within(tr, a.start, a.size, x.size(a.place)), a.size, a.axis)
            for a in addresses
        ]
    positions = [address.position() for address in addresses]
    if mode is _FILL and any(address.size != 1 for address in addresses):
        fits = _all_within(tr, x, addresses)  # a window that does not fit is dropped as a whole
        positions = [ops.select(fits, p, tr.constant(-1, p.dtype)) for p in positions]
    term = ops.scatter(
        x.term,
        updates.term.broadcast(*over),
        *positions,
        axes=[x.dims[address.place] for address in addresses],
        over=over,
        combine=combine,
        mode="drop" if mode is _FILL else "promise",
    )
    return Positional(term, x.dims)


# --- blocks at a computed start -----------------------------------------------------------------


def _dynamic_slice(tr: Translator, equation: JaxprEqn) -> Positional:
    x = tr.read(equation.invars[0])
    sizes = tr.size.shape(equation.params["slice_sizes"])
    for place, (size, atom) in enumerate(zip(sizes, equation.invars[1 : x.rank + 1], strict=True)):
        extent, start = x.size(place), tr.exact(atom)
        if size == extent:
            continue
        if start is not None and at_least(start, 0) and at_least(extent - size - start, 0):
            x = cut(tr, x, place, start, start + size)
            continue
        full = carrying(x, place)
        where = _signed(tr.read(atom)).term
        if size == 1:
            at = _moved_within(tr, where, size, extent)
            term = ops.gather(full.term, at, axes=[full.dims[place]])
            x = Positional(term, full.with_dim(place, None).dims)
        else:
            into = tr.fresh(size)
            attrs = {"axis": full.dims[place], "size": size, "into": into}
            term = ops.dynamic_slice(full.term, where, **attrs)
            x = Positional(term, full.with_dim(place, into).dims)
    return x


def _dynamic_update_slice(tr: Translator, equation: JaxprEqn) -> Positional:
    x, update, *starts = (tr.read(atom) for atom in equation.invars)
    partial = [i for i in range(x.rank) if update.size(i) != x.size(i)]
    labels = [("block", i) if i in partial else i for i in range(x.rank)]
    (x, update), _ = matched((x, list(range(x.rank))), (update, labels))
    x, update = carrying(x, *partial), carrying(update, *partial)
    if not partial:
        return Positional(update.term, tuple(map(_either, update.dims, x.dims)))
    if len(partial) == 1:
        (place,) = partial
        start = _signed(starts[place]).term
        attrs = {"axis": x.dims[place], "update_axis": update.dims[place]}
        return Positional(ops.dynamic_update_slice(x.term, update.term, start, **attrs), x.dims)
    addresses = [
        Address(i, _signed(starts[i]).term, update.size(i), update.dims[i]) for i in partial
    ]
    over = [str(update.dims[i]) for i in partial]
    return _written(tr, x, update, addresses, over, _CLIP, "set")


def _either(a: str | None, b: str | None) -> str | None:
    return b if a is None else a


RULES: dict[str, Any] = {
    "scatter": _scatter("set"),
    "scatter-add": _scatter("add"),
    "scatter_add": _scatter("add"),
    "scatter-mul": _scatter("mul"),
    "scatter_mul": _scatter("mul"),
    "scatter-min": _scatter("min"),
    "scatter_min": _scatter("min"),
    "scatter-max": _scatter("max"),
    "scatter_max": _scatter("max"),
}
STRUCTURAL: dict[str, Any] = {
    "gather": _gather,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
}
