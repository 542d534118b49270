"""How a model reads its residual stream out: the last stream, the norm, the unembedding."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from graftwork.ir.errors import SelectionError
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.rewrite import Rewriter
from graftwork.ir.sites import Place
from graftwork.passes.attention import PRODUCTS
from graftwork.passes.sites.stream import sited_flow
from graftwork.passes.sums import first_bent


@frozen(eq=False)
class Readout:
    """From the last stream to the logits.

    Attributes:
        prefix: of the sites of the stack that is read out: empty, or `decoder.`.
        stream: the last value of the residual stream.
        roles: of the axes of the stream.
        norm: what the final norm gives, if there is one.
        logits: the logits.
        vocab: their axis of tokens.
        nodes: those between the stream and the logits, in order.
    """

    prefix: str
    stream: Value
    roles: Mapping[str, str]
    norm: Value | None
    logits: Value
    vocab: str
    nodes: tuple[Node, ...]


def readout(graph: Graph) -> Readout:
    """How the last stream becomes logits.

    Raises:
        SelectionError: if the model has no recognised blocks, or no logits, or if these do not
            come from the last stream.
    """
    lasts = [path for path in graph.sites if path.endswith(".resid_post")]
    if not lasts or "logits" not in graph.sites:
        missing = "logits" if lasts else "recognised blocks"
        raise SelectionError(f"the graph has no {missing}, so no stream that is unembedded")
    last, logits = graph.sites[lasts[-1]], graph.sites["logits"]
    prefix = lasts[-1].rpartition("blocks.")[0]
    norm = graph.sites.table.get(f"{prefix}final_norm")
    nodes = sited_flow(graph).between(last.place.value, logits.place.value)
    if all(logits.place.value not in node.outputs for node in nodes):
        raise SelectionError(
            f"the logits do not come from {lasts[-1]}, since a pass has put others in their place; "
            "apply that pass after this one"
        )
    return Readout(
        prefix,
        last.place.value,
        last.roles,
        None if norm is None else norm.place.value,
        logits.place.value,
        logits.roles["vocab"],
        tuple(nodes),
    )


@frozen(eq=False)
class Linear:
    """A readout with the final norm's scale held at what it is in the run.

    It is linear then, up to what it adds by itself.

    Attributes:
        nodes: between the stream and the product that gives a number for each token.
        product: what that product gives: the logits, before a cap on them.
    """

    stream: Value
    roles: Mapping[str, str]
    nodes: tuple[Node, ...]
    product: Value
    vocab: str


def linear_readout(graph: Graph, by: str) -> tuple[Graph, Linear]:
    """The readout with its norm held, and the graph in which that norm is open.

    Raises:
        SelectionError: if more than a norm and products stands between stream and logits.
    """
    found = readout(graph)
    scale: Value | None = None
    if found.norm is not None:
        rewriter = Rewriter(graph, by)
        scale = rewriter.resolve(Place(found.norm, ("scale",)))
        graph = rewriter.finish()
        found = readout(graph)
    products = [node for node in found.nodes if node.op.name in PRODUCTS]
    if not products:
        raise SelectionError("the logits are no product of the stream with a weight")
    last = found.nodes.index(products[-1])
    nodes = [node for node in found.nodes[: last + 1] if scale not in node.outputs]
    reaching = set(products[-1].outputs)
    for node in reversed(nodes):
        if not reaching.isdisjoint(node.outputs):
            reaching.update(node.inputs)
    nodes = [node for node in nodes if not reaching.isdisjoint(node.outputs)]
    if (bent := first_bent(nodes, {found.stream}, affine=True)) is not None:
        raise SelectionError(
            f"the logits are not linear in the last stream: {bent.op.name} stands between (from "
            f"{bent.origin})"
        )
    product = products[-1].output
    return graph, Linear(found.stream, found.roles, tuple(nodes), product, found.vocab)
