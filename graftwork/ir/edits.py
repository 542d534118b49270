"""Carrying out edits of a graph: one walk over a level, the top or a region.

Nodes that an edit does not touch are shared with the old graph; nodes whose operands changed type
are inferred again; edited values are followed by the sub-graphs that define them anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import define, evolve, field, frozen

from graftwork.ir.captures import captured
from graftwork.ir.graph import Graph, Node, Region, Value, walk
from graftwork.ir.infer import infer
from graftwork.ir.op import REGISTRY
from graftwork.ir.origin import UNKNOWN
from graftwork.ir.sites import Place, Sites
from graftwork.ir.types import Typing


@frozen(eq=False)
class Interposed:
    """A sub-graph from `raw` to `result`, which takes the place of a value."""

    raw: Value
    nodes: tuple[Node, ...]
    result: Value
    reads: tuple[Value, ...]


@define(eq=False)
class Edits:
    """What is to be done to a graph.

    Attributes:
        typing: the axis table, which the edits may have extended.
        by: the pass that edits, for the origins of what it makes.
        interposed: value -> the sub-graphs that define it from what its producer gives, in order.
        aliases: value -> what its readers shall read.
    """

    typing: Typing
    by: str
    interposed: dict[Value, list[Interposed]] = field(factory=dict)
    aliases: dict[Value, Value] = field(factory=dict)


def _twins(old: Sequence[Region], new: Sequence[Region]) -> Iterator[tuple[Value, Value]]:
    """The values of regions, and those of the same regions at other types; node by node."""
    for before, after in zip(old, new, strict=True):
        if before is after:
            continue
        yield from zip(before.inputs, after.inputs, strict=True)
        for node, twin in zip(before.nodes, after.nodes, strict=False):
            yield from zip(node.outputs, twin.outputs, strict=True)
            yield from _twins(node.regions, twin.regions)


class Level:
    """The walk over one level of the graph: the top, or one region."""

    def __init__(self, edits: Edits) -> None:
        self.edits = edits
        self.env: dict[Value, Value] = {}
        self.raws: dict[Value, Value] = {}
        self.out: list[Node] = []
        self.entered: list[Value] = []

    def mapped(self, value: Value) -> Value:
        """What stands for an old value now."""
        aliases = self.edits.aliases
        while True:
            if value in self.env:
                value = self.env[value]
            elif value in aliases:
                value = aliases[value]
            else:
                return value

    def raw(self, value: Value) -> Value:
        return self.raws.get(value, value)

    def enter(self, value: Value) -> None:
        """Meet a value that comes from outside."""
        self.entered.append(self._raw_of(value))
        self._interpose(value)

    def run(self, nodes: Sequence[Node]) -> tuple[Node, ...]:
        interposed = self.edits.interposed
        if not interposed and not self.edits.aliases and not self.env:
            return tuple(nodes)
        for node in nodes:
            self._emit(node)
            if interposed:
                for value in node.outputs:
                    self._interpose(value)
        return tuple(self.out)

    def _raw_of(self, value: Value) -> Value:
        chain = self.edits.interposed.get(value)
        if not chain:
            return value
        self.raws[value] = chain[0].raw
        return chain[0].raw

    def _emit(self, node: Node) -> None:
        """Append a node, rebuilt where what it reads or defines has changed."""
        regions = self._regions(node)
        if regions is not node.regions and (taken := captured(node, regions)):
            inputs, regions = taken
            node = evolve(node, inputs=inputs)
        inputs = node.inputs
        if self.env or self.edits.aliases:
            inputs = tuple([self.mapped(value) for value in inputs])
        outputs = tuple([self._raw_of(value) for value in node.outputs])
        if inputs == node.inputs and outputs == node.outputs and regions is node.regions:
            self.out.append(node)
            return
        if regions is node.regions and all(
            new is old or new.type.same(old.type)
            for new, old in zip(inputs, node.inputs, strict=True)
        ):
            self.out.append(Node(node.op, inputs, outputs, node.attrs, regions, node.origin))
            return
        self._retype(node, inputs, outputs, regions)

    def _retype(
        self,
        node: Node,
        inputs: tuple[Value, ...],
        outputs: tuple[Value, ...],
        regions: tuple[Region, ...],
    ) -> None:
        """Infer a node again on operands of other types."""
        types = [value.type for value in inputs]
        typing = self.edits.typing
        if regions and node.op.fit is not None:
            fitted = tuple(node.op.fit(typing, regions, types, **node.attrs.as_dict()))
            self.env |= dict(_twins(regions, fitted))
            regions = fitted
        results = infer(typing, node.op, node.attrs, types, regions)
        new: list[Value] = []
        for old, raw, result in zip(node.outputs, outputs, results, strict=True):
            if result.same(old.type):
                new.append(raw)
                continue
            value = Value(result, raw.name)
            self.env[raw] = value
            new.append(value)
        origin = node.origin.through(self.edits.by)
        self.out.append(Node(node.op, inputs, tuple(new), node.attrs, regions, origin))

    def _interpose(self, value: Value) -> None:
        """Append the sub-graphs that define a value from its raw self."""
        chain = self.edits.interposed.get(value)
        if not chain:
            return
        current = self.mapped(chain[0].raw)
        for entry in chain:
            if entry.raw is not current:
                self.env[entry.raw] = current
            for node in entry.nodes:
                self._emit(node)
            current = self.mapped(entry.result)
        self._settle(value, current, chain)

    def _settle(self, value: Value, result: Value, chain: list[Interposed]) -> None:
        """Let the edited value go by its old identity, or by a new one if its type is new."""
        name = REGISTRY["rename"]
        origin = self.out[-1].origin if self.out else UNKNOWN.through(self.edits.by)
        target = value if result.type.same(value.type) else Value(result.type, value.name)
        if target is not value:
            self.env[value] = target
        last = self.out[-1] if self.out else None
        if last is not None and chain[-1].nodes and last.outputs == (result,):
            self.out[-1] = evolve(last, outputs=(target,))
        else:  # the edit gives back something that has a name of its own
            attrs = name.attributes({"axes": {}})
            self.out.append(Node(name, (result,), (target,), attrs, (), origin))

    def _regions(self, node: Node) -> tuple[Region, ...]:
        """The regions of a node, with the edits of values inside them carried out."""
        if not node.regions or not self.edits.interposed:
            return node.regions
        changed = tuple(self._region(region) for region in node.regions)
        same = all(a is b for a, b in zip(changed, node.regions, strict=True))
        return node.regions if same else changed

    def _region(self, region: Region) -> Region:
        interposed = self.edits.interposed
        inside = {v for node in walk(region.nodes) for v in node.outputs} | set(region.inputs)
        inside |= {v for node in walk(region.nodes) for r in node.regions for v in r.inputs}
        edited = [value for value in interposed if value in inside]
        if not edited:
            return region
        level = Level(self.edits)
        for value in region.inputs:
            level.enter(value)
        nodes = level.run(region.nodes)
        outputs = tuple(level.mapped(value) for value in region.outputs)
        self.raws |= level.raws
        self.env |= level.env
        return Region(tuple(level.raw(v) for v in region.inputs), nodes, outputs)


def with_values(node: Node, mapping: Mapping[Value, Value]) -> Node:
    """The node with others in the place of some of its values."""
    inputs = tuple([mapping.get(v, v) for v in node.inputs])
    outputs = tuple([mapping.get(v, v) for v in node.outputs])
    return Node(node.op, inputs, outputs, node.attrs, node.regions, node.origin)


def reading(node: Node, instead: Mapping[Value, Value]) -> Node:
    """The node with others in the place of some of what it reads; itself if it reads none."""
    inputs = tuple([instead.get(value, value) for value in node.inputs])
    return node if inputs == node.inputs else evolve(node, inputs=inputs)


def moved_sites(
    graph: Graph,
    level: Level,
    entries: Iterable[Value],
    opened: Mapping[Value, Mapping[str, Value]],
) -> Sites:
    """The sites and spans of values that still exist, where they are after a walk.

    Args:
        graph: the edited graph, with the sites of before.
        level: the walk that made it.
        entries: values that no node defines.
        opened: the values inside composites that were opened, by the composite's output.
    """
    old = graph.sites
    if not old.table and not old.spans:
        return old
    alive = {*entries, *(v for node in graph.walk() for v in node.outputs)}
    alive |= {v for node in graph.walk() for r in node.regions for v in r.inputs}

    def moved(place: Place) -> Place | None:
        value, inner = place.value, place.inner
        while inner and value in opened:
            value, inner = opened[value][inner[0]], inner[1:]
        if inner:  # the composite defines the raw value now, if an edit stands behind it
            value = level.raw(value)
        value = level.mapped(value)
        return Place(value, inner, place.steps) if value in alive else None

    return old.moved(moved)
