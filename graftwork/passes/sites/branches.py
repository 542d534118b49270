"""What a branch of the residual stream is: attention, cross-attention, an MLP.

Attention is recognised by its composite, an MLP by a nonlinearity between two contractions with
parameters. What an axis means is read off how the branch uses it: scores are summed over the key
axis, queries and keys over the head dimension.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from graftwork.ir.graph import Node, Value
from graftwork.passes.sites.stream import NORMS, VIEWS, Flow

PRODUCTS = frozenset({"linear", "contract"})


@frozen(eq=False)
class Attention:
    """The parts of an attention branch, and the roles of the axes in it."""

    node: Node
    start: Value
    q: Value
    k: Value
    v: Value
    out: Value
    cross: bool
    pattern: dict[str, str]  # role -> axis, and so on
    z: dict[str, str]
    queries: dict[str, str]
    keys: dict[str, str]
    values: dict[str, str]


@frozen(eq=False)
class Mlp:
    """The parts of an MLP branch; `hidden` is the axis of its neurons."""

    start: Value
    pre: Value
    post: Value
    out: Value
    hidden: str


def classify(flow: Flow, stream: Value, branch: Value) -> Attention | Mlp | str:
    """What a branch is, or why it is not recognised."""
    nodes = flow.between(stream, branch)
    attentions = [node for node in nodes if node.op.name == "attention"]
    if len(attentions) == 1:
        return _attention(flow, stream, attentions[0], nodes, branch)
    if attentions:
        return f"it holds {len(attentions)} attentions"
    return _mlp(flow, stream, nodes, branch)


def _start(flow: Flow, stream: Value, nodes: Sequence[Node]) -> Value:
    """The norm of the stream that the branch reads, or the stream itself."""
    for node in nodes:
        if node.op.name in NORMS and flow.through(node.inputs[0]) is stream:
            return node.outputs[0]
    return stream


def _attention(
    flow: Flow, stream: Value, node: Node, nodes: Sequence[Node], branch: Value
) -> Attention | str:
    start = _start(flow, stream, nodes)
    q, k, v = (_projected(flow, value) for value in node.inputs[:3])
    cross = not flow.depends(k, stream)
    key, over = node.attrs["key"], node.attrs["over"]
    queries, keys = node.inputs[0].type, node.inputs[1].type
    sequence = [a for a in queries.axes if a in stream.type.axis_set and a not in keys.axis_set]
    if len(sequence) != 1:
        return f"its queries have {len(sequence)} axes that could be their sequence"
    heads = [a for a in queries.axes if a not in stream.type.axis_set and a not in (over, key)]
    if len(heads) != 1:
        return f"its queries have {len(heads)} axes that could be heads"
    batch = [a for a in stream.type.axes if a in queries.axis_set and a != sequence[0]]
    z = node.outputs[0].type
    width = [a for a in z.axes if a not in (*heads, *sequence, *batch)]
    if len(width) != 1:
        return f"its output has {len(width)} axes that could be the dimension of a head"
    common = _batch(batch) | {"seq": sequence[0], "heads": heads[0]}
    return Attention(
        node,
        start,
        q,
        k,
        v,
        branch,
        cross,
        pattern=common | {"kv_seq": key},
        z=common | {"head_dim": width[0]},
        queries=common | {"head_dim": over},
        keys=_key_roles(k, batch, sequence[0], key, over),
        values=_key_roles(v, batch, sequence[0], key, width[0]),
    )


def _batch(axes: Sequence[str]) -> dict[str, str]:
    return {"batch": axes[0]} if axes else {}


def _key_roles(
    k: Value, batch: Sequence[str], sequence: str, key: str, width: str
) -> dict[str, str]:
    """Roles on keys or values before they are renamed to the key axis and repeated."""
    axes = k.type.axis_set
    roles = _batch([a for a in batch if a in axes])
    if sequence in axes or key in axes:
        roles["seq"] = sequence if sequence in axes else key
    if width in axes:
        roles["head_dim"] = width
    rest = [a for a in k.type.axes if a not in roles.values()]
    if len(rest) == 1:
        roles["kv_heads"] = rest[0]
    return roles


def _projected(flow: Flow, value: Value) -> Value:
    """Behind rotary embeddings, renames, repeats: the projection with its heads apart."""
    while (node := flow.producer(value)) is not None:
        name = node.op.name
        if name not in (*VIEWS, "rotary", "broadcast") and not _repeats(flow, node):
            break
        value = node.inputs[0]
    return value


def _repeats(flow: Flow, node: Node) -> bool:
    """A merge of an axis that a broadcast made: each head repeated for a group of queries."""
    if node.op.name != "merge":
        return False
    inner = flow.producer(flow.through(node.inputs[0]))
    return inner is not None and inner.op.name == "broadcast"


def _mlp(flow: Flow, stream: Value, nodes: Sequence[Node], branch: Value) -> Mlp | str:
    """An MLP is an expansion, a nonlinearity, and a contraction over the expanded axis."""
    products = [node for node in nodes if node.op.name in PRODUCTS]
    if len(products) < 2:
        return f"it has {len(products)} products, an MLP has two or more"
    start = _start(flow, stream, nodes)
    last = products[-1]
    hidden = last.attrs["over"]
    if len(hidden) != 1:
        return f"its last product is over {hidden}"
    post = last.inputs[0]
    if not flow.depends(post, start):
        post = last.inputs[1]
    pre = _expansions(flow, products[:-1], post, start)
    if not pre:
        return "nothing in it makes the axis that its last product sums over"
    return Mlp(start, pre[0].outputs[0], post, branch, hidden[0])


def _expansions(flow: Flow, products: Sequence[Node], post: Value, start: Value) -> list[Node]:
    """The products that make the hidden layer, the one whose result is bent by itself first.

    A gated MLP has two; the gate is the one that a nonlinearity reads.
    """
    hidden = [p for p in products if flow.depends(post, p.outputs[0])]
    bent = [p for p in hidden if any(_bends(user) for user in flow.users(p.outputs[0]))]
    return bent or hidden


LINEAR = frozenset({"mul", "add", "sub", "split", "merge", "slice", "index", "concat"})


def _bends(node: Node) -> bool:
    return node.op.name not in LINEAR and node.op.name not in PRODUCTS
