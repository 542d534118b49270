"""Reshapes as splits and merges of axes.

Old and new dimensions are refined to common factors, slowest first: each old dimension splits into
its factors, and each new one merges its own. `(batch, seq, 3 * 64)` to `(batch, seq, 3, 64)` is
one split; `(batch, seq)` to `(batch * seq)` one merge; `(a, b * c)` to `(a * b, c)` one of each.
"""

from __future__ import annotations

from collections.abc import Sequence

from graftwork.ir import ops
from graftwork.ir.positional import Positional, carrying, fresh
from graftwork.ir.sizes import Size, exact_div

Groups = list[list[int]]


def reshape(x: Positional, shape: Sequence[Size]) -> Positional:
    """The same elements, in row-major order, in another shape."""
    old = [x.size(i) for i in range(x.rank)]
    if 0 in old:
        return _empty(x, shape)
    kept = next((i for i, s in enumerate(shape[: x.rank]) if s != old[i]), min(x.rank, len(shape)))
    if kept:
        rest = reshape(Positional(x.term, x.dims[kept:]), shape[kept:])
        return Positional(rest.term, (*x.dims[:kept], *rest.dims))
    if [s for s in old if s != 1] == [s for s in shape if s != 1]:
        return _regrouped(x, shape)
    factors = _refine(old, list(shape))
    if factors is None:
        return _through_one(x, shape)
    sizes, sources, targets = factors
    return _merged(_split(x, sources, sizes), targets, shape)


def _empty(x: Positional, shape: Sequence[Size]) -> Positional:
    """An array without elements: any value, expanded."""
    dims = tuple(None if s == 1 else fresh(x.typing, s) for s in shape)
    return Positional(x.term.builder.constant(0, x.dtype), dims)


def _regrouped(x: Positional, shape: Sequence[Size]) -> Positional:
    """Only unit dimensions come and go."""
    term = x.term
    for place in range(x.rank):
        if x.size(place) == 1 and x.carries(place):
            term = ops.index(term, axis=x.dims[place], at=0)
    rest = iter([axis for i, axis in enumerate(x.dims) if x.size(i) != 1])
    return Positional(term, tuple(None if s == 1 else next(rest) for s in shape))


def _refine(old: list[Size], new: list[Size]) -> tuple[list[Size], Groups, Groups] | None:
    """The factors that both shapes are made of, and which factors each dimension is made of.

    None where sizes have no common factors in this order.
    """
    factors: list[Size] = []
    groups: tuple[Groups, Groups] = ([[] for _ in old], [[] for _ in new])
    left, right = [(i, s) for i, s in enumerate(old)], [(i, s) for i, s in enumerate(new)]
    left, right = [p for p in left if p[1] != 1], [p for p in right if p[1] != 1]
    while left and right:
        (i, a), (j, b) = left.pop(0), right.pop(0)
        if (more := exact_div(b, a)) is not None:
            factor = a
            if more != 1:
                right.insert(0, (j, more))
        elif (more := exact_div(a, b)) is not None:
            factor = b
            left.insert(0, (i, more))
        else:
            return None
        groups[0][i].append(len(factors))
        groups[1][j].append(len(factors))
        factors.append(factor)
    return None if left or right else (factors, *groups)


def _split(x: Positional, groups: Groups, factors: Sequence[Size]) -> Positional:
    """The array with a dimension for each factor."""
    term = x.term
    dims: list[str | None] = []
    for place, group in enumerate(groups):
        axis = x.dims[place]
        if not group:
            if x.carries(place):
                term = ops.index(term, axis=axis, at=0)
        elif len(group) == 1:
            dims.append(axis)
        else:
            sizes = [factors[i] for i in group]
            parts = [fresh(x.typing, s) for s in sizes]
            if x.carries(place):
                term = ops.split(term, axis=axis, into=parts, sizes=sizes)
            dims += parts
    return Positional(term, tuple(dims))


def _merged(x: Positional, groups: Groups, shape: Sequence[Size]) -> Positional:
    """The array with the dimensions of each group as one."""
    dims: list[str | None] = []
    for group, size in zip(groups, shape, strict=True):
        if len(group) < 2:
            dims.append(x.dims[group[0]] if group else None)
            continue
        into = fresh(x.typing, size)
        if any(x.carries(place) for place in group):
            x = carrying(x, *group)
            merged = ops.merge(x.term, axes=[x.dims[place] for place in group], into=into)
            x = Positional(merged, x.dims)
        dims.append(into)
    return Positional(x.term, tuple(dims))


def _through_one(x: Positional, shape: Sequence[Size]) -> Positional:
    """By way of a single dimension, where sizes share no factors."""
    total: Size = 1
    for place in range(x.rank):
        total = total * x.size(place)
    flat = _merged(x, [list(range(x.rank))], [total])
    wide = carrying(flat, 0)
    kept = [s for s in shape if s != 1]
    parts = [fresh(x.typing, s) for s in kept]
    names = iter(parts)
    term = ops.split(wide.term, axis=wide.dims[0], into=parts, sizes=kept)
    return Positional(term, tuple(None if s == 1 else next(names) for s in shape))
