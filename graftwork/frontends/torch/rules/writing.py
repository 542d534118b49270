"""Writing at computed positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graftwork.frontends.torch.dtypes import Operand, greatest, lifted, lowest
from graftwork.frontends.torch.rules.creation import position
from graftwork.frontends.torch.rules.elementwise import as_bool, operation, pointwise, scaled, where
from graftwork.frontends.torch.rules.indexing import (
    Index,
    broadcast_indices,
    gathered,
    result_order,
    wrapped,
)
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.rules.reshaping import reshaped
from graftwork.frontends.torch.rules.views import (
    expanded,
    from_front,
    joined,
    slice_bounds,
    sliced,
)
from graftwork.frontends.torch.values import extent_of, lowered, place_of, raised, settled
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.positional import Label, Positional, carrying, matched
from graftwork.ir.size_values import decide
from graftwork.ir.sizes import Size

Labelled = tuple[Positional, Sequence[Label]]


def scattered(
    call: Call, x: Positional, updates: Labelled, indices: Sequence[tuple[int, Labelled]],
    combine: str,
) -> Positional:  # fmt: skip
    """x with updates combined in at positions along some dimensions.

    Labels that are numbers mean x's own dimensions; all others are scattered over.
    """
    if x.dtype is DType.boolean and combine != "set":  # sums and products of truths, as numbers
        numbers = (lifted(call.builder, y, DType.i32) for y in (x, updates[0]))
        x, values = numbers
        return as_bool(scattered(call, x, (values, updates[1]), indices, combine))
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
        return _masked_put(call, self, indices, values, accumulate)
    places, given, dims = broadcast_indices(call, indices)
    out = result_order(places, self.rank, len(dims))
    extents = tuple(
        extent_of(self, label) if isinstance(label, int) else extent_of(given[0], label[1])  # type: ignore[index]
        for label in out
    )
    updates = expanded(values, extents)
    labels: list[Label] = [("index", n) for n in range(len(dims))]
    at = [(place, (index, labels)) for place, index in zip(places, given, strict=True)]
    return scattered(call, self, (updates, out), at, "add" if accumulate else "set")


def _masked_put(
    call: Call, self: Positional, indices: Sequence[Index], values: Positional, accumulate: bool
) -> Positional:
    """Values written, or added, wherever a mask over some dimensions is set, in its order."""
    place = next(n for n, index in enumerate(indices) if index is not None)
    mask, *others = indices[place:]
    if mask is None or mask.dtype is not DType.boolean or any(i is not None for i in others):
        raise call.refuse("writing at a bool mask and at other positions; use torch.where")
    behind = self.rank - place - mask.rank
    padding = (None,) * (place + 1 + behind - values.rank)
    put = Positional(values.term, (*padding, *values.dims))
    if put.dims[place] is None:
        spread = (*put.dims[:place], *(None,) * mask.rank, *put.dims[place + 1 :])
        put = Positional(put.term, spread)
    else:
        out = [*range(place), *(("index", n) for n in range(mask.rank))]
        out += range(place + 1, put.rank)
        put = gathered(put, [place], [_order_of(mask, put.size(place))], out)
    if accumulate:
        put = pointwise(call, operation("add", self.dtype), self, put, dtype=self.dtype)
    return where(call, Positional(mask.term, (*mask.dims, *(None,) * behind)), put, self)


def _order_of(mask: Positional, count: Size) -> Positional:
    """How many elements of a mask are set before each, in row-major order; less than `count`."""
    extents = tuple(extent_of(mask, place) for place in range(mask.rank))
    total: Size = 1
    for place in range(mask.rank):
        total = total * mask.size(place)
    flat = carrying(reshaped(lifted(mask.term.builder, mask, DType.i64), (total,)), 0)
    before = ops.cumsum(flat.term, axis=flat.dims[0]) - flat.term
    last = lifted(mask.term.builder, count - 1, DType.i64)
    return reshaped(Positional(ops.minimum(before, last.term), flat.dims), extents)


@rule("aten.masked_scatter")
def masked_scatter(
    call: Call, self: Positional, mask: Positional, source: Positional
) -> Positional:
    """The elements of `source` written, in order, wherever a mask is set."""
    total: Size = 1
    for place in range(source.rank):
        total = total * source.size(place)
    if total == 0:
        return expanded(self, call.shape)
    at = _order_of(expanded(mask, call.shape), total)
    line = reshaped(source, (total,))
    labels: list[Label] = [("index", n) for n in range(at.rank)]
    return where(call, mask, gathered(line, [0], [at], labels), self)


_REDUCTIONS = {"sum": "add", "add": "add", "mean": "add", "prod": "mul", "multiply": "mul",
               "amax": "max", "amin": "min"}  # fmt: skip


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
    if reduce is None:
        reduce = "sum" if "scatter_add" in call.op else None
    x, index = raised(self), raised(index)
    values = lifted(call.builder, src, x.dtype)
    values = raised(values) if values.rank or values.axes else values
    place = place_of(x, dim)
    for p in range(values.rank):
        if decide(values.size(p), index.size(p)) is not True:
            values = sliced(values, p, 0, index.size(p), 1, extent_of(index, p))
    extents = tuple(extent_of(index, p) for p in range(index.rank))
    labels: list[Label] = []
    at: list[tuple[int, Labelled]] = []
    for p in range(x.rank):
        shared = p != place and decide(x.size(p), index.size(p)) is True
        labels.append(p if shared else ("index", p))
        if p != place and not shared:
            at.append((p, (position(call, index.dims[p]), [("index", p)])))
    at.append((place, (index, labels)))

    def put(x: Positional, values: Positional, combine: str) -> Positional:
        return scattered(call, x, (expanded(values, extents), labels), at, combine)

    return lowered(_combined(call, x, values, reduce, include_self, put), self.rank)


def _combined(
    call: Call,
    x: Positional,
    values: Positional,
    reduce: str | None,
    include_self: bool,
    put: Callable[[Positional, Positional, str], Positional],
) -> Positional:
    """Values put into x and combined with what falls on the same position."""
    if reduce is None:
        return put(x, values, "set")
    combine = _REDUCTIONS[reduce]
    if not include_self:
        x = put(x, lifted(call.builder, _neutral(combine, x.dtype), x.dtype), "set")
    total = put(x, values, combine)
    if reduce != "mean":
        return total
    zero, one = (lifted(call.builder, n, x.dtype) for n in (0, 1))
    counts = expanded(one, tuple(extent_of(x, p) for p in range(x.rank)))
    if not include_self:
        counts = put(counts, zero, "set")
    counts = put(counts, one, "add")
    divide = ops.div if x.dtype.is_float else ops.floor_div
    return pointwise(call, divide, total, counts, dtype=x.dtype)


def _neutral(combine: str, dtype: DType) -> float:
    """What changes nothing when it is combined."""
    if combine in ("add", "mul"):
        return 0 if combine == "add" else 1
    return lowest(dtype) if combine == "max" else greatest(dtype)


@rule("aten.index_add", "aten.index_copy")
def index_add(
    call: Call, self: Positional, dim: int, index: Positional, source: Positional, alpha: float = 1
) -> Positional:
    """Slices of `source` added, or copied, to positions along one dimension."""
    x, at = raised(self), raised(index)
    place = place_of(x, dim)
    line: list[Label] = [("index", 0)]
    labels: list[Label] = [p if p != place else ("index", 0) for p in range(x.rank)]
    combine = "add" if "index_add" in call.op else "set"
    values = lifted(call.builder, source, x.dtype)
    values = raised(lifted(call.builder, scaled(call, values, alpha, x.dtype), x.dtype))
    return lowered(scattered(call, x, (values, labels), [(place, (at, line))], combine), self.rank)


@rule("aten.index_reduce")
def index_reduce(
    call: Call,
    self: Positional,
    dim: int,
    index: Positional,
    source: Positional,
    reduce: str,
    *,
    include_self: bool = True,
) -> Positional:
    """Slices of `source` combined with what is at positions along one dimension."""
    x, at = raised(self), raised(index)
    place = place_of(x, dim)
    labels: list[Label] = [p if p != place else ("index", 0) for p in range(x.rank)]

    def put(x: Positional, values: Positional, combine: str) -> Positional:
        slices = expanded(values, tuple(extent_of(source, p) for p in range(x.rank)))
        return scattered(call, x, (slices, labels), [(place, (at, [("index", 0)]))], combine)

    source = raised(lifted(call.builder, source, x.dtype))
    return lowered(_combined(call, x, source, reduce, include_self, put), self.rank)


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


@rule("aten.diagonal_scatter")
def diagonal_scatter(
    call: Call,
    self: Positional,
    src: Positional,
    offset: int = 0,
    dim1: int = 0,
    dim2: int = 1,
) -> Positional:
    """The tensor with a diagonal of two dimensions replaced."""
    first, second = place_of(self, dim1), place_of(self, dim2)
    labels: list[Label] = [p for p in range(self.rank) if p not in (first, second)]
    line: list[Label] = [("step", 0)]
    step = position(call, src.dims[-1])
    at: list[tuple[int, Labelled]] = [
        (place, (Positional(step.term + shift, step.dims), line))
        for place, shift in ((first, max(-offset, 0)), (second, max(offset, 0)))
    ]
    return scattered(call, self, (src, [*labels, *line]), at, "set")
