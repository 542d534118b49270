"""The residual streams of a model as stacks of blocks, those that a scan over layers makes too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from attrs import define

from graftwork.ir.graph import Graph, Node, Parameter, Port, Value
from graftwork.passes.attention import PRODUCTS
from graftwork.passes.sites.blocks import Block, Layer, cut, element
from graftwork.passes.sites.branches import Attention, Kind, Mixer, Roles, positions, read_branch
from graftwork.passes.sites.stream import Flow, streams
from graftwork.passes.sites.transitions import steps


@define(eq=False, slots=False)
class Stack:
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
                        yield layer.step.reads, kind

    def is_learned(self, flow: Flow) -> bool:
        """Whether what is added to the stream comes of products with parameters."""
        branches = (b for block in self.blocks for layer in block for b in layer.branches)
        nodes = (node for b in branches for node in flow.between(b.start, b.out))
        products = (node for node in nodes if node.op.name in {*PRODUCTS, "conv"})
        return any(x in flow.weights for node in products for x in node.inputs)

    def goes_on(self, flow: Flow, other: Stack) -> bool:
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
        along = next(self._along(), ())
        batches = (attention.q[1].get("batch") for attention in self.attentions)
        attends = any(self.attentions)
        batch = next(filter(None, batches), None) if attends else next(iter(axes), None)
        rest = [axis for axis in axes if axis not in (*along, batch)]
        found: dict[str, str | None] = {"batch": batch, **positions(along)} if along else {}
        found["embed"] = rest[-1] if rest else None
        return {role: axis for role, axis in found.items() if axis is not None and axis in axes}

    def _along(self) -> Iterator[tuple[str, ...]]:
        """The axes of the stream that each branch which mixes does so along."""
        for block in self.blocks:
            for layer in block:
                for kind in (kind for branch in layer.branches for kind in branch.kinds):
                    if isinstance(kind, Attention | Mixer):
                        yield tuple(layer.step.places.get(axis, axis) for axis in kind.along)

    @property
    def is_plain(self) -> bool:
        """Whether the stream has positions, and features from its beginning."""
        begins = self.begin.axes
        return self.roles.get("embed") in begins and not {"seq", "height"}.isdisjoint(self.roles)


def stacks_of(flow: Flow) -> list[Stack]:
    """The stacks of a graph, those that a scan over layers makes too."""
    adds = [
        node for node in flow.graph.nodes if node.op.name == "add" and "/" not in node.origin.module
    ]
    found: list[Stack] = []
    for chain in streams(flow, steps(flow, adds)):
        layers = [
            Layer(step, tuple(read_branch(flow, step.reads, b) for b in step.branches))
            for step in chain
        ]
        if blocks := cut(layers):
            ends = blocks[0][0].step.before, blocks[-1][-1].step.after
            found.append(Stack(blocks, *ends, ((),) * len(blocks)))
    plain = [stack for stack in _innermost(flow, found) if stack.is_plain]
    scanned = [s for node in flow.graph.nodes for s in _scanned(flow, node)]
    return _joined(flow, sorted((*plain, *scanned), key=lambda stack: flow.place(stack.end)))


def _scanned(flow: Flow, node: Node) -> list[Stack]:
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
    for stack in stacks_of(inner):
        end = body.outputs.index(stack.end) if stack.end in body.outputs else node.attrs["carry"]
        if end < node.attrs["carry"] and inner.through(stack.begin) is body.inputs[end]:
            steps = tuple((i, *step) for i in order for step in stack.steps)
            blocks = stack.blocks * length
            found.append(Stack(blocks, node.inputs[end], node.outputs[end], steps))
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


def _innermost(flow: Flow, stacks: Sequence[Stack]) -> list[Stack]:
    """Stacks without those around others, all of whose attention is that of inner streams.

    Those without attention must have weights, else they are sums inside a mixer.
    """
    owners: dict[Value, tuple[int, Stack]] = {}
    for stack in stacks:
        for start, attention in stack.attending:
            place, _ = owners.get(attention.z[0], (-2, stack))
            if flow.place(start) > place:
                owners[attention.z[0]] = flow.place(start), stack
    inner = {stack for _, stack in owners.values()}
    return [s for s in stacks if s in inner or (not any(s.attentions) and s.is_learned(flow))]


def _joined(flow: Flow, stacks: Sequence[Stack]) -> list[Stack]:
    """Stacks, where the modules of one list make one each (it mixes streams between) as one."""
    found: list[Stack] = []
    for stack in stacks:
        last = found[-1] if found else None
        if last is not None and last.goes_on(flow, stack):
            blocks, steps = last.blocks + stack.blocks, last.steps + stack.steps
            found[-1] = Stack(blocks, last.begin, stack.end, steps)
        else:
            found.append(stack)
    return found
