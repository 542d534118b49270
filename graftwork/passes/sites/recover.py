"""Putting the field's words on the places that a model's structure shows."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen, mutable

from graftwork.ir.calls import is_within, module_of
from graftwork.ir.graph import Graph, Node, Value
from graftwork.ir.sites import Place, Site, Sites, Span
from graftwork.passes.attention import PRODUCTS
from graftwork.passes.base import Pass
from graftwork.passes.sites.blocks import Block, element
from graftwork.passes.sites.branches import (
    Attention,
    Branch,
    Kind,
    Mixer,
    Mixture,
    Mlp,
    Roles,
)
from graftwork.passes.sites.stacks import Stack, stacks_of
from graftwork.passes.sites.stream import NORMS, Flow, Step


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
        named = _named(stacks_of(flow))
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


def _named(stacks: Sequence[Stack]) -> list[tuple[str, Stack]]:
    """Stacks with what their paths begin with; one that attends alone has the plain words.

    A stack that cross-attends is the decoder of those that it attends to.
    """
    attending = [s for s in stacks if any(s.attentions)] or list(stacks)
    others = [s for s in stacks if s not in attending]
    decoders = [s for s in attending if any(a.cross for a in s.attentions)]
    encoders = [s for s in attending if s not in decoders]
    if len(attending) == 1:
        named = [("", attending[0])]
    elif decoders:
        named = _numbered("encoder", encoders) + _numbered("decoder", decoders)
    else:
        return _numbered("stack", stacks)
    return _numbered("stack", others) + named


def _numbered(word: str, stacks: Sequence[Stack]) -> list[tuple[str, Stack]]:
    if len(stacks) == 1:
        return [(f"{word}.", stacks[0])]
    return [(f"{word}s.{i}.", stack) for i, stack in enumerate(stacks)]


class _Writer:
    """Writes the sites of one stack."""

    def __init__(self, flow: Flow, table: _Table, prefix: str, stack: Stack) -> None:
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
        self.table.sites[path] = Site(Place(place.value, place.inner, self.steps), kept)

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
                self._branch(path, layer.step, branch)
            if place + 1 < len(block):
                word = "resid_mid" if place == 0 else f"resid_mid_{place + 1}"
                self._site(f"{path}.{word}", layer.step.after, roles)
        self._site(f"{path}.resid_post", block[-1].step.after, roles)

    def _branch(self, path: str, step: Step, branch: Branch) -> None:
        if branch.problem:
            known = self.table.unrecognised.get(path)
            told = branch.problem if known is None else f"{known}; {branch.problem}"
            self.table.unrecognised[path] = told
        for kind in branch.kinds:
            name = self._free(f"{path}.{_word(kind)}")
            self._site(f"{name}.in", branch.start, self._read(step))
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

    def _read(self, step: Step) -> Roles:
        """The roles of the axes of what a step reads: at a transition these are others."""
        places = {new: old for old, new in step.places.items()}
        known = {r: places[a] for r, a in self.stack.roles.items() if a in places}
        rest = [axis for axis in step.reads.axes if axis not in known.values()]
        return known if "embed" in known or len(rest) != 1 else known | {"embed": rest[0]}

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


def _write_logits(flow: Flow, table: _Table, stacks: Sequence[Stack]) -> None:
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
