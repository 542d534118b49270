"""Finding out which axes are one: raw graphs have an axis a dimension and renames where they meet.

A rename `a -> b` goes, and the two axes become one in the whole graph, unless some value would
then carry an axis twice or an op would mean something else. What cannot go means something: keys
from `seq` to `kv_seq`, a square matrix, a recurrence. Two axes of one size are never one for that.

Where not all can be one, values that meet element by element come first: then a residual stream
keeps its axes from end to end, and it is a branch, its keys or its square weight, that renames.
"""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from graftwork.ir.graph import Graph, Node
from graftwork.ir.rename import rename_axes
from graftwork.passes.axes.classes import AxisClasses
from graftwork.passes.axes.congruence import close
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.simplify import simplify
from graftwork.passes.cleanup.views import RENAMES


@frozen
class Unify(Pass):
    """Make axes one wherever a rename says that they are and nothing tells them apart.

    Axes that the user named keep their names, and no two of them become one.
    """

    promise: ClassVar[str] = "bitwise"
    idempotent: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        classes = AxisClasses(graph)
        for node in _renames(graph):
            for old, new in node.attrs["axes"]:
                classes.unite(old, new)
        close(graph, classes)
        return simplify(rename_axes(graph, classes.names()), "Unify", RENAMES)


def _renames(graph: Graph) -> list[Node]:
    """All renames, in order, those that an elementwise op reads before the others."""
    nodes = list(graph.walk())
    zipped = {x for node in nodes if "elementwise" in node.op.traits for x in node.inputs}
    found = [node for node in nodes if node.op.name == "rename"]
    return sorted(found, key=lambda node: node.output not in zipped)
