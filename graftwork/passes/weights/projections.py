"""Fused projections taken apart: slices of a weight in the place of slices of what it gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.errors import RewriteError
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.passes.attention import PRODUCTS, attentions
from graftwork.passes.base import Pass
from graftwork.passes.cleanup import DropDead
from graftwork.passes.weights.fold import folded

PACKING = frozenset({"split", "slice", "index"})


@frozen
class SplitQKV(Pass):
    """Make three linears of one that gives queries, keys and values together.

    Whatever the order of packing is (one after the other, head by head), the splits and slices
    that tell them apart are carried out on the weight and the bias instead, which become
    `c_attn.weight.q`, `c_attn.weight.k` and so on.

    Raises:
        RewriteError: if no attention has a fused projection, or one is read by something else
            before it is taken apart.
    """

    promise: ClassVar[str] = "tolerance"

    def __call__(self, graph: Graph) -> Graph:
        words = _words(graph)
        weights = {p.value: p.name for p in graph.parameters}
        rewriter = Rewriter(graph, "SplitQKV")
        names: dict[Value, str] = {}
        fused = [
            node
            for node in graph.nodes
            if node.op.name == "linear" and len(words.get(node.output, ())) > 1
            and node.inputs[1] in weights
        ]  # fmt: skip
        if not fused:
            raise RewriteError("SplitQKV: no attention takes its parts from one linear")
        for node in fused:
            for word, chain in _leaves(graph, node, words):
                rewriter.replace(chain[-1], _Part(node, chain, word, weights, names))
        return folded(DropDead()(rewriter.finish()), "SplitQKV", names)


def _words(graph: Graph) -> dict[Value, set[str]]:
    """Which of q, k and v a value becomes, back to the products that make it."""
    index = graph.index
    found: dict[Value, set[str]] = {}
    for each in attentions(graph.nodes, index.producer, index.users_of):
        for word, end in (("q", each.q), ("k", each.k), ("v", each.v)):
            stack = [end]
            while stack:
                value = stack.pop()
                here = found.setdefault(value, set())
                node = index.producer.get(value)
                if word not in here and node is not None and node.op.name not in PRODUCTS:
                    stack.extend(node.inputs)
                here.add(word)
    return found


def _leaves(
    graph: Graph, fused: Node, words: dict[Value, set[str]]
) -> Iterator[tuple[str, tuple[Node, ...]]]:
    """The views that lead from a fused projection to queries, keys or values alone."""
    packed = fused.inputs[1].type.axis_set - frozenset(fused.attrs["over"])
    stack: list[tuple[Value, tuple[Node, ...]]] = [(fused.output, ())]
    while stack:
        value, chain = stack.pop()
        for node in graph.index.users_of(value):
            made = frozenset(a for before in chain for a in before.output.axes)
            taken = str(node.attrs["axis"]) if node.op.name in PACKING else ""
            if taken not in packed | made or taken in fused.inputs[0].type.axis_set:
                raise RewriteError(
                    f"SplitQKV: {node.op.name} (from {node.origin}) reads the fused projection "
                    f"of {fused.origin.module or 'the graph'} before it is taken apart"
                )
            whose = words.get(node.output, set())
            if len(whose) == 1:
                yield next(iter(whose)), (*chain, node)
            else:
                stack.append((node.output, (*chain, node)))


@frozen(eq=False)
class _Part:
    """The linear that gives queries, keys or values, where the last view gave them."""

    fused: Node
    chain: tuple[Node, ...]
    word: str
    weights: dict[Value, str]
    names: dict[Value, str]

    def __call__(self, whole: Term) -> Term:
        x, *affine = self.fused.inputs
        parts = []
        for value in affine:
            term = Term(value, whole.builder)
            for view in self.chain:
                if view.attrs["axis"] in term.type.axis_set:
                    term = view.op(term, **view.attrs.as_dict())
            if value in self.weights:
                self.names[term.value] = f"{self.weights[value]}.{self.word}"
            parts.append(term)
        return ops.linear(Term(x, whole.builder), *parts, over=self.fused.attrs["over"])
