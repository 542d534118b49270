"""Finding out which axes are one: raw graphs have an axis a dimension and renames where they meet.

A rename `a -> b` goes, and the two axes become one in the whole graph, unless some value would
then carry an axis twice or an op would mean something else. What cannot go means something: keys
from `seq` to `kv_seq`, a square matrix, a recurrence. Two axes of one size are never one for that.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import ClassVar

from attrs import frozen

from graftwork.ir.graph import Graph, Node
from graftwork.ir.rename import rename_axes
from graftwork.ir.sizes import Size
from graftwork.passes.axes.classes import AxisClasses
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
        _Congruence(graph, classes).close()
        return simplify(rename_axes(graph, classes.names()), "Unify", RENAMES)


@frozen(eq=False)
class _Fact:
    """A node that makes axes out of others, so that equals make equals.

    `whole` split by `sizes` gives `parts`, and those merged give `whole`; a rename that is left
    makes one part of the whole size.
    """

    whole: str
    parts: tuple[str, ...]
    sizes: tuple[Size, ...] | None


class _Congruence:
    """Axes made in the same way from the same axes are one."""

    def __init__(self, graph: Graph, classes: AxisClasses) -> None:
        self.classes = classes
        self.made: dict[object, tuple[str, ...]] = {}
        self.users: defaultdict[str, list[_Fact]] = defaultdict(list)
        self.queue = deque(fact for node in graph.walk() for fact in _facts(graph, node))
        for fact in self.queue:
            for axis in (fact.whole, *fact.parts):
                self.users[classes.find(axis)].append(fact)

    def close(self) -> None:
        """Unite until nothing more follows."""
        while self.queue:
            fact = self.queue.popleft()
            for key, result in self._conclusions(fact):
                for a, b in zip(self.made.setdefault(key, result), result, strict=True):
                    self._unite(a, b)

    def _conclusions(self, fact: _Fact) -> Iterator[tuple[object, tuple[str, ...]]]:
        whole, parts = self.classes.find(fact.whole), tuple(map(self.classes.find, fact.parts))
        if fact.sizes is not None:
            yield ("parts", parts), (fact.whole,)
        if fact.sizes is not None or whole != parts[0]:
            yield ("whole", whole, fact.sizes), fact.parts

    def _unite(self, a: str, b: str) -> None:
        """Unite two axes, and look again at what is made from the one that has gone."""
        roots = (self.classes.find(a), self.classes.find(b))
        if roots[0] != roots[1] and self.classes.unite(a, b):
            kept = self.classes.find(a)
            moved = self.users.pop(roots[roots[0] == kept], [])
            self.users[kept] += moved
            self.queue += moved


def _facts(graph: Graph, node: Node) -> Iterator[_Fact]:
    attrs = node.attrs
    if node.op.name == "split" and attrs["into"]:
        yield _Fact(attrs["axis"], attrs["into"], attrs["sizes"])
    elif node.op.name == "merge" and attrs["axes"]:
        sizes = tuple(graph.axes[axis] for axis in attrs["axes"])
        yield _Fact(attrs["into"], attrs["axes"], sizes)
    elif node.op.name == "rename":
        for old, new in attrs["axes"]:
            yield _Fact(old, (new,), None)
