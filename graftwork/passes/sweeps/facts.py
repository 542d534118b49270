"""What the worlds of a sweep have in common, read off its graph.

In the graph of a sweep every edit is a select: `select(eq(worlds.entry, e), edited, as it was)`,
a *gate*. World w has entry e, the edit that is made in it, and no other. So upstream of a gate
nothing differs; what lies downstream differs in the worlds of the gates before it; and what only
the edited branch of a gate reads is needed in the worlds of that entry alone.

Where an edit is made at one position of an axis (`worlds.seq`), this also says how far along the
axis its effect has come: that position alone, all from it on (behind causal attention), or any.
Any other edit changes nothing before some first position; which one that is, a run tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from attrs import field, frozen

from graftwork.ir.graph import Graph, Node, Value
from graftwork.passes.edit import WORLDS
from graftwork.passes.masks import orders

ENTRY = "worlds.entry"
"""The input that tells which edit is made in a world."""


@frozen
class Extent:
    """Where a value differs from that of the unedited run.

    Attributes:
        axes: only where its position along one of these has reached that of the edit.
        single: only at that very position.
    """

    axes: frozenset[str]
    single: bool

    def renamed(self, names: Mapping[str, str]) -> Extent:
        return Extent(frozenset(names.get(axis, axis) for axis in self.axes), self.single)


ANYWHERE = None
Extents = Mapping[int, Extent | None]


def _union(a: Extent | None, b: Extent | None) -> Extent | None:
    if a is ANYWHERE or b is ANYWHERE:
        return ANYWHERE
    return Extent(a.axes | b.axes, a.single and b.single and a.axes == b.axes)


@frozen(eq=False)
class Facts:
    """What differs where.

    Attributes:
        gates: the selects that make an edit -> its entry.
        active: value -> the entries in whose worlds it differs and is needed, in order.
        extents: value -> entry -> where it differs.
        axis: the axis along which extents are known, if any.
    """

    gates: Mapping[Node, int]
    active: Mapping[Value, tuple[int, ...]]
    extents: Mapping[Value, Extents]
    axis: str | None

    def in_rows(self, value: Value) -> bool:
        """Whether a value may be held at the positions alone that its edits have reached."""
        return self.axis in value.type.axis_set and all(
            (extent := self.extents[value][entry]) is not None and extent.axes == {self.axis}
            for entry in self.active[value]
        )

    def singles(self, value: Value) -> tuple[bool, ...]:
        """For each active entry, whether only the edited position differs."""
        found = (self.extents[value][entry] for entry in self.active[value])
        return tuple(extent is not None and extent.single for extent in found)


def study(
    graph: Graph, entries: int, positions: str | None = None, axis: str | None = None
) -> Facts:
    """The facts of a sweep's graph.

    Args:
        entries: how many edits there are.
        positions: the input that holds the position of each world's edit along an axis.
        axis: one along which edits are known by their first position, if there is no such input.
    """
    forward = _walked(graph, entries, positions, axis)
    gates = forward.gates
    needed = _needed(graph, gates, frozenset(range(entries)))
    nothing: frozenset[int] = frozenset()
    active = {
        value: tuple(sorted(extents.keys() & needed.get(value, nothing)))
        for value, extents in forward.extents.items()
    }
    return Facts(gates, {v: e for v, e in active.items() if e}, forward.extents, forward.axis)


def reaches(graph: Graph, entries: int, positions: str) -> bool:
    """Whether the positions of edits bound how far their effects come, beyond the edit itself."""
    return _is_reached(study(graph, entries, positions))


def causal_axis(graph: Graph, entries: int) -> str | None:
    """An axis along which no edit has effects on what comes before it, if there is one."""
    queries = _walked(graph, entries, None, None).queries
    return next((a for a in queries if _is_reached(study(graph, entries, axis=a))), None)


def _is_reached(facts: Facts) -> bool:
    return any(facts.in_rows(v) and not all(facts.singles(v)) for v in facts.active)


def _walked(graph: Graph, entries: int, positions: str | None, axis: str | None) -> _Forward:
    ports = {port.name: port.value for port in graph.inputs}
    everywhere = frozenset(range(entries))
    forward = _Forward(graph, _gates(graph), everywhere, ports.get(positions or ""), axis)
    forward.run()
    return forward


def _gates(graph: Graph) -> dict[Node, int]:
    entry = next(port.value for port in graph.inputs if port.name == ENTRY)
    producer = graph.index.producer
    gates = {}
    for node in graph.nodes:
        test = producer.get(node.inputs[0]) if node.op.name == "select" else None
        if test is not None and test.op.name == "eq" and entry in test.inputs:
            (number,) = (producer[value] for value in test.inputs if value is not entry)
            gates[node] = int(number.attrs["value"].item())
    return gates


def _needed(
    graph: Graph, gates: Mapping[Node, int], everywhere: frozenset[int]
) -> Mapping[Value, frozenset[int]]:
    """Value -> the entries in whose worlds something reads it."""
    needed: dict[Value, frozenset[int]] = {port.value: everywhere for port in graph.outputs}

    def want(value: Value, entries: frozenset[int]) -> None:
        needed[value] = needed.get(value, frozenset()) | entries

    for node in reversed(graph.nodes):
        entries = reduce(frozenset.union, (needed.get(v, frozenset()) for v in node.outputs))
        if node in gates:
            _, edited, plain = node.inputs
            want(edited, entries & {gates[node]})
            want(plain, entries - {gates[node]})
        else:
            for value in node.inputs:
                want(value, entries)
    return needed


@frozen(eq=False)
class _Forward:
    """One walk that finds, for every value, the entries in which it differs, and where.

    Attributes:
        positions: the input with the position of each world's edit.
        known: the axis along which edits are known by their first position.
        hits: masks that are true only there.
        like: a value that is another one where a mask is false -> that other one.
        patterns: what a softmax gives -> key axis -> query axis, where no later key is seen.
        queries: the query axes of all such attention, in order.
    """

    graph: Graph
    gates: Mapping[Node, int]
    everywhere: frozenset[int]
    positions: Value | None
    known: str | None
    extents: dict[Value, Extents] = field(factory=dict)
    hits: set[Value] = field(factory=set)
    like: dict[Value, Value] = field(factory=dict)
    patterns: dict[Value, Mapping[str, str]] = field(factory=dict)
    axes: list[str] = field(factory=list)
    queries: dict[str, None] = field(factory=dict)

    @property
    def axis(self) -> str | None:
        """The axis of the positions, if it is one axis."""
        if self.known is not None:
            return self.known
        return self.axes[0] if len(set(self.axes)) == 1 else None

    def run(self) -> None:
        for port in self.graph.inputs:
            if WORLDS in port.value.axes:
                self.extents[port.value] = dict.fromkeys(self.everywhere, ANYWHERE)
        for node in self.graph.nodes:
            found = self._of(node)
            if found:
                self.extents.update(dict.fromkeys(node.outputs, found))

    def _of(self, node: Node) -> Extents:
        if node in self.gates:
            return self._at_gate(node, self.gates[node])
        behind = self._behind(node)
        self.queries.update(dict.fromkeys(behind.values()))
        entries = [entry for value in node.inputs for entry in self.extents.get(value, ())]
        if not entries:
            return {}
        if node.regions:
            return dict.fromkeys(entries, ANYWHERE)
        if (axis := self._hit(node)) is not None:
            self.axes.append(axis)
            self.hits.add(node.output)
            return dict.fromkeys(entries, Extent(frozenset({axis}), single=True))
        operands = self._that_matter(node)
        return {
            entry: self._through(node, [self.extents.get(v, {}) for v in operands], entry, behind)
            for entry in dict.fromkeys(entries)
        }

    def _hit(self, node: Node) -> str | None:
        """The axis along which a node compares positions with that of the edit."""
        if node.op.name != "eq" or self.positions not in node.inputs:
            return None
        (other,) = (value for value in node.inputs if value is not self.positions)
        counter = self.graph.index.producer.get(other)
        counts = counter is not None and counter.op.name == "iota"
        return str(counter.attrs["axis"]) if counter is not None and counts else None

    def _that_matter(self, node: Node) -> Iterable[Value]:
        """The operands whose differences reach the result."""
        if node.op.name == "and" and (hits := [v for v in node.inputs if v in self.hits]):
            self.hits.add(node.output)
            return hits[:1]
        if node.op.name == "select" and node.inputs[0] in self.hits:
            mask, _, other = node.inputs
            self.like[node.output] = self.like.get(other, other)
            return (mask, other)
        return node.inputs

    def _behind(self, node: Node) -> Mapping[str, str]:
        """Key axis -> query axis, of an attention or a part of one that sees no later key."""
        producer, name = self.graph.index.producer, node.op.name
        if name == "attention" and len(node.inputs) > 3 and node.inputs[3] not in self.extents:
            return {key: query for query, key in orders(producer, node.inputs[3])}
        if name == "softmax":
            found = {k: q for q, k in orders(producer, node.inputs[0]) if k == node.attrs["axis"]}
            self.patterns[node.output] = found
            return found
        if name in ("mul", "cast"):  # of a pattern: what is zero stays zero
            known = (self.patterns[v] for v in node.inputs if v in self.patterns)
            self.patterns[node.output] = next(known, {})
        if name == "contract":
            known = (self.patterns[v] for v in node.inputs if v in self.patterns)
            return {k: q for k, q in next(known, {}).items() if k in node.attrs["over"]}
        return {}

    def _through(
        self, node: Node, operands: Iterable[Extents], entry: int, behind: Mapping[str, str]
    ) -> Extent | None:
        """Where the result differs, given where the operands do."""
        extent = reduce(_union, [extents[entry] for extents in operands if entry in extents])
        bound = frozenset(node.op.named_axes(node.attrs))
        if extent is ANYWHERE or not extent.axes & bound:
            return extent
        if node.op.name == "rename":
            return extent.renamed(dict(node.attrs["axes"]))
        if extent.axes & bound <= behind.keys():
            return Extent(extent.renamed(behind).axes, single=False)
        return ANYWHERE

    def _at_gate(self, node: Node, entry: int) -> Extents:
        _, edited, plain = node.inputs
        found: dict[int, Any] = dict(self.extents.get(plain, {}))
        found[entry] = self._edited(edited, plain, entry)
        return found

    def _edited(self, edited: Value, plain: Value, entry: int) -> Extent | None:
        """Where an edit makes a difference, if it is made of what was; else from where on."""
        known = [self.extents.get(value, {}) for value in (edited, plain)]
        found = [extents[entry] for extents in known if entry in extents]
        if self.like.get(edited, edited) is self.like.get(plain, plain):
            return reduce(_union, found)
        if self.known is None or self.known not in plain.type.axis_set:
            return ANYWHERE
        onwards = Extent(frozenset({self.known}), single=False)
        return _union(known[1].get(entry, onwards), onwards)
