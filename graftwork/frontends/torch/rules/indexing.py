"""Selecting and writing at computed positions."""

from __future__ import annotations

from collections.abc import Sequence

from graftwork.frontends.torch.dtypes import Operand, lifted
from graftwork.frontends.torch.ranges import is_non_negative
from graftwork.frontends.torch.rules.creation import position
from graftwork.frontends.torch.rules.elementwise import as_bool, where
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.rules.views import (
    expanded,
    from_front,
    joined,
    slice_bounds,
    sliced,
)
from graftwork.frontends.torch.values import extent_of, place_of, settled
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.positional import Label, Positional, aligned, carrying, matched
from graftwork.ir.sizes import Size, decide

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


def _broadcast_indices(
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


def _result_order(places: Sequence[int], rank: int, count: int) -> list[Label]:
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
    places, given, _ = _broadcast_indices(call, indices)
    out = _result_order(places, self.rank, given[0].rank)
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
    place = place_of(self, dim)
    line = index if index.rank else Positional(index.term, (None,))
    return gathered(self, [place], [line], _result_order([place], self.rank, 1))


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


# --- writing ------------------------------------------------------------------------------------

Labelled = tuple[Positional, Sequence[Label]]


def scattered(
    call: Call, x: Positional, updates: Labelled, indices: Sequence[tuple[int, Labelled]],
    combine: str,
) -> Positional:  # fmt: skip
    """x with updates combined in at positions along some dimensions.

    Labels that are numbers mean x's own dimensions; all others are scattered over.
    """
    places = [place for place, _ in indices]
    x = carrying(x, *places)
    values, labels = updates
    for place, label in enumerate(labels):
        if not isinstance(label, int) and values.dims[place] is not None:
            values = carrying(values, place)
    positions = [(wrapped(x, i, place), theirs) for place, (i, theirs) in indices]
    own: list[Label] = [("bound", p) if p in places else p for p in range(x.rank)]
    found, axes = matched((x, own), (values, labels), *positions)
    terms = [y.term for y in found]
    over = {
        axis
        for label, axis in axes.items()
        if axis is not None and label not in own and any(axis in t.axes for t in terms[1:])
    }
    bound = [axes["bound", place] for place in places]
    term = ops.scatter(*terms, axes=bound, over=over, combine=combine)
    return settled(Positional(term, tuple(axes[label] for label in own)), call.shape)


@rule("aten.index_put", "aten._unsafe_index_put")
def index_put(
    call: Call,
    self: Positional,
    indices: Sequence[Index],
    values: Positional,
    accumulate: bool = False,
) -> Positional:
    """Values written, or added, at positions along some dimensions."""
    values = lifted(call.builder, values, self.dtype)
    if any(index is not None and index.dtype is DType.boolean for index in indices):
        return _masked_put(call, self, indices, values)
    places, given, dims = _broadcast_indices(call, indices)
    out = _result_order(places, self.rank, len(dims))
    extents = tuple(
        extent_of(self, label) if isinstance(label, int) else extent_of(given[0], label[1])  # type: ignore[index]
        for label in out
    )
    updates = expanded(values, extents)
    labels: list[Label] = [("index", n) for n in range(len(dims))]
    at = [(place, (index, labels)) for place, index in zip(places, given, strict=True)]
    return scattered(call, self, (updates, out), at, "add" if accumulate else "set")


def _masked_put(
    call: Call, self: Positional, indices: Sequence[Index], values: Positional
) -> Positional:
    """One value written wherever a mask over the first dimensions is set."""
    mask, *others = indices
    if mask is None or any(i is not None for i in others) or values.axes:
        raise call.refuse(
            "writing several values through a bool mask depends on how many it selects; "
            "use torch.where"
        )
    whole = Positional(mask.term, mask.dims + (None,) * (self.rank - mask.rank))
    return where(call, as_bool(whole), Positional(values.term), self)


_REDUCTIONS = {"sum": "add", "add": "add", "prod": "mul", "multiply": "mul", "amax": "max",
               "amin": "min"}  # fmt: skip


@rule("aten.scatter.src", "aten.scatter.value", "aten.scatter_add", "aten.scatter_reduce.two",
      "aten.scatter.reduce", "aten.scatter.value_reduce")  # fmt: skip
def scatter(
    call: Call,
    self: Positional,
    dim: int,
    index: Positional,
    src: Operand,
    reduce: str | None = None,
    include_self: bool = True,
) -> Positional:
    """Each element of `src` written to, or combined at, its own position along one dimension."""
    combine = "add" if "scatter_add" in call.op else "set"
    if reduce is not None:
        if reduce not in _REDUCTIONS or not include_self:
            raise call.refuse(f"reduce={reduce!r} with include_self={include_self}")
        combine = _REDUCTIONS[reduce]
    values = lifted(call.builder, src, self.dtype)
    place = place_of(self, dim)
    for p in range(values.rank):
        if decide(values.size(p), index.size(p)) is not True:
            values = sliced(values, p, 0, index.size(p), 1, extent_of(index, p))
    values = expanded(values, tuple(extent_of(index, p) for p in range(index.rank)))
    labels: list[Label] = []
    at: list[tuple[int, Labelled]] = []
    for p in range(self.rank):
        shared = p != place and decide(self.size(p), index.size(p)) is True
        labels.append(p if shared else ("index", p))
        if p != place and not shared:
            at.append((p, (position(call, index.dims[p]), [("index", p)])))
    at.append((place, (index, labels)))
    return scattered(call, self, (values, labels), at, combine)


@rule("aten.index_add", "aten.index_copy")
def index_add(
    call: Call, self: Positional, dim: int, index: Positional, source: Positional, alpha: float = 1
) -> Positional:
    """Slices of `source` added, or copied, to positions along one dimension."""
    if alpha != 1:
        raise call.refuse(f"alpha={alpha}; scale the source instead")
    place = place_of(self, dim)
    line: list[Label] = [("index", 0)]
    labels: list[Label] = [p if p != place else ("index", 0) for p in range(self.rank)]
    combine = "add" if "index_add" in call.op else "set"
    values = lifted(call.builder, source, self.dtype)
    return scattered(call, self, (values, labels), [(place, (index, line))], combine)


@rule("aten.slice_scatter")
def slice_scatter(
    call: Call,
    self: Positional,
    src: Positional,
    dim: int = 0,
    start: Size | None = None,
    end: Size | None = None,
    step: int = 1,
) -> Positional:
    """The tensor with a slice of one dimension replaced."""
    place = place_of(self, dim)
    size, extent = self.size(place), extent_of(src, place)
    first, last = slice_bounds(size, start, end, extent, step)
    extents = [extent_of(self, p) for p in range(self.rank)]
    extents[place] = extent
    source = expanded(lifted(call.builder, src, self.dtype), tuple(extents))
    if step != 1 and extent is not None:
        labels: list[Label] = [p if p != place else ("step", 0) for p in range(self.rank)]
        steps = position(call, source.dims[place])
        at = Positional(steps.term * step + lifted(call.builder, first, DType.i64).term, steps.dims)
        return scattered(call, self, (source, labels), [(place, (at, [("step", 0)]))], "set")
    outer = [(0, first), (last, size)]
    before, after = (
        [] if decide(a, b) is True else [sliced(self, place, a, b, 1, b - a)] for a, b in outer
    )
    return joined([*before, source, *after], place)


@rule("aten.select_scatter")
def select_scatter(
    call: Call, self: Positional, src: Positional, dim: int, index: Size
) -> Positional:
    """The tensor with one position of a dimension replaced."""
    place = place_of(self, dim)
    row = Positional(src.term, (*src.dims[:place], None, *src.dims[place:]))
    at = from_front(index, self.size(place))
    return slice_scatter(call, self, row, place, at, at + 1)
