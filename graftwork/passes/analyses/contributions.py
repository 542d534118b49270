"""How much of a stream each of its parts is: heads from each position, MLPs, what was there before
(the information flow of Ferrando and Voita 2024).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from attrs import frozen

from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.errors import InputError, SelectionError
from graftwork.ir.graph import Graph, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.passes.analyses.parts import VIEWS, Part, Split, parts_of
from graftwork.passes.base import Pass
from graftwork.passes.replay import replay
from graftwork.passes.sites.stream import NORMS, sited_flow


@frozen(eq=False)
class Step:
    """One sum of the residual stream.

    Attributes:
        path: of the stream before it.
        before, after: the stream.
        branches: paths of what is added; in a parallel block attention and MLP both.
    """

    path: str
    before: Value
    after: Value
    branches: tuple[str, ...]


@frozen
class Contributions(Pass):
    """Add the outputs `flow.<part>`: how large a part of the stream each part of its sums is.

    At each sum of the stream w = p_1 + ... + p_n, part j counts
    max(|w| - |p_j - w|, 0), divided by the total of all parts, so that they sum to 1; all are 0
    where nothing points along the stream. Parts are the stream before (`flow.blocks.3.resid_pre`,
    over `batch` and `seq`), an MLP (`flow.blocks.3.mlp`), and each head from each position
    (`flow.blocks.3.attn`, over `batch`, `heads`, `seq`, `kv_seq`), which is exactly 0 where the
    pattern is. The bias of an attention's output is no part.

    Attributes:
        norm: 1 for sums of absolute values, as in the paper; 2 for lengths, which needs no
            vector for each pair of positions.

    Raises:
        SelectionError: if a stream is no sum, or an attention no sum over its heads.
    """

    promise = "tolerance"

    norm: Literal[1, 2] = 1

    def __call__(self, graph: Graph) -> Graph:
        if self.norm not in (1, 2):
            raise InputError(f"Contributions: the norm is 1 or 2, not {self.norm}")
        rewriter = Rewriter(graph, "Contributions")
        builder = rewriter.builder()
        with builder:
            for step in steps(graph):
                self._add(rewriter, builder, graph, step)
        rewriter.append(builder.nodes)
        return rewriter.finish()

    def _add(self, rewriter: Rewriter, builder: Builder, graph: Graph, step: Step) -> None:
        whole = Term(step.after, builder)
        embed = graph.sites[step.path].roles["embed"]
        near = {step.path: self._near(Term(step.before, builder), whole, embed)}
        summed: dict[str, tuple[str, ...]] = {}
        for path in step.branches:
            if f"{path}.pattern" not in graph.sites:
                end = graph.sites.spans[path].end.value
                near[path] = self._near(Term(end, builder), whole, embed)
                continue
            roles = graph.sites[f"{path}.pattern"].roles
            summed[path] = roles["heads"], roles["kv_seq"]
            near[path] = self._near_heads(rewriter, builder, graph, path, whole, embed)
        total = builder.constant(0.0, whole.dtype)
        for path, part in near.items():
            total = total + part.sum(*summed.get(path, ()))
        empty = ops.eq(total, 0.0)
        for path, part in near.items():
            share = ops.select(empty, 0.0, part / ops.select(empty, 1.0, total))
            axes = [a for a in (*graph.sites[step.path].roles.values(),) if a != embed]
            first = [axes[0], *summed.get(path, ())[:1], *axes[1:]]
            rewriter.add_output(f"flow.{path}", share.value, first)

    def _near(self, part: Term, whole: Term, embed: str) -> Term:
        """How much nearer to the stream a part is than nothing is."""
        near = self._size(whole, embed) - self._size(part - whole, embed)
        return ops.maximum(near, 0.0)

    def _size(self, x: Term, embed: str) -> Term:
        if self.norm == 1:
            return ops.abs(x).sum(embed)
        return ops.sqrt((x * x).sum(embed))

    def _near_heads(
        self, rewriter: Rewriter, builder: Builder, graph: Graph, path: str, whole: Term, embed: str
    ) -> Term:
        """The same for each head from each position; one head after another for norm 1."""
        pattern = Term(rewriter.resolve(graph.sites[f"{path}.pattern"].place), builder)
        heads = graph.sites[f"{path}.pattern"].roles["heads"]
        sent = _sent(builder, graph, path)
        if self.norm == 2:
            length = (whole * whole).sum(embed)
            along = ops.contract(sent, whole, over=(embed,)) * pattern
            far = (sent * sent).sum(embed) * pattern * pattern - along * 2.0 + length
            near = ops.sqrt(length) - ops.sqrt(ops.maximum(far, 0.0))
        else:
            count = graph.axes[heads]
            assert isinstance(count, int)
            each = [
                self._near(sent[{heads: i}] * pattern[{heads: i}], whole, embed)
                for i in range(count)
            ]
            near = ops.concat(*each, axes=(heads,) * count, into=heads)
        return ops.select(ops.eq(pattern, 0.0), 0.0, ops.maximum(near, 0.0))


def steps(graph: Graph) -> Iterator[Step]:
    """The sums of the residual stream, in order.

    Raises:
        SelectionError: if there are none, or a norm follows a sum within the stream.
    """
    flow, sites = sited_flow(graph), graph.sites
    streams = [path for path in sites if path.rpartition(".")[2].startswith("resid_")]
    if not streams:
        raise SelectionError("the graph has no recognised blocks, so no stream to follow")
    for path, following in pairwise(streams):
        if path.endswith("resid_post"):
            continue
        before, after = sites[path].place.value, sites[following].place.value
        node = flow.producer(after)
        if node is not None and node.op.name in NORMS:
            raise SelectionError(
                f"{following} is no sum: {node.op.name} stands in it (from {node.origin})"
            )
        ends = {p: span.end.value for p, span in sites.spans.items()}
        block = path.rpartition(".")[0]
        branches = tuple(
            p
            for p, end in ends.items()
            if p.startswith(f"{block}.")
            and flow.place(end) > flow.place(before)
            and flow.depends(after, end)
        )
        yield Step(path, before, after, branches)


def _sent(builder: Builder, graph: Graph, path: str) -> Term:
    """What each head writes of each position, were it to look there alone: v W_O."""
    part = _of_heads(graph, path)
    flow = sited_flow(graph)
    z = graph.sites[f"{path}.z"].place.value
    node = flow.producer(z)
    if node not in flow.attentions:
        stands = "nothing" if node is None else f"{node.op.name} (from {node.origin})"
        raise SelectionError(f"{path}.z is no sum over positions: {stands} stands in its place")
    assert part.product is not None
    between = flow.between(z, part.product.operand)
    bent = next((n for n in between if n.op.name not in (*VIEWS, "merge", "split")), None)
    if bent is not None:
        raise SelectionError(
            f"{path} is no sum over positions: {bent.op.name} stands behind its values (from "
            f"{bent.origin})"
        )
    values = Term(flow.attentions[node].v, builder)
    _, weight = part.product.factors(Term(part.product.operand, builder))
    made = ops.contract(values, weight, over=part.product.over)
    end = part.trail[-1].output if part.trail else part.value
    return replay(builder, part.trail, {part.value: made})[end]


def _of_heads(graph: Graph, path: str) -> Part:
    found = parts_of(graph, graph.sites.spans[path].end.value, Split(heads=True))
    return next(part for part in found if part.axis is not None)
