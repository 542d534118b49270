"""Putting the field's words on the places that a model's structure shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from attrs import define, evolve, field, frozen, mutable

from graftwork.ir.calls import is_within, module_of
from graftwork.ir.graph import Graph, Node, Parameter, Port, Value
from graftwork.ir.sites import Place, Site, Sites, Span
from graftwork.passes.attention import PRODUCTS
from graftwork.passes.base import Pass
from graftwork.passes.sites.blocks import Block, Layer, cut, element
from graftwork.passes.sites.branches import (
    Attention,
    Branch,
    Kind,
    Mixer,
    Mixture,
    Mlp,
    Roles,
    positions,
    read_branch,
)
from graftwork.passes.sites.stream import NORMS, Flow, streams


@frozen
class FindSites(Pass):
    """Find the canonical sites of transformers and their kin: decoders, encoders, pairs of both.

    Nodes stay as they are; only the table of sites is new. A block that is not recognised says
    why in `graph.sites.unrecognised`.
    """

    promise = "bitwise"
    idempotent = True

    def __call__(self, graph: Graph) -> Graph:
        flow = Flow(graph)
        table = _Table()
        named = _named(_stacks(flow))
        for prefix, stack in named:
            _Writer(flow, table, prefix, stack).write()
        _write_logits(flow, table, [stack for _, stack in named])
        _write_rest(flow, table)
        return graph.evolve(sites=Sites(table.sites, table.spans, table.unrecognised))


@mutable
class _Table:
    sites: dict[str, Site] = field(factory=dict)
    spans: dict[str, Span] = field(factory=dict)
    unrecognised: dict[str, str] = field(factory=dict)
    attended: set[Value] = field(factory=set)


@define(eq=False, slots=False)
class _Stack:
    """A residual stream, cut into blocks.

    Attributes:
        begin, end: the stream before and after them, outside of the scans that they are in.
        steps: for each block at which step of those scans it is; a body that is scanned n times
            makes n blocks.
    """

    blocks: tuple[Block, ...]
    begin: Value
    end: Value
    steps: tuple[tuple[int, ...], ...]

    @property
    def kinds(self) -> Iterator[Kind]:
        for block in self.blocks:
            for layer in block:
                for branch in layer.branches:
                    yield from branch.kinds

    @property
    def attentions(self) -> Iterator[Attention]:
        return (kind for kind in self.kinds if isinstance(kind, Attention))

    @property
    def attending(self) -> Iterator[tuple[Value, Attention]]:
        """Each attention, and the stream that its branch reads."""
        for block in self.blocks:
            for layer in block:
                for kind in (kind for branch in layer.branches for kind in branch.kinds):
                    if isinstance(kind, Attention):
                        yield layer.step.before, kind

    def is_learned(self, flow: Flow) -> bool:
        """Whether what is added to the stream comes of products with parameters."""
        parameters = {parameter.value for parameter in flow.graph.parameters}
        branches = (b for block in self.blocks for layer in block for b in layer.branches)
        nodes = (node for b in branches for node in flow.between(b.start, b.out))
        products = (node for node in nodes if node.op.name in {*PRODUCTS, "conv"})
        return any(flow.through(x) in parameters for node in products for x in node.inputs)

    def goes_on(self, flow: Flow, other: _Stack) -> bool:
        """Whether another stack is made of this one's end, by later modules of one list.

        One that is scanned goes on in the next that begins where it ends.
        """
        if any(self.steps[-1:] + other.steps[:1]):
            return flow.through(other.begin) is self.end
        end, start = self.blocks[-1][-1].step, other.blocks[0][0].step
        one, two = element(end.module), element(start.module)
        listed = one != two and one.rpartition(".")[0] == two.rpartition(".")[0] != ""
        same = self.end.axes == other.begin.axes
        return listed and same and flow.depends(other.begin, self.end)

    @cached_property
    def roles(self) -> Roles:
        """The roles of the stream's axes, from what its first branch that mixes does with them."""
        axes = self.blocks[0][0].step.total.axes
        along = next((k.along for k in self.kinds if isinstance(k, Attention | Mixer)), ())
        first = next(self.attentions, None)
        batch = first.q[1].get("batch") if first is not None else next(iter(axes), None)
        rest = [axis for axis in axes if axis not in (*along, batch)]
        found: dict[str, str | None] = {"batch": batch, **positions(along)} if along else {}
        found["embed"] = rest[-1] if rest else None
        return {role: axis for role, axis in found.items() if axis is not None and axis in axes}

    @property
    def is_plain(self) -> bool:
        """Whether the stream has positions, and features from its beginning."""
        begins = self.begin.axes
        return self.roles.get("embed") in begins and not {"seq", "height"}.isdisjoint(self.roles)


def _stacks(flow: Flow) -> list[_Stack]:
    """The stacks of a graph, those that a scan over layers makes too."""
    adds = [
        node for node in flow.graph.nodes if node.op.name == "add" and "/" not in node.origin.module
    ]
    found: list[_Stack] = []
    for chain in streams(flow, adds):
        layers = [
            Layer(step, tuple(read_branch(flow, step.before, b) for b in step.branches))
            for step in chain
        ]
        if blocks := cut(layers):
            ends = blocks[0][0].step.before, blocks[-1][-1].step.after
            found.append(_Stack(blocks, *ends, ((),) * len(blocks)))
    plain = [stack for stack in _innermost(flow, found) if stack.is_plain]
    scanned = [s for node in flow.graph.nodes for s in _scanned(flow, node)]
    return _joined(flow, sorted((*plain, *scanned), key=lambda stack: flow.place(stack.end)))


def _scanned(flow: Flow, node: Node) -> list[_Stack]:
    """The stacks in the body of a scan that go from what it carries in to what it carries out."""
    if node.op.name != "scan" or "/" in node.origin.module:
        return []
    length = flow.graph.axes[node.attrs["axis"]]
    if not isinstance(length, int):
        return []
    order = range(length)[:: -1 if node.attrs["reverse"] else 1]
    inner = Flow(_body(flow.graph, node))
    (body,) = node.regions
    found = []
    for stack in _stacks(inner):
        end = body.outputs.index(stack.end) if stack.end in body.outputs else node.attrs["carry"]
        if end < node.attrs["carry"] and inner.through(stack.begin) is body.inputs[end]:
            steps = tuple((i, *step) for i in order for step in stack.steps)
            blocks = stack.blocks * length
            found.append(_Stack(blocks, node.inputs[end], node.outputs[end], steps))
    return found


def _body(graph: Graph, node: Node) -> Graph:
    """The body of a scan as a graph; what it is given of parameters are its parameters."""
    (body,) = node.regions
    held = {parameter.value for parameter in graph.parameters}
    ports = [Port(str(i), value, value.axes) for i, value in enumerate(body.inputs)]
    given = list(zip(ports, node.inputs, strict=True))
    return Graph(
        tuple(port for port, value in given if value not in held),
        tuple(Parameter(p.name, p.value, p.layout) for p, value in given if value in held),
        body.nodes,
        tuple(Port(str(i), value, value.axes) for i, value in enumerate(body.outputs)),
        graph.axes,
    )


def _innermost(flow: Flow, stacks: Sequence[_Stack]) -> list[_Stack]:
    """Stacks without those around others, all of whose attention is that of inner streams.

    Those without attention must have weights, else they are sums inside a mixer.
    """
    owners: dict[Value, tuple[int, _Stack]] = {}
    for stack in stacks:
        for start, attention in stack.attending:
            place, _ = owners.get(attention.z[0], (-2, stack))
            if flow.place(start) > place:
                owners[attention.z[0]] = flow.place(start), stack
    inner = {stack for _, stack in owners.values()}
    return [s for s in stacks if s in inner or (not any(s.attentions) and s.is_learned(flow))]


def _joined(flow: Flow, stacks: Sequence[_Stack]) -> list[_Stack]:
    """Stacks, where the modules of one list make one each (it mixes streams between) as one."""
    found: list[_Stack] = []
    for stack in stacks:
        last = found[-1] if found else None
        if last is not None and last.goes_on(flow, stack):
            blocks, steps = last.blocks + stack.blocks, last.steps + stack.steps
            found[-1] = _Stack(blocks, last.begin, stack.end, steps)
        else:
            found.append(stack)
    return found


def _named(stacks: Sequence[_Stack]) -> list[tuple[str, _Stack]]:
    """Stacks with what their paths begin with; one that attends alone has the plain words.

    A stack that cross-attends is the decoder of those that it attends to.
    """
    attending = [s for s in stacks if any(s.attentions)] or list(stacks)
    others = [s for s in stacks if s not in attending]
    decoders = [s for s in attending if any(a.cross for a in s.attentions)]
    encoders = [s for s in attending if s not in decoders]
    if decoders:
        named = _numbered("encoder", encoders) + _numbered("decoder", decoders)
    elif len(attending) == 1:
        named = [("", attending[0])]
    else:
        return _numbered("stack", stacks)
    return _numbered("stack", others) + named


def _numbered(word: str, stacks: Sequence[_Stack]) -> list[tuple[str, _Stack]]:
    if len(stacks) == 1:
        return [(f"{word}.", stacks[0])]
    return [(f"{word}s.{i}.", stack) for i, stack in enumerate(stacks)]


class _Writer:
    """Writes the sites of one stack."""

    def __init__(self, flow: Flow, table: _Table, prefix: str, stack: _Stack) -> None:
        self.flow = flow
        self.table = table
        self.prefix = prefix
        self.stack = stack
        self.steps: tuple[int, ...] = ()

    def write(self) -> None:
        self._embeddings()
        for number, block in enumerate(self.stack.blocks):
            self.steps = self.stack.steps[number]
            self._block(f"{self.prefix}blocks.{number}", block)
        self.steps = ()
        norms = [n for n in self.flow.users(self.stack.end) if n.op.name in NORMS]
        if len(norms) == 1 and not self._is_inside(norms[0]):
            self._site(f"{self.prefix}final_norm", norms[0].outputs[0], self.stack.roles)

    def _is_inside(self, node: Node) -> bool:
        """Whether a node is in the module of the last block."""
        block = element(self.stack.blocks[-1][-1].step.module)
        return bool(block) and is_within(module_of(node.origin.module), block)

    def _site(self, path: str, place: Place | Value, roles: Roles) -> None:
        place = place if isinstance(place, Place) else Place(place)
        words = {axis: role for role, axis in roles.items()}
        order = roles.values() if place.inner else place.value.axes
        kept = {words[axis]: axis for axis in order if axis in words}
        self.table.sites[path] = Site(evolve(place, steps=self.steps), kept)

    def _embeddings(self) -> None:
        """The terms of the stream's start: the one that reads token ids, the one of positions.

        What is the same at all positions, such as a bias, belongs to what it is added to.
        """
        start = self.stack.begin
        while (node := self.flow.producer(start)) is not None and node.op.name in NORMS:
            start = self.flow.through(node.inputs[0])
        needed = {axis for role, axis in self.stack.roles.items() if role != "batch"}
        summed = self.flow.terms(node) if node is not None and node.op.name == "add" else ()
        terms = [term for term in summed if needed <= term.type.axis_set]
        terms = terms if len(terms) > 1 else [start]
        inputs = [port.value for port in self.flow.graph.inputs]
        for term in terms:
            reads = any(self.flow.depends(term, x) for x in inputs)
            name = "embed" if reads or len(terms) == 1 else "pos_embed"
            path = f"{self.prefix}{name}"
            if path not in self.table.sites:
                self._site(path, term, self.stack.roles)

    def _block(self, path: str, block: Block) -> None:
        roles = self.stack.roles
        self._site(f"{path}.resid_pre", block[0].step.before, roles)
        for place, layer in enumerate(block):
            for branch in layer.branches:
                self._branch(path, branch)
            if place + 1 < len(block):
                word = "resid_mid" if place == 0 else f"resid_mid_{place + 1}"
                self._site(f"{path}.{word}", layer.step.after, roles)
        self._site(f"{path}.resid_post", block[-1].step.after, roles)

    def _branch(self, path: str, branch: Branch) -> None:
        if branch.problem:
            known = self.table.unrecognised.get(path)
            told = branch.problem if known is None else f"{known}; {branch.problem}"
            self.table.unrecognised[path] = told
        for kind in branch.kinds:
            name = self._free(f"{path}.{_word(kind)}")
            self._site(f"{name}.in", branch.start, self.stack.roles)
            if isinstance(kind, Attention):
                self._attention(name, kind)
            elif isinstance(kind, Mlp):
                self._site(f"{name}.pre", kind.pre, self._instead(mlp=kind.hidden))
                self._site(f"{name}.post", kind.post, self._instead(mlp=kind.hidden))
            elif isinstance(kind, Mixture):
                self._mixture(name, kind)
            self._site(f"{name}.out", branch.out, self.stack.roles)
            ends = (Place(value, steps=self.steps) for value in (branch.start, branch.out))
            self.table.spans[name] = Span(*ends)

    def _mixture(self, path: str, found: Mixture) -> None:
        places = [("router", found.router, self._instead(experts=found.experts))]
        if found.given is not None:
            places.append(("experts", found.given, self.stack.roles | {"chosen": found.chosen}))
        for word, value, roles in places:
            merged = [axis for axis in value.axes if axis not in roles.values()]
            self._site(f"{path}.{word}", value, roles | ({"tokens": merged[0]} if merged else {}))

    def _free(self, path: str) -> str:
        """A path that no other branch of the block has taken: `attn`, then `attn_2`."""
        name, count = path, 1
        while name in self.table.spans:
            count += 1
            name = f"{path}_{count}"
        return name

    def _instead(self, **features: str) -> Roles:
        """The roles of the stream with other features."""
        return {r: a for r, a in self.stack.roles.items() if r != "embed"} | features

    def _attention(self, path: str, found: Attention) -> None:
        for word in ("q", "k", "v", "scores", "pattern", "z"):
            self._site(f"{path}.{word}", *getattr(found, word))
        self.table.attended.add(found.z[0])


def _word(kind: Kind) -> str:
    """What a branch is called."""
    if isinstance(kind, Attention):
        return "cross_attn" if kind.cross else "attn"
    return {Mlp: "mlp", Mixture: "moe", Mixer: "mixer"}[type(kind)]


def _write_rest(flow: Flow, table: _Table) -> None:
    """Attention that no block holds is named by its module."""
    for node, found in flow.attentions.items():
        if found.z not in table.attended:
            table.unrecognised.setdefault(
                node.origin.module or "attention", "its attention is in no recognised branch"
            )


def _write_logits(flow: Flow, table: _Table, stacks: Sequence[_Stack]) -> None:
    """The output that a product with a parameter makes from the end of the last stack."""
    if not stacks:
        return
    stack = stacks[-1]
    for port in flow.graph.outputs:
        node = _product_behind(flow, port.value)
        if node is None or not flow.depends(port.value, stack.end):
            continue
        roles = {role: axis for role, axis in stack.roles.items() if role != "embed"}
        free = [a for a in port.value.axes if a not in roles.values()]
        if len(free) == 1 and stack.roles.get("seq") in port.value.type.axis_set:
            roles["vocab"] = free[0]
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
