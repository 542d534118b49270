"""Where a graph repeats itself: stretches of nodes that say the same, one after another.

Two nodes say the same if they apply one op with equal attributes to values of equal types. A
stretch of them repeats with a period if every node says the same as the one a period later, and
each repeat reads, in the same places, its own values, those of the repeat before it, or some from
outside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import accumulate

from attrs import frozen

from graftwork.ir.digest import region_key
from graftwork.ir.graph import Graph, Node, Value

Spot = tuple[int, int]
"""A node of a repeat, and which of its outputs."""

_PERIODS = 8


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
    keys = _keys(graph.nodes)
    weights = {parameter.value for parameter in graph.parameters}
    periods = _periods(graph.nodes, keys, weights)
    found = [run.ranked for period in periods for run in _runs(keys, period)]
    heapify(found)
    while found:
        *_, longest = heappop(found)
        run = longest.shifted(graph.nodes)
        sources = run.sources(graph.nodes)
        if isinstance(sources, int):
            for part in run.cut(sources):
                heappush(found, part.ranked)
        elif _are_layers(sources, weights):
            return Repeats(run.start, run.steps(graph.nodes), sources)
    return None


def _keys(nodes: Sequence[Node]) -> list[int]:
    """A number for each node, equal for those that say the same."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(_key(node), len(numbers)) for node in nodes]


def _key(node: Node) -> Hashable:
    types = tuple(value.type for value in (*node.inputs, *node.outputs))
    return node.op.name, node.attrs.key, types, tuple(map(region_key, node.regions))


def _periods(nodes: Sequence[Node], keys: Sequence[int], weights: set[Value]) -> list[int]:
    """The commonest distances between nodes that say the same and read parameters."""
    last: dict[int, int] = {}
    distances: Counter[int] = Counter()
    for position, (node, key) in enumerate(zip(nodes, keys, strict=True)):
        if weights.isdisjoint(node.inputs):
            continue
        if key in last:
            distances[position - last[key]] += 1
        last[key] = position
    steps = [period for period, _ in distances.most_common(_PERIODS)]
    # Where one op comes several times in a layer, their distances add up to that of layers.
    sums = {a + b for a in steps for b in steps}
    return sorted({*steps, *sums})


@frozen(order=True)
class _Run:
    """Positions that repeat: `length` nodes say the same as those a period later."""

    start: int
    period: int
    length: int

    @property
    def count(self) -> int:
        return self.length // self.period + 1

    @property
    def saved(self) -> int:
        """How many nodes need not be said again."""
        return (self.count - 1) * self.period

    @property
    def ranked(self) -> tuple[int, int, int, _Run]:
        """Behind what puts the runs that save most first, and of these the shortest repeats."""
        return -self.saved, self.period, self.start, self

    def steps(self, nodes: Sequence[Node]) -> list[Sequence[Node]]:
        firsts = (self.start + number * self.period for number in range(self.count))
        return [nodes[first : first + self.period] for first in firsts]

    def shifted(self, nodes: Sequence[Node]) -> _Run:
        """The run cut where the fewest values pass from one repeat to the next."""
        spare = self.length % self.period
        span = nodes[self.start : self.start + 2 * self.period + spare]
        made = {value: at for at, node in enumerate(span) for value in node.outputs}
        last = {value: at for at, node in enumerate(span) for value in node.inputs if value in made}
        passing = [0] * (spare + 2)
        for value, end in last.items():  # it passes all cuts from where it is made to its last use
            passing[min(max(made[value] + 1 - self.period, 0), spare + 1)] += 1
            passing[min(max(end + 1 - self.period, 0), spare + 1)] -= 1
        counts = list(accumulate(passing))
        best = min(range(spare + 1), key=counts.__getitem__)
        return _Run(self.start + best, self.period, self.saved)

    def cut(self, step: int) -> Iterator[_Run]:
        """The repeats before a step, and those from it on."""
        for first, stop in ((0, step), (step, self.count)):
            if stop - first > 1:
                start, length = self.start + first * self.period, (stop - first - 1) * self.period
                yield _Run(start, self.period, length)

    def sources(self, nodes: Sequence[Node]) -> Sequence[Sequence[Source]] | int:
        """Where operands come from; or the first repeat that reads otherwise than those before."""
        steps = self.steps(nodes)
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


def _runs(keys: Sequence[int], period: int) -> Iterator[_Run]:
    """Where nodes say the same as those a period later, for a whole period or more."""
    start = 0
    for at in range(len(keys) - period + 1):
        if at == len(keys) - period or keys[at] != keys[at + period]:
            if at - start >= period:
                yield _Run(start, period, at - start)
            start = at + 1


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
