"""Finding out which axes are one: raw graphs have an axis a dimension and renames where they meet.

A rename `a -> b` goes, and the two axes become one in the whole graph, unless some value would
then carry an axis twice or an op would mean something else. What cannot go means something: keys
from `seq` to `kv_seq`, a square matrix, a recurrence. Two axes of one size are never one for that.
"""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from graftwork.ir.graph import Graph
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
        for node in graph.walk():
            if node.op.name == "rename":
                for old, new in node.attrs["axes"]:
                    classes.unite(old, new)
        close(graph, classes)
        return simplify(rename_axes(graph, classes.names()), "Unify", RENAMES)
