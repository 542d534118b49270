"""The residual stream as a sum: who adds to it, who reads it, and which edges that makes.

A *sender* adds to the stream: `embed`, `pos_embed`, each head (`blocks.3.attn.result.5`), the bias
of an attention's output (`blocks.3.attn.bias`), each MLP (`blocks.3.mlp.out`). A *receiver* reads
it: the queries, keys and values of each head (`blocks.7.attn.q.2`), each MLP (`blocks.7.mlp.in`),
the final norm (`final_norm`). Both are found from the canonical sites and from what is linear
between them; an attention whose heads are not summed as they are (a norm follows) is one sender,
`blocks.3.attn.out`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from attrs import define, frozen

from graftwork.ir.build import Term
from graftwork.ir.errors import SelectionError, nearest
from graftwork.ir.glob import matching
from graftwork.ir.graph import Graph, Node, Value
from graftwork.passes.attention import PRODUCTS
from graftwork.passes.sites.stream import Flow, sited_flow
from graftwork.passes.sums import Product, apart, first_bent

Edge = tuple[str, str]
"""A sender and a receiver, or globs over them."""


@frozen(eq=False)
class Sender:
    """One that adds to the stream, or the heads of an attention together.

    Attributes:
        path: `blocks.3.attn.result`, whose heads are `blocks.3.attn.result.5`.
        reads: the value that tells what it adds.
        into: the value that this is a term of, which the stream is linear in.
        heads: how heads are told apart, if it is several.
        count: how many it is.
    """

    path: str
    reads: Value
    into: Value
    heads: Product | None = None
    count: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        return _numbered(self.path, self.count if self.heads else None)

    def adds(self, x: Term) -> Term:
        """What it adds, where `x` is what it reads."""
        return x if self.heads is None else self.heads.results(x)


@frozen(eq=False)
class Receiver:
    """One that reads the stream, or the heads of an attention together.

    Attributes:
        path: `blocks.7.attn.q`, whose heads are `blocks.7.attn.q.2`.
        stream: what it reads.
        target: what it makes of that.
        roles: of the axes of the stream.
        axis: the axis of `target` that tells heads apart, with its role, if it has one.
        count: how many it is.
        between: the nodes that make the stream of what is sent.
        heard: positions of the senders that are in the stream.
    """

    path: str
    stream: Value
    target: Value
    roles: Mapping[str, str]
    axis: tuple[str, str] | None
    count: int
    between: tuple[Node, ...]
    heard: frozenset[int]

    @property
    def names(self) -> tuple[str, ...]:
        return _numbered(self.path, self.count if self.axis else None)

    @property
    def read(self) -> str:
        """The site of the stream as this receiver reads it, once it is opened."""
        return f"{self.path}_read"


def _numbered(path: str, count: int | None) -> tuple[str, ...]:
    return (path,) if count is None else tuple(f"{path}.{i}" for i in range(count))


@define(eq=False, slots=False)
class Components:
    """All senders and receivers of a graph, in order."""

    senders: tuple[Sender, ...]
    receivers: tuple[Receiver, ...]

    @cached_property
    def sender_names(self) -> tuple[str, ...]:
        return tuple(name for sender in self.senders for name in sender.names)

    @cached_property
    def receiver_names(self) -> tuple[str, ...]:
        return tuple(name for receiver in self.receivers for name in receiver.names)

    @cached_property
    def possible(self) -> np.ndarray:
        """Whether there is an edge, (receivers, senders)."""
        rows = [
            [i in receiver.heard for i, s in enumerate(self.senders) for _ in s.names]
            for receiver in self.receivers
            for _ in receiver.names
        ]
        return np.array(rows, bool).reshape(len(rows), len(self.sender_names))

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, receivers from the first to the last."""
        return tuple(
            (self.sender_names[s], self.receiver_names[r]) for r, s in np.argwhere(self.possible)
        )

    def selected(self, edges: Iterable[Edge]) -> np.ndarray:
        """Which edges some pairs of globs mean, (receivers, senders).

        Raises:
            SelectionError: for a pair that means no edge; names the nearest words.
        """
        chosen = np.zeros_like(self.possible)
        for sender, receiver in edges:
            columns = _places(sender, self.sender_names, "sender")
            rows = _places(receiver, self.receiver_names, "receiver")
            hit = np.zeros_like(chosen)
            hit[np.ix_(rows, columns)] = True
            hit &= self.possible
            if not hit.any():
                raise SelectionError(f"{receiver!r} reads the stream before {sender!r} adds to it")
            chosen |= hit
        return chosen

    def rows(self, receiver: Receiver) -> slice:
        """Where a receiver is among all."""
        start = sum(len(r.names) for r in self.receivers[: self.receivers.index(receiver)])
        return slice(start, start + len(receiver.names))

    def blocks(self, receiver: Receiver) -> Iterator[tuple[Sender, slice, slice]]:
        """The senders that a receiver hears, with the rows and columns of their edges."""
        start = 0
        for place, sender in enumerate(self.senders):
            columns = slice(start, start + len(sender.names))
            start = columns.stop
            if place in receiver.heard:
                yield sender, self.rows(receiver), columns

    def feeds(self, receiver: str) -> tuple[str, ...]:
        """The senders that a receiver is a part of: head 5's queries, and its results."""
        group = next(r for r in self.receivers if receiver in r.names)
        branch, _, word = group.path.rpartition(".")
        names = [s.names for s in self.senders if s.path in (f"{branch}.result", f"{branch}.out")]
        if not branch or not names:
            return ()
        (own,), mine = names, group.names
        if word == "in" or len(own) % len(mine):
            return own
        share = len(own) // len(mine)  # heads that read the same keys and values
        first = mine.index(receiver) * share
        return own[first : first + share]


def _places(glob: str, names: Sequence[str], word: str) -> list[int]:
    found = set(matching(glob, names))
    if not found:
        raise SelectionError(f"no {word} {glob!r}{nearest(glob, names)}")
    return [i for i, name in enumerate(names) if name in found]


def components(graph: Graph) -> Components:
    """The senders and receivers of a graph, from its sites.

    Raises:
        SelectionError: if it has no recognised blocks, or if a stream is not a sum (a norm stands
            in it, as in a post-norm model); names the op and where it is.
    """
    if not graph.sites.spans:
        raise SelectionError("the graph has no recognised blocks, so no stream to open")
    flow = sited_flow(graph)
    senders = tuple(_senders(flow))
    return Components(senders, tuple(_receivers(flow, senders)))


# --- senders ------------------------------------------------------------------------------------


def _senders(flow: Flow) -> Iterator[Sender]:
    sites = flow.graph.sites
    for path, site in sites.items():
        if path.rpartition(".")[2] in ("embed", "pos_embed"):
            yield Sender(path, site.place.value, site.place.value)
    for path, span in sites.spans.items():
        end, z = span.end.value, sites.table.get(f"{path}.z")
        found = None if z is None else _summed(flow, z.place.value, z.roles.get("heads"), end)
        if found is None:
            yield Sender(f"{path}.out", end, end)
            continue
        product, heads, bias = found
        size = flow.graph.axes[str(heads.axis)]
        assert isinstance(size, int)
        yield Sender(f"{path}.result", heads.operand, product.output, heads, size)
        if bias is not None:
            yield Sender(f"{path}.bias", bias, product.output)


def _summed(
    flow: Flow, z: Value, axis: str | None, end: Value
) -> tuple[Node, Product, Value | None] | None:
    """The product that sums over heads, how to tell them apart, and the bias."""
    nodes = flow.between(z, end)
    product = next((node for node in nodes if node.op.name in PRODUCTS), None)
    if product is None or axis is None or not isinstance(flow.graph.axes[axis], int):
        return None
    behind = [node for node in nodes if flow.place(node.outputs[0]) > flow.place(product.output)]
    if first_bent(behind, {product.output}) is not None:
        return None
    operand = next(x for x in product.inputs[:2] if flow.depends(x, z))
    heads = apart(flow, product, operand, z, axis)
    return None if heads is None else (product, heads, _bias(product, behind))


def _bias(product: Node, behind: Sequence[Node]) -> Value | None:
    """What is added to a product in it or at once behind it."""
    if len(product.inputs) > 2:
        return product.inputs[2]
    first = behind[0] if behind else None
    if first is None or first.op.name != "add" or product.output not in first.inputs:
        return None
    return next((x for x in first.inputs if x is not product.output), None)


# --- receivers ----------------------------------------------------------------------------------


def _receivers(flow: Flow, senders: Sequence[Sender]) -> Iterator[Receiver]:
    sites, spans = flow.graph.sites, flow.graph.sites.spans
    starts = [span.start.value for span in spans.values()]
    for path, span in spans.items():
        start = span.start.value
        stream = _stream(flow, path, start)
        roles = sites[f"{path}.in"].roles
        if f"{path}.q" not in sites:
            alone = start is not stream and starts.count(start) == 1
            target = start if alone else span.end.value
            yield _receiver(flow, senders, f"{path}.in", stream, target, roles)
            continue
        for word in ("q", "k", "v"):
            site = sites.table.get(f"{path}.{word}")
            if site is None or not flow.depends(site.place.value, stream):
                continue
            role = next((r for r in ("heads", "kv_heads") if r in site.roles), None)
            axis = None if role is None else (role, site.roles[role])
            target = site.place.value
            yield _receiver(flow, senders, f"{path}.{word}", stream, target, roles, axis)
    for path, site in sites.items():
        if path.rpartition(".")[2] == "final_norm":
            target = site.place.value
            yield _receiver(flow, senders, path, _stream(flow, path, target), target, site.roles)


def _stream(flow: Flow, path: str, value: Value) -> Value:
    """The stream that a branch of a block, or the final norm, begins with.

    Raises:
        SelectionError: if it begins with none that is known.
    """
    sites, (block, _, word) = flow.graph.sites, path.rpartition(".")
    if word == "final_norm":
        known = [w for w in sites if w.startswith(block) and w.endswith(".resid_post")]
    else:
        known = [w for w in sites if w.startswith(f"{block}.resid_") and not w.endswith("_post")]
    for name in reversed(known):
        if flow.depends(value, sites[name].place.value):
            return sites[name].place.value
    raise SelectionError(f"{path} reads no residual stream that is known")


def _receiver(
    flow: Flow,
    senders: Sequence[Sender],
    path: str,
    stream: Value,
    target: Value,
    roles: Mapping[str, str],
    axis: tuple[str, str] | None = None,
) -> Receiver:
    """A receiver with the nodes of the sum that it reads.

    Raises:
        SelectionError: if what it reads is not a sum of what is sent.
    """
    ends = {sender.into for sender in senders}
    nodes, heard, stack = set[Node](), set[Value](), [stream]
    while stack:
        value = stack.pop()
        node = flow.producer(value)
        if value in ends:
            heard.add(value)
        elif node is not None and node not in nodes:
            nodes.add(node)
            stack.extend(node.inputs)
    between = sorted(nodes, key=flow.index.position.__getitem__)
    if (bent := first_bent(between, heard)) is not None:
        raise SelectionError(
            f"the stream that {path} reads is not a sum: {bent.op.name} stands in it (from "
            f"{bent.origin})"
        )
    count = 1 if axis is None else flow.graph.axes[axis[1]]
    assert isinstance(count, int)
    places = frozenset(i for i, sender in enumerate(senders) if sender.into in heard)
    return Receiver(path, stream, target, roles, axis, count, tuple(between), places)
