"""Axes made in the same way from the same axes are one, as far as anything allows."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator

from graftwork.ir.graph import Graph
from graftwork.passes.axes.classes import AxisClasses
from graftwork.passes.axes.facts import Fact, facts


def close(graph: Graph, classes: AxisClasses) -> None:
    """Unite axes until no more follows from the facts of a graph."""
    _Closure(graph, classes).run()


class _Closure:
    """The facts still to be looked at, and what is made from what by those that have been."""

    def __init__(self, graph: Graph, classes: AxisClasses) -> None:
        self.classes = classes
        self.made: dict[object, tuple[str, ...]] = {}
        self.users: defaultdict[str, list[Fact]] = defaultdict(list)
        self.queue = deque(facts(graph))
        for fact in self.queue:
            for axis in (fact.whole, *fact.parts):
                self.users[classes.find(axis)].append(fact)

    def run(self) -> None:
        while self.queue:
            for key, result in self._conclusions(self.queue.popleft()):
                for a, b in zip(self.made.setdefault(key, result), result, strict=True):
                    self._unite(a, b)

    def _conclusions(self, fact: Fact) -> Iterator[tuple[object, tuple[str, ...]]]:
        whole, parts = self.classes.find(fact.whole), tuple(map(self.classes.find, fact.parts))
        if fact.sizes is not None:
            yield ("parts", parts), (fact.whole,)
        if fact.sizes is not None or whole != parts[0]:
            yield ("whole", whole, fact.sizes), fact.parts

    def _unite(self, a: str, b: str) -> None:
        """Unite two axes, and look again at what is made from the one that has gone."""
        roots = {self.classes.find(a), self.classes.find(b)}
        if len(roots) == 2 and self.classes.unite(a, b):
            kept = self.classes.find(a)
            (gone,) = roots - {kept}
            moved = self.users.pop(gone, [])
            self.users[kept] += moved
            self.queue += moved
