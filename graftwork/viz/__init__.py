"""Pictures: self-contained pages, safe with any names, that also show themselves in notebooks."""

from graftwork.viz.array import array
from graftwork.viz.attention import attention
from graftwork.viz.compose import page
from graftwork.viz.graph import graph, replay
from graftwork.viz.heatmap import heatmap
from graftwork.viz.view import View

__all__ = ["View", "array", "attention", "graph", "heatmap", "page", "replay"]
