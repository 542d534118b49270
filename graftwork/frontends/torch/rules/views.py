"""Operators that move, make and drop dimensions, and those that select and join along one.

Most of them change only which axis stands where and build nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graftwork.frontends.torch.dtypes import common_dtype, lifted
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.rules.reshaping import reshaped
from graftwork.frontends.torch.values import Extents, place_of
from graftwork.ir import ops
from graftwork.ir.positional import Positional, carrying, fresh, matched
from graftwork.ir.size_values import decide
from graftwork.ir.sizes import Size, bounds, ceil_div, maximum, minimum

UNBOUNDED = 2**62  # torch writes "to the end" as the greatest 64-bit integer


@rule(
    "aten.alias",
    "aten.clone",
    "aten._conj",
    "aten.conj",
    "aten.conj_physical",
    "aten.contiguous",
    "aten.detach",
    "aten.detach_",
    "aten.lift_fresh",
    "aten.lift_fresh_copy",
    "aten.positive",
    "aten.real",
    "aten.resolve_conj",
    "aten.resolve_neg",
)
def unchanged(call: Call, self: Positional, *_: object, **__: object) -> Positional:
    """Operators that only speak of memory, gradients or training."""
    return self


@rule("aten.view", "aten.reshape", "aten._unsafe_view", "aten.flatten", "aten.unflatten")
def view(call: Call, self: Positional, *_: object, **__: object) -> Positional:
    """The same elements in row-major order under another shape."""
    return reshaped(self, call.shape)


@rule("aten.permute")
def permute(call: Call, self: Positional, dims: Sequence[int]) -> Positional:
    """Dimensions in another order."""
    return Positional(self.term, tuple(self.dims[d] for d in dims))


@rule("aten.transpose", "aten.swapaxes")
def transpose(call: Call, self: Positional, dim0: int, dim1: int) -> Positional:
    """Two dimensions exchanged."""
    dims = list(self.dims)
    if not dims:
        return self
    dims[dim0], dims[dim1] = dims[dim1], dims[dim0]
    return Positional(self.term, tuple(dims))


@rule("aten.t", "aten.numpy_T", "aten.mT")
def t(call: Call, self: Positional) -> Positional:
    """The transpose of a matrix."""
    return Positional(self.term, (*self.dims[:-2], *reversed(self.dims[-2:])))


@rule("aten.unsqueeze")
def unsqueeze(call: Call, self: Positional, dim: int) -> Positional:
    """A new unit dimension."""
    place = dim + self.rank + 1 if dim < 0 else dim
    return Positional(self.term, (*self.dims[:place], None, *self.dims[place:]))


@rule("aten.squeeze")
def squeeze(call: Call, self: Positional, dim: int | Sequence[int] | None = None) -> Positional:
    """Unit dimensions dropped."""
    if dim is None:
        chosen = set(range(self.rank))
    else:
        chosen = {place_of(self, d) for d in ([dim] if isinstance(dim, int) else dim)}
    kept = (a for place, a in enumerate(self.dims) if place not in chosen or a is not None)
    return Positional(self.term, tuple(kept))


@rule("aten.expand", "aten.broadcast_to", "aten.expand_as")
def expand(call: Call, self: Positional, *_: object, **__: object) -> Positional:
    """Unit dimensions repeated; new dimensions come first."""
    return expanded(self, call.shape)


def expanded(x: Positional, extents: Extents) -> Positional:
    """The tensor broadcast to a shape, at no cost: the term does not get the new axes."""
    padded = (None,) * (len(extents) - x.rank) + x.dims
    typing = x.term.builder.typing
    dims = tuple(
        fresh(typing, extent) if axis is None and extent is not None else axis
        for axis, extent in zip(padded, extents, strict=True)
    )
    return Positional(x.term, dims)


@rule("aten.repeat", "aten.tile")
def repeat(call: Call, self: Positional, repeats: Sequence[Size]) -> Positional:
    """The tensor several times over along each dimension."""
    copies = (1,) * (self.rank - len(repeats)) + tuple(repeats)
    x = Positional(self.term, (None,) * (len(copies) - self.rank) + self.dims)
    for place, count in enumerate(copies):
        axis, total = x.dims[place], call.shape[place]
        if count == 1 or total is None:
            continue
        if axis is None or not x.carries(place):
            x = x.with_dim(place, call.fresh(total))
        else:
            slow, into = call.fresh(count), call.fresh(total)
            term = x.term.broadcast(slow).merge(slow, axis, into=into)
            x = Positional(term, x.with_dim(place, into).dims)
    return x


# --- selecting ----------------------------------------------------------------------------------


@rule("aten.select")
def select(call: Call, self: Positional, dim: int, index: Size) -> Positional:
    """One position of a dimension, which disappears."""
    place = place_of(self, dim)
    return taken(self, place, index)


def taken(x: Positional, place: int, index: Size) -> Positional:
    """The tensor at one position of a dimension, counted from the end where negative."""
    axis = x.dims[place]
    if axis is None or not x.carries(place):
        return Positional(x.term, x.with_dim(place).dims)
    at = from_front(index, x.size(place))
    return Positional(ops.index(x.term, axis=axis, at=at), x.with_dim(place).dims)


@rule("aten.slice")
def slice_(
    call: Call,
    self: Positional,
    dim: int = 0,
    start: Size | None = None,
    end: Size | None = None,
    step: int = 1,
) -> Positional:
    """Every step-th position of a dimension, with Python's bounds."""
    place = place_of(self, dim)
    first, last = slice_bounds(self.size(place), start, end, call.shape[place], step)
    return sliced(self, place, first, last, step, call.shape[place])


def slice_bounds(
    size: Size, start: Size | None, end: Size | None, extent: Size | None, step: int = 1
) -> tuple[Size, Size]:
    """Where a Python slice starts and stops, both in range, given its known extent."""
    first = from_front(0 if start is None else start, size)
    last = from_front(size if end is None else end, size)
    if isinstance(last, int) and last >= UNBOUNDED:
        last = size
    known: Size = 1 if extent is None else extent
    if known == 0:
        return 0, 0
    if decide(ceil_div(last - first, step), known) is True:
        return first, last
    first = minimum(maximum(first, 0), size)
    return first, minimum(first + known * step, size) if step > 1 else first + known


def from_front(position: Size, size: Size) -> Size:
    """A position counted from the end, as negative ones are, counted from the front."""
    most = bounds(position)[1]
    from_end = position < 0 if isinstance(position, int) else most is not None and most <= 0
    return position + size if from_end else position


def sliced(
    x: Positional, place: int, first: Size, last: Size, step: int, extent: Size | None
) -> Positional:
    """Positions `first:last:step` of a dimension; a slice of extent 1 is an index."""
    axis = x.dims[place]
    if axis is None and extent is None:
        return x
    if first == 0 and step == 1 and decide(last, x.size(place)) is True:
        return x
    if extent is None:
        return Positional(taken(x, place, first).term, x.with_dim(place, None).dims)
    typing = x.term.builder.typing
    if axis is not None and not x.carries(place):
        return x.with_dim(place, fresh(typing, extent))
    x = carrying(x, place)
    into = fresh(typing, extent)
    term = ops.slice(x.term, axis=x.dims[place], start=first, stop=last, step=step, into=into)
    return Positional(term, x.with_dim(place, into).dims)


@rule("aten.split_with_sizes", "aten.split", "aten.chunk")
def split(
    call: Call, self: Positional, sizes: object = None, dim: int = 0
) -> tuple[Positional, ...]:
    """A dimension cut into pieces."""
    place = place_of(self, dim)
    pieces: list[Positional] = []
    start: Size = 0
    for extents in call.shapes:
        stop = start + _known(extents[place])
        pieces.append(sliced(self, place, start, stop, 1, extents[place]))
        start = stop
    return tuple(pieces)


@rule("aten.unbind")
def unbind(call: Call, self: Positional, dim: int = 0) -> tuple[Positional, ...]:
    """A dimension taken apart."""
    return tuple(taken(self, place_of(self, dim), i) for i in range(len(call.shapes)))


@rule("aten.diagonal")
def diagonal(
    call: Call, self: Positional, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Positional:
    """The entries whose positions in two dimensions differ by an offset, as a last dimension."""
    return diagonal_of(self, place_of(self, dim1), place_of(self, dim2), offset, call.shape[-1])


def diagonal_of(
    x: Positional, first: int, second: int, offset: int, extent: Size | None
) -> Positional:
    """The entries of two dimensions with `second - first == offset`, so many, as a last one."""
    x = carrying(x, first, second)
    rest = tuple(a for place, a in enumerate(x.dims) if place not in (first, second))
    row, column = max(-offset, 0), max(offset, 0)
    axes = (x.dims[first], x.dims[second])
    if extent is None:
        term = ops.index(ops.index(x.term, axis=axes[0], at=row), axis=axes[1], at=column)
        return Positional(term, (*rest, None))
    along = fresh(x.typing, extent)
    with x.term.builder:
        step = ops.iota(axis=along)
    return Positional(ops.gather(x.term, step + row, step + column, axes=axes), (*rest, along))


@rule("aten.flip")
def flip(call: Call, self: Positional, dims: Sequence[int]) -> Positional:
    """Dimensions back to front."""
    places = [place_of(self, d) for d in dims]
    axes = [self.dims[p] for p in places if self.carries(p)]
    return Positional(ops.flip(self.term, axes=axes), self.dims) if axes else self


@rule("aten.unfold")
def unfold(call: Call, self: Positional, dimension: int, size: int, step: int) -> Positional:
    """Sliding windows; the positions within a window are the last dimension."""
    if not self.rank:
        return expanded(self, call.shape)
    place = place_of(self, dimension)
    x = carrying(self, place)
    into, kernel = call.fresh(_known(call.shape[place])), call.fresh(size)
    term = ops.window(x.term, axis=x.dims[place], into=into, kernel=kernel, size=size, stride=step)
    return Positional(term, (*x.with_dim(place, into).dims, kernel))


def _known(extent: Size | None) -> Size:
    return 1 if extent is None else extent


# --- joining ------------------------------------------------------------------------------------


@rule("aten.cat", "aten.concat")
def cat(call: Call, tensors: Sequence[Positional], dim: int = 0) -> Positional:
    """Tensors one after another along a dimension."""
    dtype = common_dtype(*tensors)
    rank = len(call.shape)
    place = dim + rank if dim < 0 else dim
    parts = [lifted(call.builder, x, dtype) for x in tensors if x.rank == rank]
    return joined([x for x in parts if x.size(place) != 0] or parts[:1], place)


def joined(parts: Sequence[Positional], place: int) -> Positional:
    """Tensors of one rank and element type one after another along a dimension."""
    if len(parts) == 1:
        return parts[0]
    typing = parts[0].term.builder.typing
    parts = [x if x.dims[place] is None else carrying(x, place) for x in parts]
    labels: list[list[Any]] = []
    for number, x in enumerate(parts):
        labels.append([("part", number) if p == place else p for p in range(x.rank)])
    found, axes = matched(*zip(parts, labels, strict=True))
    sizes = [x.size(place) for x in parts]
    into = fresh(typing, sum(sizes, start=0))
    bound = [axes["part", n] or fresh(typing, 1) for n in range(len(parts))]
    dims = tuple(into if p == place else axes[p] for p in range(parts[0].rank))
    return Positional(ops.concat(*(x.term for x in found), axes=bound, into=into), dims)


@rule("aten.stack")
def stack(call: Call, tensors: Sequence[Positional], dim: int = 0) -> Positional:
    """Tensors side by side along a new dimension."""
    place = dim + len(call.shape) if dim < 0 else dim
    return joined([unsqueeze(call, x, place) for x in tensors], place)


@rule("aten.constant_pad_nd")
def constant_pad(call: Call, self: Positional, pad: Sequence[int], value: float = 0) -> Positional:
    """A border of one value; a negative border cuts."""
    x = self
    for back in range(len(pad) // 2):
        place = x.rank - 1 - back
        x = padded(x, place, pad[2 * back], pad[2 * back + 1], value)
    return x


def padded(x: Positional, place: int, low: Size, high: Size, value: float) -> Positional:
    """A border on both sides of one dimension."""
    typing = x.term.builder.typing
    cut_low, cut_high = maximum(-low, 0), maximum(-high, 0)
    if (cut_low, cut_high) != (0, 0):
        size = x.size(place)
        x = sliced(x, place, cut_low, size - cut_high, 1, size - cut_low - cut_high)
    low, high = maximum(low, 0), maximum(high, 0)
    if (low, high) == (0, 0):
        return x
    x = carrying(x, place)
    into = fresh(typing, x.size(place) + low + high)
    fill = lifted(x.term.builder, value, x.dtype)
    term = ops.pad(x.term, fill.term, axis=x.dims[place], low=low, high=high, into=into)
    return Positional(term, x.with_dim(place, into).dims)


@rule("aten.copy")
def copy(call: Call, self: Positional, src: Positional, *_: object) -> Positional:
    """The shape and element type of one tensor, the values of another."""
    return expanded(lifted(call.builder, src, self.dtype), call.shape)


@rule("aten.broadcast_tensors")
def broadcast_tensors(call: Call, tensors: Sequence[Positional]) -> tuple[Positional, ...]:
    """Tensors broadcast to their common shape."""
    return tuple(expanded(x, shape) for x, shape in zip(tensors, call.shapes, strict=True))


@rule("aten._assert_tensor_metadata", "aten._assert_scalar", "aten._assert_async",
      "aten.sym_constrain_range", "aten.sym_constrain_range_for_size")  # fmt: skip
def nothing(call: Call, *_: object, **__: object) -> tuple[()]:
    """Assertions: what the export concluded from them it has used, data is not checked."""
    return ()
