"""Recovering composites: what models write by hand or frameworks inline becomes one op again.

One set of rules serves all frontends. Each is a pattern, so each is tested on its own example.
"""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from graftwork.ir.graph import Graph
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.dead import without_unread
from graftwork.passes.composites.activations import ACTIVATIONS
from graftwork.passes.composites.attention import ATTENTION
from graftwork.passes.composites.heads import WholeHeads as WholeHeads
from graftwork.passes.composites.linear import LINEAR, ROTARY
from graftwork.passes.composites.norms import NORMS
from graftwork.passes.composites.statistics import STATISTICS
from graftwork.passes.rules import Rule, rewrite

# The rules that run together; affine maps come after, since scores plus a mask look like one.
STAGES: tuple[tuple[Rule, ...], ...] = (
    (*NORMS, *ATTENTION, *STATISTICS, *ACTIVATIONS, *ROTARY),
    LINEAR,
)
RULES: tuple[Rule, ...] = tuple(rule for stage in STAGES for rule in stage)


@frozen
class Recover(Pass):
    """Find composites that are written out."""

    promise: ClassVar[str] = "tolerance"
    idempotent: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        new = graph
        for rules in STAGES:
            new, _ = rewrite(new, rules, rounds=8)
        return graph if new is graph else without_unread(new)
