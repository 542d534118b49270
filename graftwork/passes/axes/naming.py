"""Giving axes the names that people use: `heads`, `head_dim`, `embed`, `mlp`, `vocab`.

Axes of one role and one size in different layers become one axis, where nothing tells them apart:
then twelve layers have one `heads`, and their patterns stack. What differs gets a number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen

from graftwork.ir.axis_spec import is_unnamed
from graftwork.ir.graph import Graph
from graftwork.ir.names import unused
from graftwork.ir.rename import rename_axes
from graftwork.passes.axes.classes import AxisClasses
from graftwork.passes.axes.congruence import close
from graftwork.passes.axes.evidence import EVIDENCE
from graftwork.passes.axes.reader import Reader
from graftwork.passes.base import Pass
from graftwork.passes.cleanup.simplify import simplify
from graftwork.passes.cleanup.views import RENAMES


@frozen
class Name(Pass):
    """Name the axes that nobody has named, each by its role; the names are unique."""

    promise: ClassVar[str] = "bitwise"
    idempotent: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        classes = AxisClasses(graph)
        words = _words(graph)
        alike: defaultdict[object, list[str]] = defaultdict(list)
        for axis, word in words.items():
            others = alike[word, graph.axes[axis]]
            if not any(classes.unite(other, axis) for other in others):
                others.append(axis)
        close(graph, classes)
        return simplify(rename_axes(graph, _unique(graph, classes, words)), "Name", RENAMES)


def _words(graph: Graph) -> dict[str, str]:
    """The word of each unnamed axis, those of the surest evidence first."""
    reader = Reader(graph)
    unknown = [axis for axis in graph.axes if is_unnamed(axis)]
    words: dict[str, str] = {}
    for evidence in EVIDENCE:
        if len(words) == len(unknown):
            break
        for axis, word in list(evidence(reader, words)):
            if is_unnamed(axis):
                words.setdefault(axis, word)
    return words | {axis: "axis" for axis in unknown if axis not in words}


def _unique(graph: Graph, classes: AxisClasses, words: Mapping[str, str]) -> dict[str, str]:
    """Axis -> its new name."""
    taken = {axis for axis in graph.axes if not is_unnamed(axis)}
    names = {classes.find(axis): axis for axis in taken}
    for axis, word in words.items():
        root = classes.find(axis)
        if root not in names:
            names[root] = unused(word, taken)
            taken.add(names[root])
    return {axis: names[classes.find(axis)] for axis in graph.axes}
