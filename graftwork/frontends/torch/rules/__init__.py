"""Translations of torch's operators, grouped by idea. Importing this package registers them."""

from graftwork.frontends.torch.rules import (
    contraction,
    creation,
    elementwise,
    grouped,
    indexing,
    neural,
    recurrent,
    reductions,
    views,
    windows,
)
from graftwork.frontends.torch.rules.registry import RULES, Call, find_rule, rule

__all__ = [
    "RULES",
    "Call",
    "contraction",
    "creation",
    "elementwise",
    "find_rule",
    "grouped",
    "indexing",
    "neural",
    "recurrent",
    "reductions",
    "rule",
    "views",
    "windows",
]
