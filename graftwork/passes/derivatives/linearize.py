"""Linearization: a block replaced by its first-order Taylor expansion."""

from __future__ import annotations

from attrs import frozen

from graftwork.ir.build import Term
from graftwork.ir.derive import push
from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Graph, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.sites import Place
from graftwork.passes.base import Pass
from graftwork.passes.source import UNEDITED, Sources
from graftwork.passes.spans import between, spans_of


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
        spans = spans_of(graph, self.span)
        if self.count is not None and len(spans) != self.count:
            raise SelectionError(f"expected {self.count} spans, found {sorted(spans)}")
        base = spans_of(Sources(Rewriter(graph, "Linearize"), graph).application.base, self.span)
        for path in spans:
            graph = self._linearized(graph, path, base[path])
        return graph

    def _linearized(self, graph: Graph, path: str, point: tuple[tuple[Value, ...], Value]) -> Graph:
        starts, end = spans_of(graph, path)[path]
        rewriter = Rewriter(graph, "Linearize")
        points = Sources(rewriter, graph).places(
            self.at or UNEDITED, [Place(value) for value in point[0]]
        )
        region, captured = between(graph, starts, end)
        count = len(starts)

        def expansion(_: Term, *reads: Term) -> Term:
            edited, at, fixed = reads[:count], reads[count : 2 * count], reads[2 * count :]
            steps = [x - p for x, p in zip(edited, at, strict=True)]
            rates = [*steps, *(None for _ in fixed)]
            (value,), (slope,) = push(reads[0].builder, region, [*at, *fixed], rates)
            return value if slope is None else value + slope

        rewriter.interpose(end, expansion, (*starts, *points, *captured))
        return rewriter.finish(must_reach=True)
