"""Pictures: self-contained pages, safe with any names, that also show themselves in notebooks."""

from graftwork.viz.graph import graph
from graftwork.viz.view import View

__all__ = ["View", "graph"]
