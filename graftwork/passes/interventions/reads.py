"""What an edit reads from another run: at the same place and positions, or at others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Graph, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found, require
from graftwork.ir.size_values import decide
from graftwork.passes.edit import Site, chosen, interpose, told
from graftwork.passes.positions import At, Where, is_single, picked
from graftwork.passes.source import Sources


@frozen(eq=False)
class Read:
    """An activation of a source run that stands for that at a place.

    Attributes:
        found: where it is in the graph of its run.
        value: its clone.
        sources: the runs of the rewriting, for the inputs of this one.
        source: the name of the run.
    """

    found: Found
    value: Value
    sources: Sources
    source: str

    def at(self, place: Found, y: Term, where: Where | None, source_where: Where | None) -> Term:
        """The activation in the axes of `place`, its positions `source_where` moved to `where`.

        Raises:
            SelectionError: if it has axes that the place lacks or that are longer or shorter
                there, or the positions do not pair.
        """
        names = {self.found.roles[r]: a for r, a in place.roles.items() if r in self.found.roles}
        names = {old: new for old, new in names.items() if old != new and old in y.axes}
        for old, new in names.items():
            if decide(y.size(old), y.size(new)) is False:
                raise SelectionError(
                    f"{self.found.name} of {self.source!r} has {y.size(old)} along {old!r}, but "
                    f"{place.name} has {y.size(new)} here; apply the pass that changed it before, "
                    "in an apply of its own"
                )
        y = y.rename(**names).cast(place.dtype)
        own = {names.get(a, a) for a in (self.found.roles.values() or self.found.axes)}
        extra = [a for a in y.axes if a in own and a not in place.axes]
        if extra:
            raise SelectionError(
                f"{self.found.name} of {self.source!r} has axes {extra}, which {place.name} lacks"
            )
        for word, at in told(source_where).items():
            axis = place.axis(word)
            if axis not in y.axes:
                raise SelectionError(f"{self.found.name} of {self.source!r} has no axis {word!r}")
            y = self._moved(place, axis, y, at, told(where).get(word))
        return y

    def _moved(self, place: Found, axis: str, y: Term, at: At, to: At | None) -> Term:
        if is_single(at):
            position = picked(place, axis, at, y, lambda n: self.sources.input(self.source, n))
            return ops.gather(y, position, axes=(axis,), mode="clip")
        index = _index(axis, at, to)
        if index is None:
            raise SelectionError(
                f"{place.name}: positions {at} of {axis!r} in the source do not pair with {to}; "
                "give one position, or two lists or slices of one length"
            )
        return ops.gather(y, index, axes=(axis,), mode="clip")


def _index(axis: str, at: At, to: At | None) -> Term | None:
    """Base position -> source position, where lists or slices of positions pair."""
    place = ops.iota(axis=axis)
    if isinstance(at, slice) and isinstance(to, slice):
        starts, stops = (at.start or 0, to.start or 0), (at.stop, to.stop)
        if at.step or to.step or None in stops or min(*starts, *stops) < 0:
            return None
        same = stops[0] - starts[0] == stops[1] - starts[1]
        return place + (starts[0] - starts[1]) if same else None
    pairs = (_integers(at), _integers(to))
    if None in pairs or len(pairs[0] or ()) != len(pairs[1] or ()):
        return None
    index = place
    for source, base in zip(pairs[0] or (), pairs[1] or (), strict=True):
        index = ops.select(ops.eq(place, base), source, index)
    return index


def _integers(at: Any) -> Sequence[int] | None:
    """A list of positions from the front, if it is one."""
    if not isinstance(at, Sequence | np.ndarray):
        return None
    return [int(i) for i in at] if all(i >= 0 for i in at) else None


def edit_by_run(
    graph: Graph,
    by: str,
    site: Site,
    source: str,
    edit: Callable[[Found, Term, Term], Term],
    *,
    where: Where | None = None,
    source_site: Site | None = None,
    source_where: Where | None = None,
    count: int | None = None,
) -> Graph:
    """Interpose `edit(place, x, y)` at every selected place, where y is from a source run.

    Raises:
        SelectionError: if nothing is selected, or not `count` places; or if the source site has
            neither one place nor as many.
        UnreachableEditError: if no output depends on a place.
    """
    selection = require(graph, site)
    if count is not None:
        selection.count(count)
    rewriter = Rewriter(graph, by)
    reads = _reads(rewriter, graph, len(selection), source, source_site or site)
    for place, read in zip(selection, reads, strict=True):

        def edited(x: Term, y: Term, place: Found = place, read: Read = read) -> Term:
            there = read.at(place, y, where, source_where)
            return chosen(place, where, edit(place, x, there), x)

        interpose(rewriter, place, edited, (read.value,))
    return rewriter.finish(must_reach=True)


def _reads(rewriter: Rewriter, graph: Graph, count: int, source: str, site: Site) -> list[Read]:
    sources = Sources(rewriter, graph)
    found = sources.found(source, site)
    if len(found) not in (1, count):
        raise SelectionError(f"{count} places are edited, but the source has {found!r}")
    values = sources.places(source, [f.place for f in found])
    reads = [Read(f, v, sources, source) for f, v in zip(found, values, strict=True)]
    return reads if len(reads) == count else reads * count
