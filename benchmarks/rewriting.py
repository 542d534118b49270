"""Nodes per second of a rewrite: every node substituted, then cleanup, each verified.

The graph is a chain, in which nothing is shared and nothing is dead: no node is spared.
"""

from __future__ import annotations

import graftwork as gw
from benchmarks import report, timing
from graftwork import ops
from graftwork.ir.build import Builder
from graftwork.ir.graph import Port
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.types import Typing
from graftwork.passes.cleanup import Cleanup

ROUNDS = {10_000: 9, 100_000: 5, 1_000_000: 2}  # by number of nodes
BASE, JUDGED = 10_000, 100_000
FAST = report.Target(100_000, "nodes/s", at_least=True)


def figures() -> list[report.Figure]:
    times = {size: timing.isolated(_times, size, rounds) for size, rounds in ROUNDS.items()}
    rate = {size: timing.spread([size / t for t in found]) for size, found in times.items()}
    return [
        report.Figure(
            f"substitute and clean up {size:,} nodes",
            f"{rate[size].median:,.0f} nodes/s",
            f"{BASE:,} nodes: {rate[BASE].median:,.0f} nodes/s",
            timing.spread([rate[BASE].median / (size / t) for t in found]),
            rate[size].median,
            FAST if size == JUDGED else None,
        )
        for size, found in times.items()
    ]


def chain(size: int) -> gw.Graph:
    """tanh(tanh(... tanh(x)))."""
    builder = Builder(Typing({"embed": 8}))
    x = term = builder.input("float32", "embed", "x")
    for _ in range(size):
        term = ops.tanh(term)
    return gw.Graph(
        inputs=(Port("x", x.value, x.axes),),
        parameters=(),
        nodes=tuple(builder.nodes),
        outputs=(Port("y", term.value, term.axes),),
        axes=builder.typing.table,
    )


def substitute(graph: gw.Graph) -> gw.Graph:
    """Every tanh becomes a sine."""
    rewriter = Rewriter(graph, "substitute")
    for node in graph.nodes:
        if node.op is ops.tanh:
            rewriter.replace(node, ops.sin)
    return rewriter.finish()


def _times(size: int, rounds: int) -> list[float]:
    """Seconds of wall time, a round each, with Python's garbage collector on."""
    graph = chain(size)
    rewrite = timing.compare({"rewrite": lambda: graph.apply(substitute, Cleanup())}, rounds)
    return [sample.wall for sample in rewrite.samples["rewrite"]]
