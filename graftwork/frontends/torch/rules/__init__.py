"""Translations of torch's operators, grouped by idea. Importing this package registers them."""

from graftwork.frontends.torch.rules import (
    activations,
    contraction,
    control,
    creation,
    elementwise,
    grouped,
    indexing,
    neural,
    pooling,
    recurrent,
    reductions,
    refused,
    searching,
    views,
    windows,
    writing,
)
from graftwork.frontends.torch.rules.registry import RULES, Call, find_rule, rule

__all__ = [
    "RULES",
    "Call",
    "activations",
    "contraction",
    "control",
    "creation",
    "elementwise",
    "find_rule",
    "grouped",
    "indexing",
    "neural",
    "pooling",
    "recurrent",
    "reductions",
    "refused",
    "rule",
    "searching",
    "views",
    "windows",
    "writing",
]
