"""Edits of whole stretches of a graph: skipped, or replaced by another graph."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from graftwork.ir.build import Term
from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Graph, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import Found
from graftwork.passes.base import Pass
from graftwork.passes.edit import Where, chosen
from graftwork.passes.spans import place_of, spans_of
from graftwork.passes.trace import inline


@frozen
class Skip(Pass):
    """Let a stretch of the graph give back what it takes.

    Attributes:
        span: a canonical span (`blocks.3.mlp`), a whole block (`blocks.3`), or a module path.
        where: positions by axis; everywhere if None.
        count: how many spans there must be.
    """

    span: str
    where: Where | None = None
    count: int | None = None

    def __call__(self, graph: Graph) -> Graph:
        rewriter = Rewriter(graph, "Skip")
        for path, starts, end in _stretches(graph, self.span, self.count):
            alike = [value for value in starts if value.type.same(end.type)]
            if len(alike) != 1:
                raise SelectionError(
                    f"{path} takes {list(starts)}, of which {len(alike)} are like what it gives, "
                    f"{end!r}; skip a part of it"
                )
            found = place_of(graph, path, end)

            def skipped(y: Term, x: Term, found: Found = found) -> Term:
                return chosen(found, self.where, x, y)

            rewriter.interpose(end, skipped, alike)
        return rewriter.finish(must_reach=True)


@frozen
class Replace(Pass):
    """Let another graph stand for a stretch of the graph.

    Attributes:
        span: a canonical span (`blocks.3.mlp`), a whole block (`blocks.3`), or a module path.
        graph: takes what the span takes, in that order, in axes called by their roles, and gives
            one output. Its parameters become parameters of the model.
        where: positions by axis; everywhere if None.
        count: how many spans there must be.
    """

    span: str
    graph: Graph
    where: Where | None = None
    count: int | None = None

    def __call__(self, graph: Graph) -> Graph:
        rewriter = Rewriter(graph, "Replace")
        for path, starts, end in _stretches(graph, self.span, self.count):
            found = place_of(graph, path, end, *starts)

            def replaced(y: Term, *xs: Term, found: Found = found) -> Term:
                return chosen(found, self.where, inline(self.graph, found, *xs), y)

            rewriter.interpose(end, replaced, starts)
        return rewriter.finish(must_reach=True)


def _stretches(
    graph: Graph, span: str, count: int | None
) -> Iterator[tuple[str, tuple[Value, ...], Value]]:
    spans = spans_of(graph, span)
    if count is not None and len(spans) != count:
        raise SelectionError(f"expected {count} spans, found {sorted(spans)}")
    for path, (starts, end) in spans.items():
        yield path, starts, end
