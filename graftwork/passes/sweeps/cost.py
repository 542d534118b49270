"""What a graph costs, counted on the graph: arithmetic, memory traffic, memory held at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

from attrs import frozen

from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.infer import expand
from graftwork.ir.size_values import evaluate
from graftwork.ir.types import Typing


@frozen
class Cost:
    """Counts of one run.

    Attributes:
        flops: floating-point operations; a multiplication and an addition are two.
        traffic: bytes that nodes read and write.
        peak: bytes that the values alive at once take, parameters not counted.
    """

    flops: int = 0
    traffic: int = 0
    peak: int = 0

    def __add__(self, other: Cost) -> Cost:
        peak = max(self.peak, other.peak)
        return Cost(self.flops + other.flops, self.traffic + other.traffic, peak)

    def times(self, count: int) -> Cost:
        """The cost of so many runs, one after another."""
        return Cost(self.flops * count, self.traffic * count, self.peak)


@frozen
class Plan:
    """What a sweep costs, and what it would cost otherwise.

    Attributes:
        worlds: how many edits there are.
        chunks: in how many parts they run.
        steps: a way to compute them -> its cost; each also saves what those before it do.
    """

    worlds: int
    chunks: int
    steps: Mapping[str, Cost]

    def __str__(self) -> str:
        most = next(iter(self.steps.values())).flops
        lines = [f"worlds: {self.worlds}, chunks: {self.chunks}"]
        lines += [
            f"  {word:<34} {found.flops / 1e9:>12,.3f} GFLOP  {found.traffic / 1e9:>10,.3f} GB"
            f"  {most / max(found.flops, 1):>6.1f} x"
            for word, found in self.steps.items()
        ]
        return "\n".join(lines)


def cost(graph: Graph, symbols: Mapping[str, int]) -> Cost:
    """What a run costs at these sizes. A loop without a known length counts as one step."""
    counter = _Counter(Typing(graph.axes), symbols)
    total = counter.nodes(graph.nodes)
    return Cost(total.flops, total.traffic, counter.peak(graph))


def peak(graph: Graph, symbols: Mapping[str, int]) -> int:
    """The bytes that the values of a run take at once, parameters not counted."""
    return _Counter(Typing(graph.axes), symbols).peak(graph)


class _Counter:
    def __init__(self, typing: Typing, symbols: Mapping[str, int]) -> None:
        self.typing = typing
        self.symbols = symbols
        self.extents: dict[str, int] = {}

    def extent(self, axes: Iterable[str]) -> int:
        for axis in axes:
            if axis not in self.extents:
                self.extents[axis] = evaluate(self.typing.size(axis), self.symbols)
        return prod(self.extents[axis] for axis in axes)

    def bytes(self, value: Value) -> int:
        return self.extent(value.axes) * value.type.dtype.numpy.itemsize

    def nodes(self, nodes: Iterable[Node]) -> Cost:
        total = Cost()
        for node in nodes:
            total = total + self.node(node)
        return total

    def node(self, node: Node) -> Cost:
        if "view" in node.op.traits:
            return Cost()
        traffic = sum(map(self.bytes, (*node.inputs, *node.outputs)))
        return Cost(self.flops(node), traffic)

    def flops(self, node: Node) -> int:
        if node.regions:
            axis = node.attrs.as_dict().get("axis")
            steps = self.extent((axis,)) if isinstance(axis, str) else 1
            return steps * sum(self.nodes(region.nodes).flops for region in node.regions)
        if node.op.name in ("contract", "conv"):
            axes = {axis for value in (*node.inputs, *node.outputs) for axis in value.axes}
            if node.op.name == "conv":
                axes -= {str(axis) for axis in node.attrs["axes"]}
            return 2 * self.extent(axes)
        if node.op.body is not None:
            body = expand(self.typing, node.op, node.attrs, [v.type for v in node.inputs])
            inner = _Counter(body.typing, self.symbols)
            return inner.nodes(body.region.nodes).flops
        if node.op.name in ("constant", "iota", "gather", "concat", "broadcast"):
            return 0
        return max(self.extent(value.axes) for value in (*node.inputs, *node.outputs))

    def peak(self, graph: Graph) -> int:
        """The most that is alive at once, if what nobody reads any more is given back."""
        last: dict[Value, int] = {}
        for position, node in enumerate(graph.nodes):
            last.update(dict.fromkeys((*node.inputs, *node.outputs), position))
        last |= {port.value: len(graph.nodes) for port in graph.outputs}
        made: dict[Value, int] = {}
        alive = peak = 0
        for position, node in enumerate(graph.nodes):
            held = "view" not in node.op.traits and node.op.name != "broadcast"
            made |= {value: self.bytes(value) if held else 0 for value in node.outputs}
            alive += sum(made[value] for value in node.outputs)
            peak = max(peak, alive)
            ended = {v for v in (*node.inputs, *node.outputs) if last[v] == position}
            alive -= sum(made.pop(value, 0) for value in ended)
        return peak
