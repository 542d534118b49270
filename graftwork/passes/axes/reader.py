"""A graph as those who look for structure read it: producers, users and facts at all levels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from graftwork.ir.graph import Graph, Node, Value
from graftwork.passes.attention import Attention, attentions, passes
from graftwork.passes.axes.facts import facts


class Reader:
    """Questions about a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = tuple(graph.walk())
        self.facts = tuple(facts(graph))
        self.inputs = frozenset(port.value for port in graph.inputs)
        self.weights = {parameter.value for parameter in graph.parameters}
        self.makers: dict[Value, Node] = {}
        self.readers: defaultdict[Value, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for value in node.outputs:
                self.makers[value] = node
            for value in dict.fromkeys(node.inputs):
                self.readers[value].append(node)
            for region in node.regions:
                given = zip(node.inputs[-len(region.inputs) :], region.inputs, strict=False)
                self.weights |= {inside for outside, inside in given if outside in self.weights}

    def named(self, *ops: str) -> Iterator[Node]:
        """The nodes of some ops."""
        return (node for node in self.nodes if node.op.name in ops)

    def source(self, value: Value) -> Value:
        """What a value is a view or a pointwise function of; of several operands the first."""
        while (node := self.makers.get(value)) is not None and passes(node):
            value = node.inputs[0]
        return value

    def products(self) -> Iterator[tuple[Node, Value]]:
        """Contractions with a weight, and the weight as it is contracted."""
        for node in self.named("contract", "linear"):
            for value in node.inputs[:2]:
                if self.source(value) in self.weights:
                    yield node, value

    def lookups(self) -> Iterator[tuple[Value, str, Value]]:
        """A table, the axis of its rows, and the numbers that rows are taken by."""
        for node in self.named("embedding"):
            yield node.inputs[0], node.attrs["axis"], node.inputs[1]
        for node in self.named("gather"):
            table, axes = node.inputs[0], node.attrs["axes"]
            if len(axes) == 1 and len(table.axes) == 2 and self.source(table) in self.weights:
                yield table, axes[0], node.inputs[1]

    def attentions(self) -> Iterator[Attention]:
        """Attention, whole or written out."""
        return attentions(self.nodes, self.makers, self.readers.__getitem__)
