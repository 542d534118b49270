"""Linearization: a block replaced by its first-order Taylor expansion."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from attrs import frozen

from graftwork.ir.build import Term
from graftwork.ir.derive import push
from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Graph, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.sites import Place
from graftwork.passes.base import Pass
from graftwork.passes.source import UNEDITED, Sources
from graftwork.passes.spans import between, place_of, spans_of
from graftwork.passes.trace import Function, as_graph, inline

Point = str | Function | Graph


@frozen
class Linearize(Pass):
    """Replace f(x) by f(p) + Jf(p) (e - p), the expansion at a point p, evaluated at e.

    A point is a source run, whose x is meant; or a function of x, as in `Map`, which may lack axes
    of it: `lambda x: x[{"worlds": 0}]` is the x of the first world.

    Attributes:
        span: a span of canonical sites (`blocks.3.mlp`), a whole block, or a module path: from
            what the module reads to what it gives.
        at: p; None is the unedited run of the same inputs.
        count: how many spans there must be.
        evaluate: e; None is x itself, on the edited stream.

    The result runs on every backend and exports like any graph.
    """

    span: str
    at: Point | None = None
    count: int | None = None
    evaluate: Point | None = None

    def __call__(self, graph: Graph) -> Graph:
        spans = spans_of(graph, self.span)
        if self.count is not None and len(spans) != self.count:
            raise SelectionError(f"expected {self.count} spans, found {sorted(spans)}")
        for path in spans:
            graph = self._linearized(graph, path)
        return graph

    def _linearized(self, graph: Graph, path: str) -> Graph:
        starts, end = spans_of(graph, path)[path]
        rewriter = Rewriter(graph, "Linearize")
        sources = Sources(rewriter, graph)
        at: Point = UNEDITED if self.at is None else self.at
        from_runs = [_in_run(sources, path, point, starts) for point in (at, self.evaluate)]
        region, captured = between(graph, starts, end)

        def placed(point: Point | None, xs: Sequence[Term], there: Sequence[Term]) -> list[Term]:
            if point is None or isinstance(point, str):
                return list(there or xs)
            places = [place_of(graph, path, start) for start in starts]
            pairs = zip(places, xs, strict=True)
            return [inline(as_graph(point, found, x), found, x) for found, x in pairs]

        def expansion(_: Term, *reads: Term) -> Term:
            rest = iter(reads)
            counts = (len(starts), *map(len, from_runs))
            xs, one, other = (list(islice(rest, n)) for n in counts)
            points, fixed = placed(at, xs, one), list(rest)
            steps = [e - p for e, p in zip(placed(self.evaluate, xs, other), points, strict=True)]
            rates = [*steps, *(None for _ in fixed)]
            (value,), (slope,) = push(reads[0].builder, region, [*points, *fixed], rates)
            return value if slope is None else value + slope

        rewriter.interpose(end, expansion, (*starts, *from_runs[0], *from_runs[1], *captured))
        return rewriter.finish(must_reach=True)


def _in_run(
    sources: Sources, path: str, point: Point | None, starts: Sequence[Value]
) -> list[Value]:
    """What a span, which starts with these values in the graph, starts with in a source run."""
    if not isinstance(point, str):
        return []
    there, _ = spans_of(sources.run(point).graph, path)[path]
    return sources.beside(point, [Place(value) for value in there], starts)
