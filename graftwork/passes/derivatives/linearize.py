"""Linearization: a block replaced by its first-order Taylor expansion."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from graftwork.ir.build import Term
from graftwork.ir.derive import push
from graftwork.ir.errors import SelectionError, nearest
from graftwork.ir.glob import matching
from graftwork.ir.graph import Graph, Region, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import modules, select
from graftwork.ir.sites import Place
from graftwork.passes.base import Pass
from graftwork.passes.source import UNEDITED, Sources


@frozen
class Linearize(Pass):
    """Replace f(x) by f(p) + Jf(p) (x - p), where p is what x is at another run.

    Attributes:
        span: a span of canonical sites (`blocks.3.mlp`), or a module path: from what the module
            reads to what it gives.
        at: a source run whose x is the point p; None is the unedited run of the same inputs.
        count: how many spans there must be.

    The result is evaluated on the edited stream, runs on every backend and exports like any graph.
    """

    span: str
    at: str | None = None
    count: int | None = None

    def __call__(self, graph: Graph) -> Graph:
        spans = _spans(graph, self.span)
        if self.count is not None and len(spans) != self.count:
            raise SelectionError(f"expected {self.count} spans, found {sorted(spans)}")
        base = _spans(Sources(Rewriter(graph, "Linearize"), graph).application.base, self.span)
        for path in spans:
            graph = self._linearized(graph, path, base[path])
        return graph

    def _linearized(self, graph: Graph, path: str, point: tuple[tuple[Value, ...], Value]) -> Graph:
        starts, end = _spans(graph, path)[path]
        rewriter = Rewriter(graph, "Linearize")
        points = Sources(rewriter, graph).places(
            self.at or UNEDITED, [Place(value) for value in point[0]]
        )
        region, captured = _between(graph, starts, end)
        count = len(starts)

        def expansion(_: Term, *reads: Term) -> Term:
            edited, at, fixed = reads[:count], reads[count : 2 * count], reads[2 * count :]
            steps = [x - p for x, p in zip(edited, at, strict=True)]
            rates = [*steps, *(None for _ in fixed)]
            (value,), (slope,) = push(reads[0].builder, region, [*at, *fixed], rates)
            return value if slope is None else value + slope

        rewriter.interpose(end, expansion, (*starts, *points, *captured))
        return rewriter.finish(must_reach=True)


def _spans(graph: Graph, path: str) -> dict[str, tuple[tuple[Value, ...], Value]]:
    """Span path -> where it starts and where it ends.

    Raises:
        SelectionError: if nothing has that name, or a module gives more than one value.
    """
    named = matching(path, graph.sites.spans)
    if named:
        spans = graph.sites.spans
        return {p: ((spans[p].start.value,), spans[p].end.value) for p in named}
    paths = matching(path, modules(graph))
    if not paths:
        known = [*graph.sites.spans, *modules(graph)]
        raise SelectionError(f"no span or module matches {path!r}{nearest(path, known)}")
    return {p: _module_span(graph, p) for p in paths}


def _module_span(graph: Graph, path: str) -> tuple[tuple[Value, ...], Value]:
    leaving = [f.place.value for f in select(graph, module=path)]
    if len(leaving) != 1:
        raise SelectionError(f"module {path!r} gives {len(leaving)} values; linearize a part of it")
    inside = {
        node
        for node in graph.nodes
        if node.origin.module == path or node.origin.module.startswith(path + ".")
    }
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


def _between(graph: Graph, starts: Sequence[Value], end: Value) -> tuple[Region, tuple[Value, ...]]:
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
