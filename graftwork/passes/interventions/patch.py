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
from graftwork.passes.edit import SAME_ARRAY, Site, Where, chosen, free_axes, given_array, summary
from graftwork.passes.source import Sources


@frozen
class Patch(Pass):
    """Replace activations. Exactly one of `source`, `value` and `input` says by what.

    Attributes:
        site: where.
        where: positions by axis; everything if None.
        source: a second run of the model: `run(input_ids=x, clean={"input_ids": y})`.
        value: an array along the last axes of the site, or a NamedArray.
        input: a new input of the graph by this name, with the axes of the site (without those at
            which `where` selects one position).
        count: how many sites there must be.
    """

    site: Site
    where: Where | None = None
    source: str | None = None
    value: Any = field(default=None, eq=SAME_ARRAY, hash=False, repr=summary)
    input: str | None = None
    count: int | None = None

    def __call__(self, graph: Graph) -> Graph:
        if sum(given is not None for given in (self.source, self.value, self.input)) != 1:
            raise InputError("Patch takes exactly one of source=, value= and input=")
        found = require(graph, self.site)
        if self.count is not None:
            found.count(self.count)
        rewriter = Rewriter(graph, "Patch")
        for place, new in zip(found, self._values(rewriter, graph), strict=True):

            def edit(x: Term, y: Term, place: Found = place) -> Term:
                return chosen(place, self.where, y, x)

            rewriter.interpose(rewriter.resolve(place.place), edit, (new,))
        return rewriter.finish(must_reach=True)

    def _values(self, rewriter: Rewriter, graph: Graph) -> list[Value]:
        if self.source is not None:
            return Sources(rewriter, graph).values(self.source, self.site)
        found = require(graph, self.site)
        if self.input is not None:
            return [self._input(rewriter, place, len(found)) for place in found]
        return [
            given_array(rewriter, place, self.value, self.where, f"patch.{place.name}")
            for place in found
        ]

    def _input(self, rewriter: Rewriter, found: Found, count: int) -> Value:
        name = self.input if count == 1 else f"{self.input}.{found.name}"
        assert name is not None
        if any(port.name == name for port in rewriter.inputs):
            raise InputError(f"the graph has an input {name!r} already")
        axes = free_axes(found, self.where)
        return rewriter.add_input(name, Type(found.dtype, axes), axes)
