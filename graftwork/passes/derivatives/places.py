"""What the derivative passes share: finding values, and building on them at the graph's end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from graftwork.ir.build import Builder, Term
from graftwork.ir.derive_parts import Tangent, needed
from graftwork.ir.derive_values import cotangents
from graftwork.ir.errors import SelectionError, UnreachableEditError
from graftwork.ir.glob import matching
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.origin import Origin
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found, Selection, require, select
from graftwork.ir.sites import Place
from graftwork.passes.edit import Site, Where, chosen

Sites = Site | tuple[Site, ...]


def as_sites(given: Site | Sequence[Site]) -> Sites:
    """Several sites as a tuple, however they were listed."""
    return tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else given


def find(graph: Graph, site: Sites) -> Selection:
    """The sites and module outputs that are meant, or else the inputs and parameters.

    Raises:
        SelectionError: if nothing has that name.
    """
    if isinstance(site, tuple):
        found = {f.place: f for one in site for f in find(graph, one)}
        return Selection(graph, tuple(found.values()))
    if not isinstance(site, str) or select(graph, site):
        return require(graph, site)
    entries = {port.name: port.value for port in graph.inputs}
    for parameter in graph.parameters:
        entries |= dict.fromkeys((parameter.name, *parameter.aliases), parameter.value)
    names = matching(site, entries)
    if not names:
        return require(graph, site)
    places = {entries[n]: Found(Place(v := entries[n]), n, v.type, {}, "", Origin()) for n in names}
    return Selection(graph, tuple(places.values()))


@frozen(eq=False)
class Point:
    """A selected place, and the value that stands there once composites are opened."""

    found: Found
    value: Value

    @property
    def name(self) -> str:
        return self.found.name

    def chosen(self, new: Term, where: Where | None) -> Term:
        """`new` at selected positions, zero elsewhere."""
        if not where:
            return new
        return chosen(self.found, where, new, new.builder.constant(0.0, new.dtype))


def opened(graph: Graph, by: str, *sites: Sites) -> tuple[Graph, list[list[Point]]]:
    """The graph with the composites open that hold the places, and where these are then.

    Raises:
        SelectionError: if a place lies in the body of a loop or a branch.
    """
    chosen = [find(graph, site) for site in sites]
    rewriter = Rewriter(graph, by)
    values = [[rewriter.resolve(f.place) for f in found] for found in chosen]
    graph = rewriter.finish()
    entries = set(graph.region.inputs)
    for found, made in zip(chosen, values, strict=True):
        for place, value in zip(found, made, strict=True):
            if value not in entries and value not in graph.index.producer:
                raise SelectionError(
                    f"{by}: {place.name} lies in the body of a loop or a branch; take what the "
                    "loop gives, or apply Unroll() first"
                )
    points = [
        [Point(f, value) for f, value in zip(found, made, strict=True)]
        for found, made in zip(chosen, values, strict=True)
    ]
    return graph, points


def required(by: str, of: object, point: Point, found: Tangent) -> Term:
    """A derivative that must not be zero everywhere.

    Raises:
        UnreachableEditError: if it is.
    """
    if found is None:
        raise UnreachableEditError(f"{by}: {of} does not depend on {point.name}")
    return found


def gradients(
    builder: Builder, nodes: tuple[Node, ...], metric: Term, points: list[Point], by: str
) -> dict[Value, Term]:
    """d (sum of the metric) / d value for each point, with the axes of the value.

    Raises:
        UnreachableEditError: if the metric does not depend on a point.
    """
    one = builder.constant(1.0, metric.dtype).broadcast(*metric.axes)
    values = dict.fromkeys(point.value for point in points)
    found = cotangents(builder, (*nodes, *builder.nodes), {metric.value: one}, values)
    return {p.value: required(by, "the metric", p, found[p.value]) for p in points}


def with_outputs(
    rewriter: Rewriter, builder: Builder, outputs: Mapping[str, tuple[Point, Term]]
) -> Graph:
    """The graph with what was built at its end, and these as outputs, laid out like their places.

    Raises:
        InputError: if an output has one of the names already.
    """
    for name, (point, term) in outputs.items():
        rewriter.add_output(name, term.value, point.value.axes)
    nodes, _ = needed(builder.nodes, [term.value for _, term in outputs.values()])
    rewriter.append(nodes)
    return rewriter.finish()


def summed(point: Point, term: Term, over: tuple[str, ...]) -> Term:
    """The sum over axes that are named by role or by themselves."""
    return term.sum(*(point.found.axis(word) for word in over)) if over else term
