"""Putting the field's words on the places that a model's structure shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import field, frozen, mutable

from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.sites import Place, Site, Sites, Span
from graftwork.passes.base import Pass
from graftwork.passes.sites.branches import PRODUCTS, Attention, Mlp, classify
from graftwork.passes.sites.stream import NORMS, Flow, Step, streams


@frozen
class FindSites(Pass):
    """Find the canonical sites of transformers: decoders, encoders and pairs of both.

    Nodes stay as they are; only the table of sites is new. A block that is not recognised says
    why in `graph.sites.unrecognised`.
    """

    promise = "bitwise"
    idempotent = True

    def __call__(self, graph: Graph) -> Graph:
        flow = Flow(graph)
        adds = [
            node for node in graph.nodes if node.op.name == "add" and "/" not in node.origin.module
        ]
        stacks = [stack for chain in streams(flow, adds) if (stack := _stack(flow, chain)).blocks]
        table = _Table()
        for prefix, stack in _named(flow, stacks):
            _Writer(flow, table, prefix, stack).write()
        _write_logits(flow, table, [stack for _, stack in _named(flow, stacks)])
        return graph.evolve(sites=Sites(table.sites, table.spans, table.unrecognised))


@mutable
class _Table:
    sites: dict[str, Site] = field(factory=dict)
    spans: dict[str, Span] = field(factory=dict)
    unrecognised: dict[str, str] = field(factory=dict)


@frozen(eq=False)
class _Part:
    """One branch of a step, and what it is."""

    value: Value
    kind: Attention | Mlp | str


@frozen(eq=False)
class _Stack:
    """A residual stream, cut into blocks of steps with their branches."""

    blocks: tuple[tuple[tuple[Step, tuple[_Part, ...]], ...], ...]
    embed: str
    seq: str
    batch: str | None

    @property
    def attentions(self) -> Iterator[Attention]:
        for block in self.blocks:
            for _, parts in block:
                for part in parts:
                    if isinstance(part.kind, Attention):
                        yield part.kind

    @property
    def roles(self) -> dict[str, str]:
        batch = {} if self.batch is None else {"batch": self.batch}
        return batch | {"seq": self.seq, "embed": self.embed}


def _stack(flow: Flow, chain: Sequence[Step]) -> _Stack:
    """Cut a chain into blocks: each begins at the first self-attention after an MLP."""
    blocks: list[list[tuple[Step, tuple[_Part, ...]]]] = []
    begun = False
    for step in chain:
        parts = tuple(_Part(b, classify(flow, step.before, b)) for b in step.branches)
        attends = any(isinstance(p.kind, Attention) and not p.kind.cross for p in parts)
        if attends:
            blocks.append([])
            begun = True
        if begun:
            blocks[-1].append((step, parts))
    stack = _Stack(tuple(map(tuple, blocks)), "", "", None)
    first = next(stack.attentions, None)
    if first is None:
        return _Stack((), "", "", None)
    stream = chain[0].before.type
    roles = first.queries
    seq, batch = roles["seq"], roles.get("batch")
    embed = [a for a in stream.axes if a not in (seq, batch)]
    if len(embed) != 1:
        return _Stack((), "", "", None)
    return _Stack(stack.blocks, embed[0], seq, batch)


def _named(flow: Flow, stacks: Sequence[_Stack]) -> list[tuple[str, _Stack]]:
    """A stack that cross-attends is the decoder of the one that it attends to."""
    decoders = [s for s in stacks if any(a.cross for a in s.attentions)]
    if not decoders:
        if len(stacks) == 1:
            return [("", stacks[0])]
        return [(f"stacks.{i}.", stack) for i, stack in enumerate(stacks)]
    encoders = [s for s in stacks if s not in decoders]
    named = [
        ("encoder." if len(encoders) == 1 else f"encoders.{i}.", s) for i, s in enumerate(encoders)
    ]
    return named + [
        ("decoder." if len(decoders) == 1 else f"decoders.{i}.", s) for i, s in enumerate(decoders)
    ]


class _Writer:
    """Writes the sites of one stack."""

    def __init__(self, flow: Flow, table: _Table, prefix: str, stack: _Stack) -> None:
        self.flow = flow
        self.table = table
        self.prefix = prefix
        self.stack = stack

    def write(self) -> None:
        self._embeddings()
        for number, block in enumerate(self.stack.blocks):
            self._block(f"{self.prefix}blocks.{number}", block)
        last = self.stack.blocks[-1][-1][0].after
        norms = [n for n in self.flow.users(last) if n.op.name in NORMS]
        if len(norms) == 1:
            self._site(f"{self.prefix}final_norm", norms[0].outputs[0], self.stack.roles)

    def _site(
        self, path: str, value: Value, roles: dict[str, str], inner: tuple[str, ...] = ()
    ) -> None:
        order = roles.values() if inner else value.type.axes
        words = {axis: role for role, axis in roles.items()}
        kept = {words[axis]: axis for axis in order if axis in words}
        self.table.sites[path] = Site(Place(value, inner), kept)

    def _embeddings(self) -> None:
        """The terms of the stream's start: the one that reads token ids, the one of positions."""
        start = self.stack.blocks[0][0][0].before
        while (node := self.flow.producer(start)) is not None and node.op.name in NORMS:
            start = self.flow.through(node.inputs[0])
        terms = [start]
        if node is not None and node.op.name == "add":
            terms = self.flow.terms(node)
        inputs = [port.value for port in self.flow.graph.inputs]
        for term in terms:
            reads = any(self.flow.depends(term, x) for x in inputs if not x.type.dtype.is_float)
            whole = self.stack.embed in term.type.axis_set
            tokens = reads or (len(terms) == 1 and whole)
            name = "embed" if tokens else "pos_embed"
            path = f"{self.prefix}{name}"
            if whole and path not in self.table.sites:
                self._site(path, term, self.stack.roles)

    def _block(self, path: str, block: Sequence[tuple[Step, tuple[_Part, ...]]]) -> None:
        roles = self.stack.roles
        self._site(f"{path}.resid_pre", block[0][0].before, roles)
        for place, (step, parts) in enumerate(block):
            for part in parts:
                self._part(path, part)
            if place + 1 < len(block):
                word = "resid_mid" if place == 0 else f"resid_mid_{place + 1}"
                self._site(f"{path}.{word}", step.after, roles)
        self._site(f"{path}.resid_post", block[-1][0].after, roles)

    def _part(self, path: str, part: _Part) -> None:
        if isinstance(part.kind, Attention):
            word = "cross_attn" if part.kind.cross else "attn"
            self._attention(f"{path}.{word}", part.kind)
        elif isinstance(part.kind, Mlp):
            self._mlp(f"{path}.mlp", part.kind)
        else:
            self.table.unrecognised[path] = part.kind

    def _attention(self, path: str, found: Attention) -> None:
        z = found.node.outputs[0]
        self._site(f"{path}.in", found.start, self.stack.roles)
        self._site(f"{path}.q", found.q, found.queries)
        self._site(f"{path}.k", found.k, found.keys)
        self._site(f"{path}.v", found.v, found.values)
        self._site(f"{path}.scores", z, found.pattern, ("scores",))
        self._site(f"{path}.pattern", z, found.pattern, ("pattern",))
        self._site(f"{path}.z", z, found.z)
        self._site(f"{path}.out", found.out, self.stack.roles)
        self.table.spans[path] = Span(Place(found.start), Place(found.out))

    def _mlp(self, path: str, found: Mlp) -> None:
        neurons = self.stack.roles | {"mlp": found.hidden}
        del neurons["embed"]
        self._site(f"{path}.in", found.start, self.stack.roles)
        self._site(f"{path}.pre", found.pre, neurons)
        self._site(f"{path}.post", found.post, neurons)
        self._site(f"{path}.out", found.out, self.stack.roles)
        self.table.spans[path] = Span(Place(found.start), Place(found.out))


def _write_logits(flow: Flow, table: _Table, stacks: Sequence[_Stack]) -> None:
    """The output that a product with a parameter makes from the end of the last stack."""
    if not stacks:
        return
    stack = stacks[-1]
    end = stack.blocks[-1][-1][0].after
    for port in flow.graph.outputs:
        node = _product_behind(flow, port.value)
        if node is None or not flow.depends(port.value, end):
            continue
        free = [a for a in port.value.axes if a not in (stack.batch, stack.seq)]
        if len(free) == 1 and stack.seq in port.value.type.axis_set:
            roles = stack.roles | {"vocab": free[0]}
            del roles["embed"]
            table.sites["logits"] = Site(Place(port.value), roles)
            return


def _product_behind(flow: Flow, value: Value) -> Node | None:
    """The product that makes a value, through what acts on every element alone (a soft cap)."""
    node = flow.producer(value)
    while node is not None and node.op.name not in PRODUCTS:
        if "elementwise" not in node.op.traits and node.op.name != "rename":
            return None
        node = next(
            (p for v in node.inputs if (p := flow.producer(v)) is not None and v.axes), None
        )
    return node
