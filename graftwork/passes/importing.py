"""The import pipeline: from a frontend's raw graph to one that people read and edit.

Every step keeps the outputs as they are, so a converted model gives what its source gives.
"""

from __future__ import annotations

from graftwork.ir.graph import Graph
from graftwork.ir.pipeline import AnyPass, apply_together
from graftwork.passes.axes import Name, Unify, Unmerge
from graftwork.passes.cleanup import Cleanup
from graftwork.passes.composites import Recover, WholeHeads
from graftwork.passes.sites import FindSites

SIMPLIFYING: tuple[AnyPass, ...] = (
    Unify(),
    Cleanup(),
    Unmerge(),
    Unify(),
    Cleanup(),
    Recover(),
)
IMPORTING: tuple[AnyPass, ...] = (
    *SIMPLIFYING,
    WholeHeads(),
    FindSites(),
    Name(),
    Cleanup(),
)


def simplified(raw: Graph) -> Graph:
    """A part of a frontend's graph with axes unified and composites recovered."""
    return apply_together(raw, SIMPLIFYING)


def imported(raw: Graph) -> Graph:
    """The graph of a frontend with axes unified and named, composites and sites recovered."""
    return apply_together(raw, IMPORTING)
