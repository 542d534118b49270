"""The lowering pipeline: what every backend is spared."""

from __future__ import annotations

from graftwork.ir.graph import Graph
from graftwork.ir.pipeline import AnyPass, apply
from graftwork.passes.cleanup.common import ShareCommon
from graftwork.passes.cleanup.dead import DropDead
from graftwork.passes.cleanup.fold import Fold
from graftwork.passes.cleanup.identities import DropIdentities
from graftwork.passes.cleanup.views import CancelViews

LOWERING: tuple[AnyPass, ...] = (
    DropDead(),
    DropIdentities(),
    CancelViews(),
    Fold(),
    ShareCommon(),
    DropDead(),
)


def lowered(graph: Graph) -> Graph:
    """The graph as backends take it: nothing dead, nothing twice, no needless views."""
    return apply(graph, LOWERING)[0]
