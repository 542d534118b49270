"""What all interventions share: which places, which positions there, and what stands there instead.

Positions are given by axis words, roles first: `where={"heads": 3, "seq": slice(2, 5)}`; see
`graftwork.passes.positions` for all kinds. An array is named, or lies along the last axes of the
site at which `where` does not select one position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.array import NamedArray, by_axis
from graftwork.ir.build import Term
from graftwork.ir.errors import InputError
from graftwork.ir.graph import Graph, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found, require
from graftwork.ir.selector import Selector
from graftwork.ir.vocabulary import roles_of
from graftwork.passes.positions import SAME_ARRAY as SAME_ARRAY
from graftwork.passes.positions import WORLDS as WORLDS
from graftwork.passes.positions import At as At
from graftwork.passes.positions import (
    Basis,
    array_parameter,
    editing,
    fixed,
    hits,
    is_single,
    named_axes,
)
from graftwork.passes.positions import Where as Where
from graftwork.passes.positions import summary as summary

Site: TypeAlias = str | Selector


@frozen
class OneOf:
    """One of several arrays in each world: what `each` stands for while a sweep is compiled.

    Attributes:
        name: of the input, an i64 array over `worlds`, which the graph has, that tells which; -1
            is none of them.
        arrays: the arrays, all of one shape.
    """

    name: str
    arrays: tuple[Any, ...]


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
        interpose(rewriter, place, lambda term, f=place: edit(rewriter, f, term))
    return rewriter.finish(must_reach=True)


def interpose(
    rewriter: Rewriter, found: Found, edit: Callable[..., Term], reads: Sequence[Value] = ()
) -> None:
    """Let `edit(term, *terms_of_reads)` define what is at a place.

    At a place of one step it does so at that step alone. What it reads are values of the top
    level; in a loop over one of their axes it reads the row of the step.
    """
    value = rewriter.resolve(found.place)
    given = [rewriter.inside(value, read) for read in reads]

    def at_steps(old: Term, *terms: Term) -> Term:
        new = edit(old, *terms)
        for axis, step in zip(found.scanned, found.place.steps, strict=False):
            now = ops.eq(Term(rewriter.step(value, axis), old.builder), step)
            new = ops.select(now, new, old)
        return new

    rewriter.interpose(value, at_steps, given)


def told(where: Where | None) -> Where:
    """Positions by the word of their axis; of none if nothing is said."""
    return {} if where is None else by_axis(where)


def chosen(found: Found, where: Where | None, new: Term, old: Term) -> Term:
    """`new` at the positions `where`, `old` elsewhere; `new` has the axes of `old` or fewer.

    Where a `Basis` is given, only the part of the change that lies in its span is made.
    """
    mask: Term | None = None
    for word, at in told(where).items():
        axis = found.axis(word)
        if isinstance(at, Basis):
            new = old + _projected(found, axis, at, new - old)
            continue
        hit = hits(found, axis, at, old)
        mask = hit if mask is None else mask & hit
    return new.broadcast(*old.axes) if mask is None else ops.select(mask, new, old)


def _projected(found: Found, axis: str, basis: Basis, change: Term) -> Term:
    """The part of a change that lies in a span.

    Raises:
        InputError: if the directions do not fit the axis, or are not orthonormal.
    """
    rows = np.atleast_2d(np.asarray(basis.vectors)).astype(change.dtype.numpy)
    wide = rows.astype(np.float64)
    if rows.ndim != 2 or not len(rows) or np.abs(wide @ wide.T - np.eye(len(rows))).max() > 1e-5:
        raise InputError(
            f"{found.name}: the rows of a basis of shape {rows.shape} are not orthonormal; "
            "np.linalg.qr(rows.T)[0].T makes them so"
        )
    rewriter = editing(change)
    span = rewriter.typing.fresh("span")
    rewriter.typing.table[span] = len(rows)
    value = fixed(rewriter, found, f"basis.{found.name}", rows, (span, axis))
    vectors = Term(value, change.builder)
    part = ops.contract(change.broadcast(axis), vectors, over=axis)
    return ops.contract(part, vectors, over=span)


def given_array(
    rewriter: Rewriter, found: Found, array: Any, where: Where | None, name: str
) -> Value:
    """A parameter that holds a user's array, over the axes of the site that it lies along.

    A NamedArray may also have the axis `worlds`, which the site then gains.

    Raises:
        InputError: if the array does not fit the site; names both.
    """
    if isinstance(array, OneOf):
        return _one_of(rewriter, found, array, where, name)
    axes = _axes_of(rewriter, found, array, where)
    data = np.asarray(_squeezed(array)).astype(found.dtype.numpy)
    return fixed(rewriter, found, name, data, axes)


def _one_of(
    rewriter: Rewriter, found: Found, given: OneOf, where: Where | None, name: str
) -> Value:
    """The array of each world, out of a parameter that holds them all."""
    axes = _axes_of(rewriter, found, given.arrays[0], where)
    rewriter.typing.make(given.name, len(given.arrays))
    data = np.stack([np.asarray(_squeezed(array)) for array in given.arrays])
    data = data.astype(found.dtype.numpy)
    held = array_parameter(rewriter, found, name, data, (given.name, *axes))
    number = next(port.value for port in rewriter.inputs if port.name == given.name)
    builder = rewriter.builder()
    terms = Term(held, builder), Term(number, builder)
    chosen = ops.gather(*terms, axes=(given.name,), mode="clip")
    rewriter.insert(builder.nodes)
    return rewriter.inside(found.place.value, chosen.value)


def _squeezed(array: Any) -> Any:
    return array.squeeze() if isinstance(array, NamedArray) else array


def _axes_of(rewriter: Rewriter, found: Found, array: Any, where: Where | None) -> tuple[str, ...]:
    if isinstance(array, NamedArray):
        return named_axes(rewriter, found, array)
    free = free_axes(found, where)
    rank = np.ndim(array)
    if rank > len(free):
        raise InputError(
            f"an array of shape {np.shape(array)} does not fit {found.name}, whose free axes are "
            f"{list(free)}; give a NamedArray to say which axes it has"
        )
    return free[len(free) - rank :]


def free_axes(found: Found, where: Where | None) -> tuple[str, ...]:
    """The axes of a site at which `where` does not select one position, those of its loops first.

    At a canonical site they come in the order of the site's word, whatever the layout is in the
    source model, so that one array fits all models.
    """
    single = {found.axis(word) for word, at in told(where).items() if is_single(at)}
    promised = roles_of(found.name)
    known = [found.roles[role] for role in promised if role in found.roles]
    loops = () if found.place.steps else found.scanned
    order = (*loops, *(axis for axis in found.axes if axis not in known), *known)
    return tuple(axis for axis in order if axis not in single)
