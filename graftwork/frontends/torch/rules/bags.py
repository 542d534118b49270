"""Bags of embeddings: rows of a table, summed, averaged or maximised over runs of ids."""

from __future__ import annotations

import math

from graftwork.frontends.torch.dtypes import lifted
from graftwork.frontends.torch.rules.creation import position
from graftwork.frontends.torch.rules.elementwise import as_bool, pointwise, where
from graftwork.frontends.torch.rules.indexing import embedding
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.rules.writing import scattered
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.positional import Label, Positional, carrying

_SUM, _MEAN, _MAX = range(3)  # torch's numbers


@rule("aten._embedding_bag", "aten._embedding_bag_forward_only")
def embedding_bag(
    call: Call,
    weight: Positional,
    indices: Positional,
    offsets: Positional,
    scale_grad_by_freq: bool = False,
    mode: int = _SUM,
    sparse: bool = False,
    per_sample_weights: Positional | None = None,
    include_last_offset: bool = False,
    padding_idx: int = -1,
) -> tuple[Positional, None, None, None]:
    """One row a bag; a bag is a run of ids that starts at its offset, and may be empty."""
    rows = embedding(call, weight, indices)
    if per_sample_weights is not None:
        factors = Positional(per_sample_weights.term, (*per_sample_weights.dims, None))
        rows = pointwise(call, ops.mul, rows, factors, dtype=rows.dtype)
    bag = _bag_of(call, indices, offsets)
    # The padding id counts for nothing; -1 is none.
    real = pointwise(call, ops.ne, indices, padding_idx, dtype=indices.dtype)
    neutral = -math.inf if mode == _MAX else 0
    rows = where(call, Positional(real.term, (*real.dims, None)), rows, neutral)
    found = _gathered(call, bag, rows, "max" if mode == _MAX else "add", neutral)
    if mode == _SUM:
        return found, None, None, None
    counts = _gathered(call, bag, lifted(call.builder, real, rows.dtype), "add", 0)
    if mode == _MAX:
        return where(call, as_bool(counts), found, 0), None, None, None
    some = pointwise(call, ops.maximum, counts, 1, dtype=rows.dtype)
    return pointwise(call, ops.div, found, some, dtype=rows.dtype), None, None, None


def _bag_of(call: Call, indices: Positional, offsets: Positional) -> Positional:
    """The number of the bag that each id is in: how many bags start no later, less one."""
    starts = carrying(offsets, 0)
    at = position(call, indices.dims[0])
    begun = ops.le(starts.term.cast(DType.i64), at.term).cast(DType.i64)
    return Positional(begun.sum(str(starts.dims[0])) - 1, at.dims)


def _gathered(
    call: Call, bag: Positional, values: Positional, combine: str, start: float
) -> Positional:
    """The values of each bag combined; those in no bag are dropped."""
    bags, width = call.fresh_dims(call.shape)
    held = lifted(call.builder, start, values.dtype).term
    wide = values.rank == 2
    x = Positional(held, (bags, width) if wide else (bags, None))
    labels: list[Label] = [("index", 0), 1]
    source = values if wide else Positional(values.term, (*bag.dims, None))
    return scattered(call, x, (source, labels), [(0, (bag, labels[:1]))], combine)
