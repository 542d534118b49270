"""Selecting and writing at computed positions."""

from __future__ import annotations

from collections.abc import Sequence

from graftwork.frontends.torch.dtypes import lifted
from graftwork.frontends.torch.ranges import is_non_negative
from graftwork.frontends.torch.rules.creation import position, positions
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.rules.reshaping import reshaped
from graftwork.frontends.torch.rules.views import expanded, sliced
from graftwork.frontends.torch.values import lowered, place_of, raised
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.positional import Label, Positional, aligned, carrying, matched
from graftwork.ir.size_values import decide
from graftwork.ir.sizes import Size, bounds

Index = Positional | None


@rule("aten.embedding")
def embedding(
    call: Call,
    weight: Positional,
    indices: Positional,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Positional:
    """Rows of a table."""
    table = carrying(weight, 0)
    where_: list[Label] = [("index", p) for p in range(indices.rank)]
    (rows, ids), axes = matched((table, ["row", "column"]), (indices, where_))
    term = ops.embedding(rows.term, ids.term, axis=axes["row"])
    return Positional(term, (*(axes[label] for label in where_), axes["column"]))


# --- advanced indexing --------------------------------------------------------------------------


def wrapped(x: Positional, index: Positional, place: int) -> Positional:
    """Positions counted from the front; negative ones count from the end."""
    if is_non_negative(index.term):
        return index
    size = lifted(x.term.builder, x.size(place), index.dtype)
    from_end = index.term + size.term
    return Positional(ops.select(ops.lt(index.term, 0), from_end, index.term), index.dims)


def broadcast_indices(
    call: Call, indices: Sequence[Index]
) -> tuple[list[int], list[Positional], tuple[str | None, ...]]:
    """The indexed dimensions, their indices, and the dimensions of the indices together."""
    places = [place for place, index in enumerate(indices) if index is not None]
    given = [index for index in indices if index is not None]
    if any(index.dtype is DType.boolean for index in given):
        raise call.refuse(
            "indexing with a bool mask gives a shape that depends on data; use torch.where"
        )
    terms, dims = aligned(*given)
    return places, [Positional(term, dims) for term in terms], dims


def result_order(places: Sequence[int], rank: int, count: int) -> list[Label]:
    """The labels of the result: the indices' dimensions stand where the indexed ones were, or
    first if those are not next to each other."""
    index: list[Label] = [("index", p) for p in range(count)]
    free: list[Label] = [p for p in range(rank) if p not in places]
    adjacent = list(places) == list(range(places[0], places[0] + len(places)))
    start = places[0] if adjacent else 0
    return [*free[:start], *index, *free[start:]]


@rule("aten.index.Tensor", "aten._unsafe_index.Tensor")
def index_tensor(call: Call, self: Positional, indices: Sequence[Index]) -> Positional:
    """Advanced indexing: a tensor of positions for some of the dimensions."""
    places, given, _ = broadcast_indices(call, indices)
    out = result_order(places, self.rank, given[0].rank)
    return gathered(self, places, given, out)


def gathered(
    x: Positional, places: Sequence[int], indices: Sequence[Positional], out: Sequence[Label]
) -> Positional:
    """x at positions along some dimensions; `out` orders the free dimensions (by number) and the
    indices' dimensions `("index", n)`."""
    real = [n for n, place in enumerate(places) if x.dims[place] is not None]
    bound = [places[n] for n in real]
    x = carrying(x, *bound) if bound else x
    where_: list[Label] = [("index", n) for n in range(indices[0].rank)]
    positions = [wrapped(x, indices[n], places[n]) for n in real]
    template = Positional(indices[0].term, indices[0].dims)
    labels: list[Label] = list(range(x.rank))
    found, axes = matched((x, labels), *((i, where_) for i in positions), (template, where_))
    term = found[0].term
    if bound:
        at = [i.term for i in found[1 : 1 + len(real)]]
        term = ops.gather(term, *at, axes=[axes[place] for place in bound])
    return Positional(term, tuple(axes[label] for label in out))


@rule("aten.index_select")
def index_select(call: Call, self: Positional, dim: int, index: Positional) -> Positional:
    """Positions along one dimension."""
    x = raised(self)
    place = place_of(x, dim)
    return lowered(
        gathered(x, [place], [raised(index)], result_order([place], x.rank, 1)), self.rank
    )


@rule("aten.repeat_interleave.Tensor")
def repeat_interleave(
    call: Call, repeats: Positional, *, output_size: Size | None = None
) -> Positional:
    """Each position as often as it says itself."""
    (made,) = call.fresh_dims(call.shape)
    at = position(call, made)
    x = carrying(repeats, 0)
    ends = ops.cumsum(x.term.cast(DType.i64), axis=x.dims[0])
    passed = ops.le(ends, at.term).cast(DType.i64)
    return Positional(passed.sum(str(x.dims[0])).cast(call.dtype), at.dims)


def _is_beyond(last: Size, total: Size) -> bool:
    most = bounds(last - total)[1]
    return most is None or most >= 0


@rule("aten.as_strided")
def as_strided(
    call: Call,
    self: Positional,
    size: Sequence[Size],
    stride: Sequence[Size],
    storage_offset: Size | None = None,
) -> Positional:
    """Positions of memory; known where the tensor lies in memory in row-major order."""
    (source,) = call.operands
    if not source.is_contiguous() or (storage_offset is None and source.storage_offset()):
        raise call.refuse("as_strided of a tensor that is not contiguous; use views of its shape")
    total: Size = 1
    for place in range(self.rank):
        total = total * self.size(place)
    at = lifted(call.builder, storage_offset or 0, DType.i64).term
    last: Size = storage_offset or 0
    dims = call.fresh_dims(call.shape)
    for axis, extent, step in zip(dims, size, stride, strict=True):
        if axis is not None:
            at = at + positions(call, axis) * lifted(call.builder, step, DType.i64).term
            last = last + (extent - 1) * step
    if 0 not in size and _is_beyond(last, total):
        raise call.refuse("as_strided beyond the elements of its operand; use views of its shape")
    flat = carrying(reshaped(self, (total,)), 0)
    return Positional(ops.gather(flat.term, at, axes=[flat.dims[0]]), dims)


@rule("aten.gather")
def gather(
    call: Call, self: Positional, dim: int, index: Positional, sparse_grad: bool = False
) -> Positional:
    """Each element of the result from its own position along one dimension."""
    if self.rank == 0:
        return expanded(self, call.shape)
    place = place_of(self, dim)
    x = carrying(_cut(self, index, place), place)
    labels: list[Label] = [("at" if p == place else p) for p in range(x.rank)]
    (data, where_), axes = matched((x, labels), (index, list(range(index.rank))))
    term = ops.gather(data.term, where_.term, axes=[axes["at"]])
    return Positional(term, tuple(axes[p] for p in range(index.rank)))


def _cut(x: Positional, index: Positional, place: int) -> Positional:
    """x cut, in all other dimensions, to the extents that the index has."""
    for p in range(x.rank):
        if p != place and decide(x.size(p), index.size(p)) is not True:
            extent = None if index.dims[p] is None else index.size(p)
            x = sliced(x, p, 0, index.size(p), 1, extent)
    return x
