"""Jacobian-vector and vector-Jacobian products of any values with respect to any others."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from graftwork.ir.build import Builder, Term
from graftwork.ir.derive_values import cotangents, tangents
from graftwork.ir.errors import InputError, UnreachableEditError
from graftwork.ir.graph import Graph, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.types import Type
from graftwork.passes.base import Pass
from graftwork.passes.derivatives.attribution import from_source
from graftwork.passes.derivatives.places import (
    Point,
    Sites,
    as_sites,
    opened,
    required,
    with_outputs,
)
from graftwork.passes.edit import SAME_ARRAY, given_array, summary


@frozen
class JVP(Pass):
    """Add J t to the outputs, as `jvp.<site>`: how values move when others move along t.

    Attributes:
        of: sites, module outputs or outputs whose movement is asked for.
        at: sites, module outputs, inputs or parameters that move, all at once.
        direction: t, an array along the last axes of each place of `at`, or a NamedArray.
        source: instead, t is what the place is in another run, less what it is here.
        input: instead, t is a new input of the graph by this name (`name.<site>` for several).

    Raises:
        InputError: unless just one of direction, source and input is given.
        UnreachableEditError: if a value of `of` depends on no place of `at`.
    """

    of: Sites = field(converter=as_sites)
    at: Sites = field(converter=as_sites)
    direction: Any = field(default=None, eq=SAME_ARRAY, hash=False, repr=summary)
    source: str | None = None
    input: str | None = None

    def __call__(self, graph: Graph) -> Graph:
        if sum(given is not None for given in (self.direction, self.source, self.input)) != 1:
            raise InputError("JVP takes just one of direction=, source= and input=")
        graph, (ends, starts) = opened(graph, "JVP", self.of, self.at)
        rewriter = Rewriter(graph, "JVP")
        given = self._directions(rewriter, graph, starts)
        builder = rewriter.builder()
        seeds: dict[Value, Term] = {}
        with builder:
            for point in starts:
                seed = Term(given[point.value], builder)
                if self.source is not None:
                    seed = seed - Term(point.value, builder)
                seeds[point.value] = seed.broadcast(*point.value.axes)
            rates = tangents(builder, graph.nodes, seeds)
            moved = {f"jvp.{p.name}": (p, _moved(p, rates, self.at)) for p in ends}
        return with_outputs(rewriter, builder, moved)

    def _directions(
        self, rewriter: Rewriter, graph: Graph, starts: list[Point]
    ) -> dict[Value, Value]:
        if self.source is not None:
            return from_source(rewriter, graph, self.source, starts)
        if self.input is not None:
            return inputs_for(rewriter, self.input, starts)
        return {
            p.value: given_array(rewriter, p.found, self.direction, None, f"jvp.{p.name}")
            for p in starts
        }


def _moved(end: Point, rates: dict[Value, Term], at: Sites) -> Term:
    if end.value not in rates:
        raise UnreachableEditError(f"JVP: {end.name} does not depend on {at}")
    return rates[end.value]


@frozen
class VJP(Pass):
    """Add c J to the outputs, as `vjp.<site>`: what movements of others do to c . values.

    Attributes:
        of: sites, module outputs or outputs.
        at: sites, module outputs, inputs or parameters.
        cotangent: c, an array along the last axes of each value of `of`, or a NamedArray; ones
            if neither it nor `input` is given.
        input: instead, c is a new input of the graph by this name (`name.<site>` for several).

    Raises:
        InputError: if both cotangent and input are given.
        UnreachableEditError: if no value of `of` depends on a place of `at`.
    """

    of: Sites = field(converter=as_sites)
    at: Sites = field(converter=as_sites)
    cotangent: Any = field(default=None, eq=SAME_ARRAY, hash=False, repr=summary)
    input: str | None = None

    def __call__(self, graph: Graph) -> Graph:
        if self.cotangent is not None and self.input is not None:
            raise InputError("VJP takes one of cotangent= and input=")
        graph, (ends, starts) = opened(graph, "VJP", self.of, self.at)
        rewriter = Rewriter(graph, "VJP")
        builder = rewriter.builder()
        with builder:
            given = self._cotangents(rewriter, builder, ends)
            found = cotangents(builder, graph.nodes, given, [p.value for p in starts])
            pulled = {
                f"vjp.{p.name}": (p, required("VJP", self.of, p, found[p.value])) for p in starts
            }
        return with_outputs(rewriter, builder, pulled)

    def _cotangents(
        self, rewriter: Rewriter, builder: Builder, ends: list[Point]
    ) -> dict[Value, Term]:
        if self.input is not None:
            given = inputs_for(rewriter, self.input, ends)
        elif self.cotangent is not None:
            given = {
                p.value: given_array(rewriter, p.found, self.cotangent, None, f"vjp.{p.name}")
                for p in ends
            }
        else:
            given = {p.value: builder.constant(1.0, p.value.type.dtype).value for p in ends}
        return {v: Term(ct, builder).broadcast(*v.axes) for v, ct in given.items()}


def inputs_for(rewriter: Rewriter, name: str, points: list[Point]) -> dict[Value, Value]:
    """A new input for each point, with its axes.

    Raises:
        InputError: if the graph has an input of such a name.
    """
    made: dict[Value, Value] = {}
    taken = {port.name for port in rewriter.inputs}
    for point in points:
        word = name if len(points) == 1 else f"{name}.{point.name}"
        if word in taken:
            raise InputError(f"{rewriter.by}: the graph has an input {word!r} already")
        axes = point.value.axes
        made[point.value] = rewriter.add_input(word, Type(point.value.type.dtype, axes), axes)
    return made
