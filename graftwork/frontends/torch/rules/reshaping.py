"""Reshaping: row-major order under another shape, as splits and merges of axes.

Both shapes are lists of sizes; where the products of their first dimensions agree, what comes
before is reshaped apart from what comes after. Products of symbolic sizes are compared as
polynomials, so no size is ever guessed.
"""

from __future__ import annotations

from collections.abc import Sequence

from graftwork.frontends.torch.dtypes import lifted
from graftwork.frontends.torch.values import Extents
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.positional import Positional, fresh
from graftwork.ir.size_values import decide
from graftwork.ir.sizes import Size


def reshaped(x: Positional, extents: Extents) -> Positional:
    """The tensor in row-major order under another shape."""
    typing = x.term.builder.typing
    source = x.axes
    if 0 in extents:
        return _empty(x, extents)
    target = [extent for extent in extents if extent is not None]
    made: list[str] = []
    term = x.term
    for axes, sizes in _groups([typing.size(a) for a in source], target):
        group = source[axes[0] : axes[1]]
        term, new = _regrouped(term, group, target[sizes[0] : sizes[1]])
        made += new
    found = iter(made)
    dims = tuple(None if extent is None else next(found) for extent in extents)
    return Positional(term, dims)


def _empty(x: Positional, extents: Extents) -> Positional:
    """A tensor without elements under another shape, which keeps none of its axes."""
    zero = lifted(x.term.builder, 0, x.dtype)
    return Positional(zero.term, tuple(None if e is None else fresh(x.typing, e) for e in extents))


def _groups(
    source: Sequence[Size], target: Sequence[Size]
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Cut both lists of sizes into as many runs as possible that have equal products."""
    runs: list[tuple[tuple[int, int], tuple[int, int]]] = []
    i = j = 0
    before, after = _products(source), _products(target)
    for p in range(1, len(source) + 1):
        for q in range(j + 1, len(target) + 1):
            if decide(before[p], after[q]) is True:
                runs.append(((i, p), (j, q)))
                i, j = p, q
                break
    if (i, j) != (len(source), len(target)):
        last = ((i, len(source)), (j, len(target)))
        if runs and (i == len(source) or j == len(target)):
            (start, _), (first, _) = runs.pop()
            last = ((start, len(source)), (first, len(target)))
        runs.append(last)
    return runs


def _products(sizes: Sequence[Size]) -> list[Size]:
    products: list[Size] = [1]
    for size in sizes:
        products.append(products[-1] * size)
    return products


def _regrouped(term: Term, axes: Sequence[str], sizes: Sequence[Size]) -> tuple[Term, list[str]]:
    """Some axes, the first the slowest, as axes of other sizes."""
    typing = term.builder.typing
    if len(axes) == len(sizes) == 1:
        return term, list(axes)
    lazy = not any(axis in term.axes for axis in axes)
    if len(axes) == 1 and axes[0] in term.axes:
        whole = axes[0]
    elif lazy:
        return term, [fresh(typing, size) for size in sizes]
    else:
        total = _products([typing.size(a) for a in axes])[-1]
        whole = fresh(typing, total)
        term = term.broadcast(*axes).merge(*axes, into=whole)
    if len(sizes) == 1:
        return term, [whole]
    made = [fresh(typing, size) for size in sizes]
    return ops.split(term, axis=whole, into=made, sizes=tuple(sizes)), made
