"""A graph as those who look for structure read it: producers, users and facts at all levels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from attrs import frozen

from graftwork.ir.graph import Graph, Node, Value
from graftwork.passes.axes.facts import facts


class Reader:
    """Questions about a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = tuple(graph.walk())
        self.facts = tuple(facts(graph))
        self.inputs = frozenset(port.value for port in graph.inputs)
        self.weights = frozenset(parameter.value for parameter in graph.parameters)
        self.makers: dict[Value, Node] = {}
        self.readers: defaultdict[Value, list[Node]] = defaultdict(list)
        for node in self.nodes:
            self.makers |= dict.fromkeys(node.outputs, node)
            for value in dict.fromkeys(node.inputs):
                self.readers[value].append(node)

    def named(self, *ops: str) -> Iterator[Node]:
        """The nodes of some ops."""
        return (node for node in self.nodes if node.op.name in ops)

    def source(self, value: Value) -> Value:
        """What a value is a view or a pointwise function of; of several operands the first."""
        while (node := self.makers.get(value)) is not None and _passes(node):
            value = node.inputs[0]
        return value

    def products(self) -> Iterator[tuple[Node, Value]]:
        """Contractions with a weight, and the weight as it is contracted."""
        for node in self.named("contract", "linear"):
            for value in node.inputs[:2]:
                if self.source(value) in self.weights:
                    yield node, value

    def attentions(self) -> Iterator[Attention]:
        """Composites, and softmaxes along a key axis between two contractions."""
        for node in self.named("attention"):
            q, k, v = node.inputs[:3]
            yield Attention(q, k, v, node.attrs["over"], node.attrs["key"])
        for node in self.named("softmax"):
            key = node.attrs["axis"]
            scores = self._scores(node.inputs[0], key)
            read = self._reading(node.output, key)
            if scores is not None and read is not None:
                a, b = scores.inputs
                q, k = (a, b) if key in b.axes else (b, a)
                first, second = read.inputs
                v = second if self.source(first) is self.source(node.output) else first
                yield Attention(q, k, v, scores.attrs["over"][0], key)

    def _scores(self, value: Value, key: str) -> Node | None:
        """The contraction that makes the key axis of attention scores."""
        stack, seen = [value], {value}
        while stack:
            node = self.makers.get(stack.pop())
            if node is None:
                continue
            if node.op.name == "contract" and len(node.attrs["over"]) == 1:
                if sum(key in x.type.axis_set for x in node.inputs) == 1:
                    return node
            elif _passes(node):
                new = [x for x in node.inputs if key in x.type.axis_set and x not in seen]
                seen.update(new)
                stack += new
        return None

    def _reading(self, value: Value, key: str) -> Node | None:
        """The contraction of a pattern with the values."""
        while True:
            users = self.readers[value]
            for node in users:
                if node.op.name == "contract" and key in node.attrs["over"]:
                    return node
            step = next((n for n in users if _passes(n) and key in n.output.type.axis_set), None)
            if step is None:
                return None
            value = step.output


@frozen(eq=False)
class Attention:
    """Queries, keys and values as they meet in one attention."""

    q: Value
    k: Value
    v: Value
    over: str
    key: str


def _passes(node: Node) -> bool:
    """Whether a node looks at each position of its operands alone."""
    return bool(node.inputs) and bool(node.op.traits & {"elementwise", "view"})
