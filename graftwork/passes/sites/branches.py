"""What a branch of the residual stream is: attention, an MLP, a mixture of experts, a mixer.

Attention is recognised by its composite or by a softmax between two contractions; a mixture by
the router that picks experts; a mixer by acting along positions in any other way; an MLP by a
nonlinearity between two contractions with parameters. What an axis means is read off how the
branch uses it: scores are summed over the key axis, queries and keys over the head dimension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from graftwork.ir.graph import Node, Value
from graftwork.ir.sites import Place
from graftwork.passes import attention
from graftwork.passes.attention import PRODUCTS, passes
from graftwork.passes.sites.lineage import FEATURE, lineage, mixes
from graftwork.passes.sites.stream import NORMS, VIEWS, Flow

Roles = dict[str, str]  # role -> axis


@frozen(eq=False)
class Attention:
    """An attention in a branch; each place with the roles of its axes.

    `along` are the axes of the stream that queries lie along: one, or two for a grid.
    """

    cross: bool
    along: tuple[str, ...]
    q: tuple[Value, Roles]
    k: tuple[Value, Roles]
    v: tuple[Value, Roles]
    scores: tuple[Place, Roles]
    pattern: tuple[Place, Roles]
    z: tuple[Value, Roles]


@frozen(eq=False)
class Mlp:
    """`hidden` is the axis of the neurons."""

    pre: Value
    post: Value
    hidden: str


@frozen(eq=False)
class Mixture:
    """A mixture of experts: what its router says of each of them, and what the chosen ones give.

    `chosen` is the axis along which the latter are summed; both are missing where that is not seen.
    """

    router: Value
    experts: str
    given: Value | None = None
    chosen: str = ""


@frozen(eq=False)
class Mixer:
    """Anything else that acts along positions: a state space, a convolution; and their axes."""

    along: tuple[str, ...]


Kind = Attention | Mlp | Mixture | Mixer


@frozen(eq=False)
class Branch:
    """A branch and what is in it.

    Attributes:
        start: the norm of the stream that it reads, or the stream itself.
        out: what it adds to the stream.
        kinds: what it holds; nothing where it was not recognised.
        problem: why it was not recognised.
        attends: whether there is attention in it, recognised or not, over the stream itself.
    """

    start: Value
    out: Value
    kinds: tuple[Kind, ...] = ()
    problem: str = ""
    attends: bool = False


def positions(axes: Sequence[str]) -> Roles:
    """The roles of the axes of positions: a sequence, or a grid; none if they are neither."""
    words = {1: ("seq",), 2: ("height", "width"), 3: ("depth", "height", "width")}
    return dict(zip(words.get(len(axes), ()), axes, strict=False))


def read_branch(flow: Flow, stream: Value, out: Value) -> Branch:
    """What a branch of the stream is, or why that is not known."""
    nodes = flow.between(stream, out)
    start = _start(flow, stream, nodes)
    axes = lineage(nodes, _roots(flow, stream))
    found = _kinds(flow, stream, nodes, start, axes)
    held = [flow.attentions[node] for node in nodes if node in flow.attentions]
    attends = any(flow.depends(each.k, stream) for each in held)
    for kind in found:
        if isinstance(kind, str):
            return Branch(start, out, problem=kind, attends=attends)
    kinds = tuple(kind for kind in found if not isinstance(kind, str))
    return Branch(start, out, kinds, attends=attends)


def _kinds(
    flow: Flow, stream: Value, nodes: Sequence[Node], start: Value, axes: Mapping[str, str]
) -> list[Kind | str]:
    """Everything that a branch holds; in the place of what is not clear, what is unclear."""
    found: list[Kind | str] = [
        _attention(flow, stream, flow.attentions[node], axes)
        for node in nodes
        if node in flow.attentions
    ]
    if mixture := _mixture(flow, nodes):
        found.append(mixture)
    if found:
        return found
    along = next((mixed for node in nodes if (mixed := mixes(node, axes))), ())
    return [Mixer(along) if along else _mlp(flow, nodes, start)]


def _start(flow: Flow, stream: Value, nodes: Sequence[Node]) -> Value:
    """The norm of the stream that the branch reads, or the stream itself."""
    for node in nodes:
        if node.op.name in NORMS and flow.through(node.inputs[0]) is stream:
            return node.outputs[0]
    return stream


def _roots(flow: Flow, stream: Value) -> dict[str, str]:
    """The axes of the stream; those that are normalised or multiplied with weights are features."""
    bound = {
        axis
        for node in flow.users(stream)
        if node.op.name in NORMS | PRODUCTS | {"conv"}
        for axis in node.attrs["over"]
    }
    return {axis: FEATURE if axis in bound else axis for axis in stream.axes}


# --- attention ----------------------------------------------------------------------------------


def _attention(
    flow: Flow, stream: Value, found: attention.Attention, axes: Mapping[str, str]
) -> Attention | str:
    """The roles of axes in an attention, or what is unclear about them."""
    queries, keys = found.q.axes, found.k.type.axis_set
    heads = [a for a in queries if axes.get(a) == FEATURE and a != found.over]
    sequence = [a for a in queries if a not in keys and a not in (*heads, found.over)]
    if len(sequence) not in (1, 2):
        return f"its queries have {len(sequence)} axes that could be their sequence"
    if len(heads) > 1:
        return f"its queries have {len(heads)} axes that could be heads"
    common = [*heads, *sequence, *(a for a in stream.axes if a in queries)]
    width = [a for a in found.z.axes if a in found.v.axes and a not in (*queries, *found.k.axes)]
    width = width or [a for a in found.z.axes if a == found.over]
    if len(width) > 1:
        return f"its output has {len(width)} axes that could be the dimension of a head"
    bound = (*heads, *sequence, *width, found.over)
    batch = [a for a in common if a not in bound] or [a for a in found.z.axes if a not in bound]
    along = tuple(dict.fromkeys(axes[a] for a in sequence if axes.get(a) in stream.axes))
    if len(along) not in (1, 2):
        return f"its queries lie along {len(along)} axes of the stream"
    shared = _named(batch=batch) | positions(sequence) | _named(heads=heads)
    q, _ = _projected(flow, found.q, found.key)
    k, v = (_projected(flow, x, found.key) for x in (found.k, found.v))
    pattern = shared | {"kv_seq": found.key}
    return Attention(
        cross=not flow.depends(found.k, stream),
        along=along,
        q=(q, shared | {"head_dim": found.over}),
        k=(k[0], _key_roles(k, batch, found.over)),
        v=(v[0], _key_roles(v, batch, *width)),
        scores=(found.scores, pattern),
        pattern=(found.pattern, pattern),
        z=(found.z, shared | _named(head_dim=width)),
    )


def _named(**axes: Sequence[str]) -> Roles:
    return {role: found[0] for role, found in axes.items() if found}


def _key_roles(projected: tuple[Value, str], batch: Sequence[str], width: str = "") -> Roles:
    """Roles on keys or values before they are renamed to the key axis and repeated."""
    value, sequence = projected
    roles = _named(batch=[a for a in batch if a in value.axes], seq=[sequence])
    if width in value.axes:
        roles["head_dim"] = width
    rest = [a for a in value.axes if a not in (*roles.values(), *batch)]
    return roles | _named(kv_heads=rest if len(rest) == 1 else ())


def _projected(flow: Flow, value: Value, key: str) -> tuple[Value, str]:
    """Behind rotary embeddings, renames, repeats: the projection with its heads apart, and what
    the key axis is called there."""
    while (node := flow.producer(value)) is not None:
        if node.op.name not in (*VIEWS, "rotary", "broadcast") and not _repeats(flow, node):
            break
        if node.op.name == "rename":
            key = {new: old for old, new in node.attrs["axes"]}.get(key, key)
        value = node.inputs[0]
    return value, key


def _repeats(flow: Flow, node: Node) -> bool:
    """A merge of an axis that a broadcast made: each head repeated for a group of queries."""
    if node.op.name != "merge":
        return False
    inner = flow.producer(flow.through(node.inputs[0]))
    return inner is not None and inner.op.name == "broadcast"


# --- mixtures and MLPs --------------------------------------------------------------------------


def _mixture(flow: Flow, nodes: Sequence[Node]) -> Mixture | None:
    """What picks the best of some things by a product is a router."""
    for node in nodes:
        if node.op.name in ("top_k", "argmax"):
            experts = node.attrs["axis"]
            router = _router(flow, node.inputs[0], experts)
            if router is not None:
                return Mixture(router, experts, *_given(flow, nodes, router))
    return None


def _router(flow: Flow, value: Value, experts: str) -> Value | None:
    """The product that makes what is compared, through what keeps its axis of experts."""
    stack, seen = [value], {value}
    while stack:
        maker = flow.producer(stack.pop())
        if maker is not None and maker.op.name in PRODUCTS:
            return maker.output
        if maker is not None and (passes(maker) or maker.op.name == "softmax"):
            read = [x for x in maker.inputs if experts in x.type.axis_set and x not in seen]
            seen.update(read)
            stack.extend(reversed(read))
    return None


def _given(flow: Flow, nodes: Sequence[Node], router: Value) -> tuple[Value | None, str]:
    """What each chosen expert gives, which the branch sums at its end, and the axis of the sum.

    Behind the sum may be a norm, and terms that were not routed, such as an expert for all tokens.
    """
    for node in reversed(flow.between(router, nodes[-1].outputs[0])):
        if node.op.name == "sum" and len(node.attrs["over"]) == 1:
            return node.inputs[0], node.attrs["over"][0]
        if not passes(node) and node.op.name not in NORMS:
            break
    return None, ""


def _mlp(flow: Flow, nodes: Sequence[Node], start: Value) -> Mlp | str:
    """An MLP is an expansion, a nonlinearity, and a contraction over the expanded axis."""
    products = [node for node in nodes if node.op.name in PRODUCTS]
    if len(products) < 2:
        return f"it has {len(products)} products, an MLP has two or more"
    inner = (p for p in reversed(products) if start.type.axis_set.isdisjoint(p.attrs["over"]))
    last = next(inner, products[-1])  # behind it a gate may read the stream
    hidden = last.attrs["over"]
    if len(hidden) != 1:
        return f"its last product is over {hidden}"
    post = next(x for x in last.inputs[:2] if flow.depends(x, start))
    pre = _expansions(flow, products[: products.index(last)], post)
    if not pre:
        return "nothing in it makes the axis that its last product sums over"
    layer = _layer(flow, pre[0].output, hidden[0])
    if layer is post:
        return "nothing bends between its products"
    return Mlp(layer, post, hidden[0])


def _layer(flow: Flow, made: Value, hidden: str) -> Value:
    """The hidden layer in what a product makes: itself, or its part that is bent by itself."""
    if hidden in made.axes:
        return made
    parts = [node.output for node in flow.users(made) if hidden in node.output.axes]
    bent = [part for part in parts if any(_bends(user) for user in flow.users(part))]
    return next(iter(bent or parts), made)


def _expansions(flow: Flow, products: Sequence[Node], post: Value) -> list[Node]:
    """The products that make the hidden layer, the one whose result is bent by itself first.

    A gated MLP has two; the gate is the one that a nonlinearity reads.
    """
    hidden = [p for p in products if flow.depends(post, p.output)]
    bent = [p for p in hidden if any(_bends(user) for user in flow.users(p.output))]
    return bent or hidden


LINEAR = frozenset({"mul", "add", "sub", "split", "merge", "slice", "index", "concat"})


def _bends(node: Node) -> bool:
    return node.op.name not in LINEAR and node.op.name not in PRODUCTS
