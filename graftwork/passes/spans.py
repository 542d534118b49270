"""Stretches of a graph that have a name: canonical spans, whole blocks, modules.

A stretch leads from the values that it starts with to the one that it ends with.
"""

from __future__ import annotations

from collections.abc import Sequence

from graftwork.ir.calls import calls, calls_of, is_within, modules
from graftwork.ir.errors import SelectionError, nearest
from graftwork.ir.glob import matching
from graftwork.ir.graph import Graph, Region, Value
from graftwork.ir.origin import UNKNOWN
from graftwork.ir.select import Found, select
from graftwork.ir.sites import Place
from graftwork.passes.unroll import refuse_scanned

Stretch = tuple[tuple[Value, ...], Value]


def spans_of(graph: Graph, path: str) -> dict[str, Stretch]:
    """Span path -> where it starts and where it ends.

    A glob means canonical spans (`blocks.3.mlp`); if none has that name, whole blocks
    (`blocks.3`, from `resid_pre` to `resid_post`); if none has, calls of modules.

    Raises:
        SelectionError: if nothing has that name, or a module gives more than one value.
    """
    named = {p: ((s.start.value,), s.end.value) for p, s in graph.sites.spans.items()}
    whole = blocks(graph)
    for known in (named, whole):
        if paths := matching(path, known):
            refuse_scanned(site.place for site in graph.sites.values())
            return {p: known[p] for p in paths}
    if paths := calls_of(path, calls(graph)):
        return {p: _module_span(graph, p) for p in paths}
    words = [*named, *whole, *modules(graph)]
    raise SelectionError(f"no span or module matches {path!r}{nearest(path, words)}")


def blocks(graph: Graph) -> dict[str, Stretch]:
    """Block path -> from the stream before it to that after it."""
    found: dict[str, Stretch] = {}
    for path, site in graph.sites.items():
        block, _, word = path.rpartition(".")
        end = f"{block}.resid_post"
        if word == "resid_pre" and end in graph.sites:
            found[block] = (site.place.value,), graph.sites[end].place.value
    return found


def _module_span(graph: Graph, path: str) -> Stretch:
    leaving = [f.place.value for f in select(graph, module=path)]
    if len(leaving) != 1:
        raise SelectionError(f"module {path!r} gives {len(leaving)} values; linearize a part of it")
    inside = {node for node in graph.nodes if is_within(node.origin.module, path)}
    made = {v for node in inside for v in node.outputs}
    fixed = {p.value for p in graph.parameters}
    entering = dict.fromkeys(
        v
        for node in graph.nodes
        if node in inside
        for v in node.inputs
        if v not in made and v not in fixed and v.type.dtype.is_float
    )
    return tuple(entering), leaving[0]


def between(graph: Graph, starts: Sequence[Value], end: Value) -> tuple[Region, tuple[Value, ...]]:
    """The nodes on paths from the starts to the end, as a region, and what else they read."""
    reached = set(starts)
    nodes = []
    for node in graph.nodes:
        if any(v in reached for v in node.inputs) and not any(v in reached for v in node.outputs):
            reached.update(node.outputs)
            nodes.append(node)
    if end not in reached or end in starts:
        raise SelectionError(f"{end!r} does not depend on where the span starts")
    needed = {end}
    kept = []
    for node in reversed(nodes):
        if any(v in needed for v in node.outputs):
            needed.update(node.inputs)
            kept.append(node)
    kept.reverse()
    made = {v for node in kept for v in node.outputs}
    captured = tuple(
        dict.fromkeys(v for node in kept for v in node.inputs if v not in made and v not in starts)
    )
    return Region((*starts, *captured), tuple(kept), (end,)), captured


def place_of(graph: Graph, path: str, end: Value, *others: Value) -> Found:
    """The end of a stretch as a place, with the roles of the sites that are there and at its start.

    Its type has the axes of all of them, so that what reads several may name any.
    """
    values = (end, *others)
    roles = {
        role: axis
        for site in graph.sites.values()
        if site.place.value in values and not site.place.inner
        for role, axis in site.roles.items()
    }
    axes = dict.fromkeys(axis for value in values for axis in value.axes)
    node = graph.index.producer.get(end)
    made = end.type.with_axes(axes)
    origin = node.origin if node else UNKNOWN
    return Found(Place(end), path, made, roles, node.op.name if node else "", origin)
