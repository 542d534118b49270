"""Folding value biases: each row of a pattern sums to one, so what is added to all values is added
to their average, and the output projection makes a part of its own bias of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.errors import RewriteError
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.passes.attention import PRODUCTS
from graftwork.passes.base import Pass
from graftwork.passes.weights.fold import folded
from graftwork.passes.weights.readers import parameter_views

VIEWS = frozenset({"rename", "split", "merge", "slice", "index", "broadcast", "cast"})


@frozen
class FoldValueBiases(Pass):
    """Add what value biases come to, `b_V W_O`, to the output bias, and leave them out.

    Attributes:
        whole_rows: your word that no query has all of its keys masked. Such a query averages
            nothing, in some models, and then the bias is not in its output.

    Raises:
        RewriteError: if no attention has a value bias that can be folded; names the reasons.
    """

    promise: ClassVar[str] = "tolerance"

    whole_rows: bool = False

    def __call__(self, graph: Graph) -> Graph:
        rewriter = Rewriter(graph, "FoldValueBiases")
        reasons: list[str] = []
        count = 0
        for node in graph.nodes:
            if node.op.name != "attention":
                continue
            found = self._route(graph, node)
            if isinstance(found, str):
                reasons.append(f"{node.origin.module or 'attention'}: {found}")
                continue
            count += 1
            source, views, product = found
            over = source.attrs["over"]
            rewriter.replace(source, lambda x, w, _, over=over: ops.linear(x, w, over=over))
            rewriter.replace(product, _Shift(source.inputs[2], views, product, graph))
        if not count:
            told = "; ".join(reasons) or "no attention composite is there"
            raise RewriteError(f"FoldValueBiases: no value bias can be folded ({told})")
        return folded(rewriter.finish(), "FoldValueBiases")

    def _route(self, graph: Graph, node: Node) -> tuple[Node, Sequence[Node], Node] | str:
        """From the linear that makes values to the product that reads `z`; or why there is none."""
        index = graph.index
        if len(node.inputs) > 3 and node.attrs["masked_rows"] == "zero" and not self.whole_rows:
            return "a query whose keys are all masked would change; whole_rows=True says none is"
        before: list[Node] = []
        source = index.producer.get(node.inputs[2])
        while source is not None and source.op.name in VIEWS:
            before.insert(0, source)
            source = index.producer.get(source.inputs[0])
        weights = parameter_views(graph)
        if source is None or source.op.name != "linear" or len(source.inputs) < 3:
            return "its values come from no linear with a bias"
        if source.inputs[2] not in weights:
            return "its value bias is computed"
        views = [*before, node]
        users = index.users_of(node.output)
        while len(users) == 1 and users[0].op.name in VIEWS:
            views.append(users[0])
            users = index.users_of(users[0].output)
        read = [n for n in users if n.op.name in PRODUCTS and n.inputs[1] in weights]
        if any(len(index.users_of(v)) != 1 for n in (source, *views) for v in n.outputs):
            return "something else reads its values (apply SplitQKV first to a fused projection)"
        if any(v in index.outputs for n in (source, *views) for v in n.outputs):
            return "its values, or what it makes of them, are outputs of the graph"
        if not read:
            return "what it gives is not read by one linear map of weights alone"
        return source, views, read[0]


@frozen(eq=False)
class _Shift:
    """The product that reads `z`, with a bias of what the value bias comes to there."""

    bias: Value
    views: Sequence[Node]
    product: Node
    graph: Graph

    def __call__(self, *operands: Term) -> Term:
        x, w, *c = operands
        shift = Term(self.bias, x.builder)
        for view in self.views:
            shift = _seen(view, shift)
        over = self.product.attrs["over"]
        part = ops.contract(shift.broadcast(*over), w, over=over)
        return ops.linear(x, w, c[0] + part if c else part, over=over)


_TAKES: Mapping[str, str] = {"split": "axis", "slice": "axis", "index": "axis"}


def _seen(view: Node, x: Term) -> Term:
    """What a view makes of something that is the same at every position it lacks."""
    attrs = view.attrs.as_dict()
    if view.op.name == "rename":
        here = {old: new for old, new in view.attrs["axes"] if old in x.type.axis_set}
        return x.rename(**here)
    if view.op.name == "merge":
        if x.type.axis_set.isdisjoint(attrs["axes"]):
            return x
        return view.op(x.broadcast(*attrs["axes"]), **attrs)
    if view.op.name == "cast":
        return view.op(x, **attrs)
    taken = _TAKES.get(view.op.name)
    return view.op(x, **attrs) if taken is not None and attrs[taken] in x.type.axis_set else x
