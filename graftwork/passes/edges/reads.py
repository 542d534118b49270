"""Opening reads: each receiver gets its own copy of the stream, which is then edited alone."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.errors import SelectionError, nearest
from graftwork.ir.glob import matching
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.sites import Place, Site
from graftwork.passes.attention import PRODUCTS
from graftwork.passes.base import Pass
from graftwork.passes.edges.components import Components, Receiver, components
from graftwork.passes.replay import replay
from graftwork.passes.sites.stream import Flow, sited_flow

APART = frozenset({"split", "slice", "index"})
"""What takes the heads of a projection apart."""


@frozen
class OpenReads(Pass):
    """Let receivers read copies of the stream of their own, at new sites (`..._read`).

    `blocks.7.attn.q_read` has the axes of the stream and `heads`: head 2's queries read their
    own. What the model computes stays the same. Receivers that are open already stay as they are.

    Attributes:
        receivers: a glob over receivers (`blocks.7.attn.q.2`); their whole groups are opened.
    """

    promise = "tolerance"
    idempotent = True

    receivers: str = "**"

    def __call__(self, graph: Graph) -> Graph:
        parts = components(graph)
        if not matching(self.receivers, parts.receiver_names):
            known = nearest(self.receivers, parts.receiver_names)
            raise SelectionError(f"no receiver {self.receivers!r}{known}")
        wanted = [r for r in parts.receivers if matching(self.receivers, r.names)]
        return opened(graph, parts, wanted)


def opened(graph: Graph, parts: Components, receivers: Sequence[Receiver]) -> Graph:
    """The graph in which these receivers read copies of their own."""
    rewriter, flow = Rewriter(graph, "OpenReads"), sited_flow(graph)
    reads: dict[str, Site] = {}
    for receiver in receivers:
        if receiver.read in graph.sites:
            continue

        def edit(raw: Term, receiver: Receiver = receiver) -> Term:
            axes = () if receiver.axis is None else (receiver.axis[1],)
            stream = Term(receiver.stream, raw.builder)
            copy = ops.broadcast(stream, axes=tuple(axes))
            roles = dict(receiver.roles) | dict([receiver.axis] if receiver.axis else [])
            reads[receiver.read] = Site(Place(copy.value), roles)
            return _made_of(flow, receiver, copy)

        rewriter.interpose(receiver.target, edit)
    if not reads:
        return graph
    graph = rewriter.finish()
    return graph.evolve(sites=evolve(graph.sites, table={**graph.sites.table, **reads}))


def _made_of(flow: Flow, receiver: Receiver, copy: Term) -> Term:
    """What a receiver makes of a copy of the stream, in which each head may read its own."""
    stream, target = receiver.stream, receiver.target
    nodes = flow.between(stream, target)
    if receiver.axis is None:
        return replay(copy.builder, nodes, {stream: copy})[target]
    axis = receiver.axis[1]
    projected = _projection(nodes, axis)
    if projected is None:
        return _diagonal(nodes, receiver, copy)
    product, views, heads = projected
    builder = copy.builder
    env = replay(builder, nodes[: nodes.index(product)], {stream: copy})
    moving = next(x for x in product.inputs[:2] if x in env)
    (weight,) = (x for x in product.inputs[:2] if x is not moving)
    apart, *bias = (
        replay(builder, views, {product.output: Term(x, builder)})[heads]
        for x in (weight, *product.inputs[2:])
    )
    made = ops.contract(env[moving], apart, over=product.attrs["over"])
    made = made + bias[0] if bias else made
    rest = nodes[nodes.index(views[-1] if views else product) + 1 :]
    return replay(builder, rest, {heads: made})[target]


def _projection(nodes: Sequence[Node], axis: str) -> tuple[Node, list[Node], Value] | None:
    """The product that makes heads, the views that take them apart, and the value that these give.

    These views look at the axes of the weight alone, so they may be done to it.
    """
    product = next((node for node in nodes if node.op.name in PRODUCTS), None)
    if product is None:
        return None
    made, views = product.output, list[Node]()
    while axis not in made.axes:
        readers = [node for node in nodes if made in node.inputs]
        if len(readers) != 1 or readers[0].op.name not in APART:
            return None
        views += readers
        made = readers[0].output
    last = nodes.index(views[-1] if views else product)
    early = {v for node in nodes[: last + 1] for v in (*node.inputs, *node.outputs)} - {made}
    moving = early & {v for node in nodes for v in node.outputs}
    if any(value in moving for node in nodes[last + 1 :] for value in node.inputs):
        return None  # what follows reads the stream by another way too
    return product, views, made


def _diagonal(nodes: Sequence[Node], receiver: Receiver, copy: Term) -> Term:
    """What each head makes of its own copy, where they cannot be told apart in the weights."""
    assert receiver.axis is not None
    axis, builder = receiver.axis[1], copy.builder
    other = builder.typing.fresh(f"to_{axis}")
    builder.typing.table[other] = receiver.count
    moved = {receiver.stream: copy.rename(**{axis: other})}
    made = replay(builder, nodes, moved)[receiver.target]
    own = ops.eq(ops.iota(axis=axis), ops.iota(axis=other))
    return ops.select(own, made, 0.0).sum(other)
