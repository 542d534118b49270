"""The lowering pipeline: what every backend is spared."""

from __future__ import annotations

from graftwork.ir.graph import Graph
from graftwork.ir.pipeline import AnyPass, apply
from graftwork.ir.sites import Sites
from graftwork.passes.axes import ShareGroups
from graftwork.passes.cleanup import Cleanup, NarrowEarly

# Nobody edits a lowered graph, so its sites need not stay apart.
LOWERING: tuple[AnyPass, ...] = (
    Cleanup(merge_sites=True),
    ShareGroups(),
    NarrowEarly(merge_sites=True),
    Cleanup(merge_sites=True),
)


def lowered(graph: Graph) -> Graph:
    """The graph as backends take it: nothing dead, nothing twice, no needless views, no sites."""
    return apply(graph.evolve(sites=Sites()), LOWERING)[0]
