"""Adapters merged into the weights that they stand beside: x W + s (x A) B is x (W + s A B)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.errors import RewriteError
from graftwork.ir.graph import Graph, Node, Parameter, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.passes.base import Pass
from graftwork.passes.cleanup import DropDead
from graftwork.passes.linears import weight_at
from graftwork.passes.masks import number
from graftwork.passes.weights.fold import folded
from graftwork.passes.weights.ties import require_own

Weights = Mapping[Value, Parameter]


@frozen
class MergeLoRA(Pass):
    """Add low-rank adapters to the weights beside them, and leave their parameters out.

    Adapters are found by structure: two products of weights, one after the other, added to a
    product of the same input. So those of a converted model are found as well as those that
    `LoRA` makes. Dropout on the way is left out, as it is in inference, and so is the input that
    nothing draws by any more.

    Raises:
        RewriteError: if there is no adapter, one that is called `lora` cannot be merged, or its
            weight is tied; names what stands in the way.
    """

    promise: ClassVar[str] = "tolerance"

    def __call__(self, graph: Graph) -> Graph:
        rewriter = Rewriter(graph, "MergeLoRA")
        weights = {p.value: p for p in graph.parameters}
        merged: dict[tuple[Node, int], list[_Adapter]] = {}
        for adapter in _adapters(graph, weights):
            beside = _product(graph, weights, adapter)
            if not isinstance(beside, str):
                merged.setdefault(beside, []).append(adapter)
                rewriter.substitute(adapter.sum.output, adapter.beside)
            elif "lora" in adapter.a.name.lower():
                raise RewriteError(f"MergeLoRA: {adapter.a.name!r} cannot be merged: {beside}")
        if not merged:
            raise RewriteError("MergeLoRA: nothing in the graph is a low-rank adapter of a weight")
        for (product, place), adapters in merged.items():
            require_own(graph, product.inputs[place], "MergeLoRA")
            rewriter.replace(product, _Merged(product, place, tuple(adapters)))
        new = folded(DropDead()(rewriter.finish()), "MergeLoRA")
        idle = _read(graph) - _read(new)
        return new.evolve(inputs=tuple(port for port in new.inputs if port.value not in idle))


@frozen(eq=False)
class _Adapter:
    """`beside + scale * b (a x)`.

    Attributes:
        sum: the node that adds it.
        beside: what it is added to.
        x: what it reads, and what that is behind casts and dropout.
        over: the axes of x that a contracts.
        rank: the axis between a and b.
    """

    sum: Node
    beside: Value
    a: Parameter
    b: Parameter
    x: frozenset[Value]
    over: frozenset[str]
    rank: str
    scale: float


@frozen(eq=False)
class _Merged:
    """A product whose weight, one of its operands, has its adapters in it."""

    product: Node
    place: int
    adapters: tuple[_Adapter, ...]

    def __call__(self, *operands: Term) -> Term:
        weight = whole = operands[self.place]
        for each in self.adapters:
            a, b = (Term(p.value, weight.builder) for p in (each.a, each.b))
            update = ops.contract(b, a, over=each.rank) * each.scale
            whole = whole.cast(update.dtype) + update
        merged = [*operands]
        merged[self.place] = whole.cast(weight.dtype)
        return self.product.op(*merged, **self.product.attrs.as_dict())


def _read(graph: Graph) -> set[Value]:
    return {v for node in graph.nodes for v in node.inputs}


def _adapters(graph: Graph, weights: Weights) -> Iterator[_Adapter]:
    """Everything that two products of weights alone make of a value and that is added to one."""
    made = graph.index.producer.get
    for node in graph.nodes:
        for beside, update in (node.inputs, node.inputs[::-1]) if node.op.name == "add" else ():
            value, outer = _unscaled(graph, update)
            up = made(value)
            if up is None or len(up.inputs) != 2 or weight_at(up, weights) != 1:
                continue
            value, inner = _unscaled(graph, up.inputs[0])
            down = made(value)
            if down is None or len(down.inputs) != 2 or weight_at(down, weights) != 1:
                continue
            over, (rank, *more) = frozenset(down.attrs["over"]), up.attrs["over"]
            a, b = weights[down.inputs[1]], weights[up.inputs[1]]
            if not more and a.value.type.axis_set == over | {rank}:
                x = frozenset(_behind(graph, down.inputs[0], dropped=True))
                yield _Adapter(node, beside, a, b, x, over, rank, outer * inner)


def _unscaled(graph: Graph, value: Value) -> tuple[Value, float]:
    """A value behind casts and constant factors, and their product."""
    scale = 1.0
    while (node := graph.index.producer.get(value)) is not None:
        factors = [number(graph.index.producer, v) for v in node.inputs]
        if node.op.name == "cast":
            (value,) = node.inputs
        elif node.op.name == "mul" and factors.count(None) == 1:
            value = node.inputs[factors.index(None)]
            scale *= next(factor for factor in factors if factor is not None)
        else:
            break
    return value, scale


def _behind(graph: Graph, value: Value, dropped: bool) -> list[Value]:
    """A value, and what it is of behind casts and, if that counts as the same, dropout."""
    made = graph.index.producer.get
    chain = [value]
    while (node := made(chain[-1])) is not None:
        kept = made(node.inputs[1]) if node.op.name == "select" and dropped else None
        if node.op.name == "cast":
            chain.append(node.inputs[0])
        elif kept is not None and kept.op.name == "div" and _is_drawn(graph, node.inputs[0]):
            chain.append(kept.inputs[0])
        else:
            break
    return chain


def _is_drawn(graph: Graph, condition: Value) -> bool:
    """Whether a condition is that of dropout: a uniform number below a constant."""
    node = graph.index.producer.get(condition)
    drawn = graph.index.producer.get(node.inputs[0]) if node is not None else None
    return drawn is not None and drawn.op.name == "random_uniform"


def _product(graph: Graph, weights: Weights, adapter: _Adapter) -> tuple[Node, int] | str:
    """The product that an adapter stands beside and which operand of it is the weight; or why not.

    Nothing but sums may stand between, and nothing else may read them.
    """
    links = {adapter.beside: adapter.sum}
    stack = [adapter.beside]
    while stack:
        value = stack.pop()
        node = graph.index.producer.get(value)
        place = None if node is None else _fitting(graph, weights, node, adapter)
        if node is None or (place is None and node.op.name != "add"):
            continue
        others = [n.op.name for n in graph.index.users_of(value) if n is not links[value]]
        others += ["an output"] if value in graph.index.outputs else []
        if others:
            return f"what it is added to is read before by {', '.join(others)}"
        if place is not None:
            return node, place
        links |= dict.fromkeys(node.inputs, node)
        stack.extend(node.inputs)
    return "it is not added to a product of its own input with a weight"


def _fitting(graph: Graph, weights: Weights, node: Node, adapter: _Adapter) -> int | None:
    """Which operand of a product of the same input is a weight that an adapter can be added to."""
    place = weight_at(node, weights)
    if place is None or frozenset(node.attrs["over"]) != adapter.over:
        return None
    update = (adapter.a.value.type.axis_set | adapter.b.value.type.axis_set) - {adapter.rank}
    same = update == node.inputs[place].type.axis_set
    reads = _behind(graph, node.inputs[1 - place], dropped=False)
    return place if same and not adapter.x.isdisjoint(reads) else None
