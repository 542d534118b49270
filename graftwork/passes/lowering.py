"""The lowering pipeline: what every backend is spared."""

from __future__ import annotations

from graftwork.ir.graph import Graph
from graftwork.ir.pipeline import AnyPass, apply
from graftwork.ir.sites import Sites
from graftwork.passes.axes import ShareGroups
from graftwork.passes.cleanup import Cleanup, NarrowEarly
from graftwork.passes.masked_rows import SpareMaskedRows

LOWERING: tuple[AnyPass, ...] = (
    Cleanup(),
    SpareMaskedRows(),
    ShareGroups(),
    NarrowEarly(),
    Cleanup(),
)


def lowered(graph: Graph) -> Graph:
    """The graph as backends take it: nothing dead, nothing twice, no needless views.

    It has no sites: nobody edits it, so they need not stay apart.
    """
    return apply(graph.evolve(sites=Sites()), LOWERING)[0]
