"""Folding the gain and the bias of a norm into the weights that read it.

With `y = n w + b`, a reader `W y + c` is `(W w) n + (c + W b)`; the norm is left bare.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.errors import RewriteError, SelectionError
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.select import require
from graftwork.passes.base import Pass
from graftwork.passes.edit import Site
from graftwork.passes.sites.stream import NORMS
from graftwork.passes.weights.fold import folded
from graftwork.passes.weights.readers import Reader, is_output, parameter_views, readers, weight_of
from graftwork.passes.weights.ties import require_own


@frozen
class FoldNorms(Pass):
    """Multiply the gains of norms into the linears that read them, and add their biases there.

    A norm is folded if linears alone read it. The site of its output then has the normalised
    stream. Norms in the bodies of loops stay.

    Attributes:
        site: what the norms give (`blocks.*.attn.in`, `final_norm`, a module); if None, every
            norm that can be folded; see `norms_that_stay` for the others.

    Raises:
        RewriteError: if a selected norm cannot be folded, or none can; names the reason. If a
            weight that would change is tied.
    """

    promise: ClassVar[str] = "tolerance"

    site: Site | None = None

    def __call__(self, graph: Graph) -> Graph:
        weights = parameter_views(graph)
        rewriter = Rewriter(graph, "FoldNorms")
        makers: dict[Node, list[_Fold]] = {}
        for norm in self._norms(graph):
            for reader in readers(graph, norm.output, norm.attrs["over"]):
                weight = weight_of(reader, weights)
                assert weight is not None
                require_own(graph, weights[weight], "FoldNorms")
                makers.setdefault(reader.node, []).append(_Fold(norm, reader, weight))
            rewriter.replace(norm, lambda x, *gains, norm=norm: _bare(norm, x))
        for node, (fold, *_) in makers.items():
            rewriter.replace(node, fold)
        return folded(rewriter.finish(), "FoldNorms")

    def _norms(self, graph: Graph) -> list[Node]:
        reasons = norms_that_stay(graph)
        norms = {n.output: n for n in graph.nodes if n.op.name in NORMS}
        if self.site is None:
            found = [n for n in norms.values() if _title(graph, n) not in reasons]
            if not found:
                told = "; ".join(f"{name}: {why}" for name, why in reasons.items())
                raise RewriteError(f"FoldNorms: no norm can be folded ({told or 'there is none'})")
            return found
        chosen = []
        for place in require(graph, self.site):
            norm = norms.get(place.place.value)
            if norm is None or place.place.inner:
                raise SelectionError(f"FoldNorms: {place.name} is not what a norm gives")
            why = reasons.get(_title(graph, norm))
            if why is not None:
                raise RewriteError(f"FoldNorms: {place.name} cannot be folded: {why}")
            chosen.append(norm)
        return chosen


def norms_that_stay(graph: Graph) -> Mapping[str, str]:
    """The norms that cannot be folded into their readers: site or module -> why."""
    weights = parameter_views(graph)
    found = {}
    for norm in graph.nodes:
        if norm.op.name in NORMS and (why := _obstacle(graph, norm, weights)) is not None:
            found[_title(graph, norm)] = why
    return found


def _obstacle(graph: Graph, norm: Node, weights: Mapping[Value, Value]) -> str | None:
    """Why a norm cannot be folded."""
    gains = norm.inputs[1:]
    if not gains:
        return "it has neither gain nor bias"
    over = frozenset(norm.attrs["over"])
    if any(v not in weights or not v.type.axis_set <= over for v in gains):
        return "its gain or bias is computed"
    if is_output(graph, norm.output, norm.attrs["over"]):
        return "it is an output of the graph"
    found = list(readers(graph, norm.output, norm.attrs["over"]))
    for reader in found:
        if weight_of(reader, weights) is None:
            where = reader.node.origin.module or "the graph"
            return f"{reader.node.op.name} of {where} reads it, which is no linear map of weights"
    return None if found else "nothing reads it"


def _title(graph: Graph, norm: Node) -> str:
    """The first site of what a norm gives, or its module."""
    places = (path for path, s in graph.sites.items() if s.place.value is norm.output)
    return next(places, norm.origin.module or f"%{graph.index.position[norm]}")


def _bare(norm: Node, x: Term) -> Term:
    attrs = norm.attrs.as_dict()
    if norm.op.name == "rms_norm":
        attrs["offset"] = 0.0
    return norm.op(x, **attrs)


@frozen(eq=False)
class _Fold:
    """A linear with the gain and bias of the norm that it reads in its weight and bias."""

    norm: Node
    reader: Reader
    weight: Value

    def __call__(self, *operands: Term) -> Term:
        builder = operands[0].builder
        w = Term(self.weight, builder)
        c = operands[2] if len(operands) > 2 else None
        gain, *bias = [
            Term(v, builder).rename(**_moves(self.reader.axes, v)).cast(w.dtype)
            for v in self.norm.inputs[1:]
        ]
        if bias:
            over = [self.reader.axes[a] for a in self.norm.attrs["over"]]
            shift = ops.contract(bias[0].broadcast(*over), w, over=self.reader.node.attrs["over"])
            c = shift if c is None else c + shift
        offset = self.norm.attrs.as_dict().get("offset", 0.0)
        w = w * (gain if offset == 0.0 else gain + offset)
        x = Term(self.reader.value, builder)
        parts = (x, w) if c is None else (x, w, c)
        return ops.linear(*parts, over=self.reader.node.attrs["over"])


def _moves(axes: Mapping[str, str], value: Value) -> dict[str, str]:
    return {old: new for old, new in axes.items() if old != new and old in value.type.axis_set}
