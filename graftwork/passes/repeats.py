"""Where a graph repeats itself: stretches of nodes that say the same, one after another.

Two nodes say the same if they apply one op with equal attributes to values of equal types. A
stretch of them repeats with a period if every node says the same as the one a period later, and
each repeat reads, in the same places, its own values, those of the repeat before it, or some from
outside.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush

from attrs import frozen

from graftwork.ir.digest import said
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.stretches import Run, living, runs

_LEAST = 8  # nodes that a scan must save, to be worth more than it costs

Spot = tuple[int, int]
"""A node of a repeat, and which of its outputs."""


@frozen
class Own:
    """An operand that the repeat itself defines."""

    spot: Spot


@frozen
class Carried:
    """An operand that the repeat before defines; the first repeat reads `first`."""

    spot: Spot
    first: Value


@frozen
class Outer:
    """An operand from outside: one value for all repeats, or one for each."""

    values: tuple[Value, ...]

    @property
    def is_constant(self) -> bool:
        return all(value is self.values[0] for value in self.values)


Source = Own | Carried | Outer


@frozen(eq=False)
class Repeats:
    """Stretches that repeat.

    Attributes:
        start: the position of the first node.
        steps: the nodes of each repeat.
        sources: for each node of a repeat, where its operands come from.
    """

    start: int
    steps: Sequence[Sequence[Node]]
    sources: Sequence[Sequence[Source]]

    @property
    def stop(self) -> int:
        """The position after the last node."""
        return self.start + len(self.steps) * len(self.steps[0])

    @property
    def places(self) -> Mapping[Value, tuple[int, Spot]]:
        """The values that they define: at which step, and by what in it."""
        return _places(self.steps)


def repeats(graph: Graph) -> Repeats | None:
    """The layers that repeat, of most nodes; None without.

    Each goes on from the one before it, and reads parameters of its own.
    """
    weights = {parameter.value for parameter in graph.parameters}
    todo = [(-_saved(run), run) for run in runs(_numbers(graph.nodes), _alive(graph))]
    heapify(todo)
    while todo and -todo[0][0] >= _LEAST:
        _, run = heappop(todo)
        steps = [graph.nodes[first : first + run.period] for first in run.firsts]
        sources = _sources(steps)
        if isinstance(sources, int):
            for part in _cut(run, sources):
                heappush(todo, (-_saved(part), part))
        elif _are_layers(sources, weights):
            return Repeats(run.start, steps, sources)
    return None


def _saved(run: Run) -> int:
    """How many nodes need not be said again."""
    return (run.count - 1) * run.period


def _numbers(nodes: Sequence[Node]) -> list[int]:
    """A number for each node, equal for those that say the same."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(said(node), len(numbers)) for node in nodes]


def _alive(graph: Graph) -> list[int]:
    """How many values made before each node are read by it or later."""
    made = {value: at for at, node in enumerate(graph.nodes) for value in node.outputs}
    last = dict(made)
    last.update((v, at) for at, node in enumerate(graph.nodes) for v in node.inputs if v in made)
    last |= {port.value: len(graph.nodes) for port in graph.outputs if port.value in made}
    return living(((at, last[value]) for value, at in made.items()), len(graph.nodes))


def _cut(run: Run, step: int) -> Iterator[Run]:
    """The repeats before a step, and those from it on."""
    for first, stop in ((0, step), (step, run.count)):
        if stop - first > 1:
            yield Run(run.firsts[first], run.period, stop - first)


def _sources(steps: Sequence[Sequence[Node]]) -> Sequence[Sequence[Source]] | int:
    """Where operands come from; or the first repeat that reads otherwise than those before."""
    places = _places(steps)
    found: list[Sequence[Source]] = []
    for same in zip(*steps, strict=True):
        sources: list[Source] = []
        for values in zip(*(node.inputs for node in same), strict=True):
            source = _source(places, values)
            if isinstance(source, int):
                return source
            sources.append(source)
        found.append(sources)
    return found


def _places(steps: Sequence[Sequence[Node]]) -> dict[Value, tuple[int, Spot]]:
    return {
        value: (step, (number, output))
        for step, nodes in enumerate(steps)
        for number, node in enumerate(nodes)
        for output, value in enumerate(node.outputs)
    }


def _source(places: Mapping[Value, tuple[int, Spot]], values: Sequence[Value]) -> Source | int:
    """Where what a node reads at each step comes from; or the step at which that changes."""
    found = [places.get(value) for value in values]
    ways = [at and (step - at[0], at[1]) for step, at in enumerate(found)]
    first, second, *rest = ways
    for step, way in enumerate(rest, 2):
        if way != second:
            return step
    if first == second:
        return Outer(tuple(values)) if second is None else Own(second[1])
    if first is None and second is not None and second[0] == 1:
        return Carried(second[1], values[0])
    return 1


def _are_layers(sources: Sequence[Sequence[Source]], weights: set[Value]) -> bool:
    """Whether each repeat goes on from the one before it, with parameters of its own."""
    found = [source for row in sources for source in row]
    return any(isinstance(source, Carried) for source in found) and any(
        isinstance(source, Outer) and not source.is_constant and source.values[0] in weights
        for source in found
    )
