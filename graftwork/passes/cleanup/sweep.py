"""Cleaning every level of a graph: its regions, the innermost first, and then its top.

What a cleanup does to one level is a function from a region to the nodes that are left and the
values that stand for those that are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from attrs import evolve

from graftwork.ir.graph import Graph, Node, Region, Value
from graftwork.ir.levels import defined, levels
from graftwork.ir.rename import moved_sites

Clean = Callable[[Region], tuple[Sequence[Node], Mapping[Value, Value]]]


def sweep(graph: Graph, clean: Clean) -> Graph:
    """The graph with every level cleaned; sites follow their values."""
    aliases: dict[Value, Value] = {}
    top = _cleaned(graph.region, clean, {}, aliases)
    if top is graph.region:
        return graph
    new = graph.evolve(
        nodes=top.nodes,
        outputs=tuple(
            evolve(port, value=value)
            for port, value in zip(graph.outputs, top.outputs, strict=True)
        ),
    )
    if not graph.sites.table and not graph.sites.spans:
        return new
    alive = {value for _, level in levels(new) for value in defined(level)}

    def moved(value: Value) -> Value | None:
        now = resolved(value, aliases)
        return now if now in alive else None

    return new.evolve(sites=moved_sites(graph.sites, moved))


def _cleaned(
    region: Region, clean: Clean, done: dict[Region, Region], aliases: dict[Value, Value]
) -> Region:
    """The region with all its levels cleaned; ``aliases`` learns what stands for what is gone."""
    if region not in done:
        inner = partial(_cleaned, clean=clean, done=done, aliases=aliases)
        nodes, found = clean(_with_inner(region, inner))
        aliases.update(found)
        outputs = tuple(resolved(value, found) for value in region.outputs)
        same = tuple(nodes) == region.nodes and outputs == region.outputs
        done[region] = region if same else Region(region.inputs, tuple(nodes), outputs)
    return done[region]


def resolved(value: Value, aliases: Mapping[Value, Value]) -> Value:
    """What stands for a value in the end."""
    while value in aliases:
        value = aliases[value]
    return value


def sited(graph: Graph) -> frozenset[Value]:
    """The values that sites and spans speak of, which an edit may tell from all others."""
    spans = graph.sites.spans.values()
    places = [site.place for site in graph.sites.table.values()]
    places += [place for span in spans for place in (span.start, span.end)]
    return frozenset(place.value for place in places)


def _with_inner(region: Region, cleaned: Callable[[Region], Region]) -> Region:
    if not any(node.regions for node in region.nodes):
        return region
    inside = [_with_regions(n, cleaned) if n.regions else n for n in region.nodes]
    return Region(region.inputs, tuple(inside), region.outputs)


def _with_regions(node: Node, cleaned: Callable[[Region], Region]) -> Node:
    regions = tuple(cleaned(region) for region in node.regions)
    same = all(a is b for a, b in zip(regions, node.regions, strict=True))
    return node if same else evolve(node, regions=regions)
