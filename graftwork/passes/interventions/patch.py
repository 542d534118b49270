"""Activation patching: put an array, an input or another run's activation in the place of one."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from graftwork.ir.build import Term
from graftwork.ir.errors import InputError
from graftwork.ir.graph import Graph, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found, require
from graftwork.ir.types import Type
from graftwork.passes.base import Pass
from graftwork.passes.edit import (
    SAME_ARRAY,
    Site,
    Where,
    chosen,
    free_axes,
    given_array,
    interpose,
    summary,
)
from graftwork.passes.interventions.reads import edit_by_run


@frozen
class Patch(Pass):
    """Replace activations. Exactly one of `source`, `value` and `input` says by what.

    Attributes:
        site: where.
        where: positions by axis; everything if None.
        source: another run of the model: `run(input_ids=x, clean={"input_ids": y})`.
        value: an array along the last axes of the site, or a NamedArray.
        input: a new input of the graph by this name, with the axes of the site (without those at
            which `where` selects one position).
        count: how many sites there must be.
        source_site: where in the source run, if not at the same site.
        source_where: which positions in the source run, by axis, if not the same: one position,
            or as many as `where` has there.
    """

    site: Site
    where: Where | None = None
    source: str | None = None
    value: Any = field(default=None, eq=SAME_ARRAY, hash=False, repr=summary)
    input: str | None = None
    count: int | None = None
    source_site: Site | None = None
    source_where: Where | None = None

    def __call__(self, graph: Graph) -> Graph:
        if sum(given is not None for given in (self.source, self.value, self.input)) != 1:
            raise InputError("Patch takes exactly one of source=, value= and input=")
        if self.source is None and (self.source_site is not None or self.source_where is not None):
            raise InputError("Patch takes source_site= and source_where= with source=")
        if self.source is not None:
            return edit_by_run(
                graph,
                "Patch",
                self.site,
                self.source,
                lambda _found, _x, y: y,
                where=self.where,
                source_site=self.source_site,
                source_where=self.source_where,
                count=self.count,
            )
        found = require(graph, self.site)
        if self.count is not None:
            found.count(self.count)
        rewriter = Rewriter(graph, "Patch")
        for place in found:

            def edit(x: Term, y: Term, place: Found = place) -> Term:
                return chosen(place, self.where, y, x)

            given = self._given(rewriter, place, len(found))
            interpose(rewriter, place, edit, (given,))
        return rewriter.finish(must_reach=True)

    def _given(self, rewriter: Rewriter, found: Found, count: int) -> Value:
        if self.input is None:
            return given_array(rewriter, found, self.value, self.where, f"patch.{found.name}")
        name = self.input if count == 1 else f"{self.input}.{found.name}"
        if any(port.name == name for port in rewriter.inputs):
            raise InputError(f"the graph has an input {name!r} already")
        axes = free_axes(found, self.where)
        return rewriter.add_input(name, Type(found.dtype, axes), axes)
