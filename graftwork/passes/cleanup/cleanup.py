"""All exact cleanups as one pass."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from graftwork.ir.graph import Graph
from graftwork.ir.pipeline import reached
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.common import ShareCommon
from graftwork.passes.cleanup.dead import DropDead
from graftwork.passes.cleanup.fold import fold_rules
from graftwork.passes.cleanup.identities import IDENTITIES
from graftwork.passes.cleanup.positions import POSITIONS
from graftwork.passes.cleanup.simplify import simplify, together
from graftwork.passes.cleanup.views import VIEWS

_RULES = together(VIEWS, IDENTITIES, POSITIONS, fold_rules())


@frozen
class Cleanup(Pass):
    """Simplify, compute equal things once, and leave out what is dead; changes no bit."""

    promise: ClassVar[str] = "bitwise"

    def __call__(self, graph: Graph) -> Graph:
        simple = reached("simplify", simplify(graph, "Cleanup", _RULES))
        shared = reached(ShareCommon.name(), ShareCommon()(simple))
        return reached(DropDead.name(), DropDead()(shared))
