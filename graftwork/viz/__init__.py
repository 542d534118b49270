"""Pictures: self-contained pages, safe with any names, that also show themselves in notebooks."""

from typing import TYPE_CHECKING, Any

from graftwork.viz.array import array
from graftwork.viz.attention import attention
from graftwork.viz.compose import page
from graftwork.viz.graph import graph, replay
from graftwork.viz.heatmap import heatmap
from graftwork.viz.tokens import tokens
from graftwork.viz.view import View

if TYPE_CHECKING:
    from graftwork.pictures import flow, head, logit_lens, neuron

__all__ = [
    "View",
    "array",
    "attention",
    "flow",
    "graph",
    "head",
    "heatmap",
    "logit_lens",
    "neuron",
    "page",
    "replay",
    "tokens",
]

_DRIVEN = {"flow", "head", "logit_lens", "neuron"}


def __getattr__(name: str) -> Any:
    """Load a picture whose model must be run first; the public face drives it."""
    if name not in _DRIVEN:
        raise AttributeError(f"module 'graftwork.viz' has no attribute {name!r}")
    from graftwork import pictures

    return getattr(pictures, name)
