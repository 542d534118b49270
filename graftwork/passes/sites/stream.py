"""Following the residual stream.

A stream value is read by a branch (attention, an MLP) and added to what the branch gives. So a
step of the stream is an `add` in which one term is an ancestor of all the others. In a post-norm
model the stream goes through a norm after each add; in a parallel model one add joins several
branches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import evolve, frozen

from graftwork.ir.calls import module_of
from graftwork.ir.graph import Graph, Node, Value
from graftwork.passes.attention import attentions
from graftwork.passes.unroll import refuse_scanned

VIEWS = frozenset({"rename", "cast", "stop_gradient"})
NORMS = frozenset({"layer_norm", "rms_norm"})


@frozen(eq=False)
class Step:
    """One step of a residual stream.

    Attributes:
        module: where the sum is written, in the source model.
        reads: the stream that the branches read.
        before: what they are added to: the same, or at a transition a projection of it.
        branches: what is added.
        total: the sum.
        after: the stream that the next step reads: the sum, or its norm in a post-norm model.
        places: axis of what is read -> the axis that it is in the sum.
    """

    module: str
    reads: Value
    before: Value
    branches: tuple[Value, ...]
    total: Value
    after: Value
    places: Mapping[str, str]


class Flow:
    """A graph, asked about dependence between values that lie close together.

    Attributes:
        attentions: the node that ends an attention -> the attention.
        fixed: the values that are the same for all inputs.
        weights: those of them that are parameters, or made of parameters.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.index = graph.index
        producers = self.index.producer.items()
        self._places = {value: self.index.position[node] for value, node in producers}
        found = attentions(graph.nodes, self.index.producer, self.index.users_of)
        self.attentions = {self.index.producer[each.z]: each for each in found}
        self.weights = {parameter.value for parameter in graph.parameters}
        self.fixed = set(self.weights)
        for node in graph.nodes:
            if self.fixed.issuperset(node.inputs):
                self.fixed.update(node.outputs)
                if not self.weights.isdisjoint(node.inputs):
                    self.weights.update(node.outputs)

    def producer(self, value: Value) -> Node | None:
        return self.index.producer.get(value)

    def place(self, value: Value) -> int:
        """Position of the producer; inputs come before everything."""
        return self._places.get(value, -1)

    def depends(self, value: Value, source: Value) -> bool:
        """Whether `value` is computed from `source`; looks only at the nodes between them."""
        return value is source or source in self.cone(value, source)

    def cone(self, value: Value, source: Value) -> set[Value]:
        """What `value` depends on, back to where `source` is defined."""
        producer, places = self.index.producer, self._places
        floor = self.place(source)
        seen: set[Value] = {value}
        stack = [value]
        while stack:
            node = producer.get(stack.pop())
            if node is None:
                continue
            for read in node.inputs:
                if read not in seen and (read is source or places.get(read, -1) > floor):
                    seen.add(read)
                    stack.append(read)
        return seen

    def between(self, source: Value, value: Value) -> list[Node]:
        """The nodes on paths from `source` to `value`, in order."""
        cone = self.cone(value, source)
        nodes = {node for v in cone if v is not source and (node := self.producer(v)) is not None}
        reached = {source}
        on_path = []
        for node in sorted(nodes, key=self.index.position.__getitem__):
            if any(read in reached for read in node.inputs):
                reached.update(node.outputs)
                on_path.append(node)
        return on_path

    def through(self, value: Value, ops: frozenset[str] = VIEWS) -> Value:
        """The value behind ops that only dress it up."""
        while (node := self.producer(value)) is not None and node.op.name in ops:
            value = node.inputs[0]
        return value

    def users(self, value: Value) -> Iterator[Node]:
        """The nodes that read a value, looking through views."""
        for node in self.index.users_of(value):
            if node.op.name in VIEWS:
                yield from self.users(node.outputs[0])
            else:
                yield node

    def terms(self, node: Node) -> list[Value]:
        """The terms of a sum, through inner sums that nothing else reads."""
        found: list[Value] = []
        stack = list(reversed(node.inputs))
        while stack:
            value = stack.pop()
            inner = self.producer(self.through(value))
            if inner is not None and inner.op.name == "add" and self.joins(inner):
                stack.extend(reversed(inner.inputs))
            else:
                found.append(value)
        return found

    def joins(self, node: Node) -> bool:
        """Whether a sum is a part of a larger one: that alone reads it, and its terms are whole.

        A bias, which lacks axes, belongs to what it is added to.
        """
        value = node.output
        if not all(read.type.axis_set == value.type.axis_set for read in node.inputs):
            return False
        users = list(self.users(value))
        return value not in self.index.outputs and [n.op.name for n in users] == ["add"]


def sited_flow(graph: Graph) -> Flow:
    """A graph whose sites are at its top level, asked about dependence between them.

    Raises:
        SelectionError: if its layers are scanned.
    """
    refuse_scanned(site.place for site in graph.sites.values())
    return Flow(graph)


def step_at(flow: Flow, node: Node) -> Step | None:
    """The step of the stream that an add makes, if it makes one."""
    total = node.output
    if flow.joins(node):
        return None
    terms = flow.terms(node)
    first = min(terms, key=lambda t: flow.place(flow.through(t)))
    before = flow.through(first)
    whole = total.type.axis_set
    branches = tuple(t for t in terms if t is not first and t.type.axis_set == whole)
    if not before.axes or not branches:
        return None
    if not all(flow.depends(branch, before) for branch in branches):
        return None
    return Step(
        module_of(node.origin.module), before, before, branches, total, after(flow, total),
        {axis: axis for axis in before.axes},
    )  # fmt: skip


def after(flow: Flow, total: Value, *, norms: bool = True) -> Value:
    """The stream behind a factor, and in a post-norm model behind the norm that alone reads it."""
    value = total
    while value not in flow.index.outputs:
        users = list(flow.users(value))
        if len(users) != 1:
            break
        (user,) = users
        normed = norms and user.op.name in NORMS and sum(1 for _ in flow.users(user.output)) > 1
        if not normed and not _scales(flow, user, value):
            break
        value = user.output
        if normed:
            break
    return value


def _scales(flow: Flow, node: Node, value: Value) -> bool:
    """Whether a node multiplies or divides a stream by a number."""
    if node.op.name not in ("mul", "div") or node.output.type.axis_set != value.type.axis_set:
        return False
    others = [x for x in node.inputs if flow.through(x) is not flow.through(value)]
    divides = node.op.name == "div" and others == [node.inputs[0]]
    return len(others) == 1 and not others[0].axes and not divides


def streams(flow: Flow, steps: Sequence[Step]) -> list[list[Step]]:
    """Chains of steps, each going on from where the one before ended.

    A branch may read the end of a step and be added to its beginning; it goes on from the end.
    What is added to a stream on its way into a branch, such as positions, begins no chain.
    """
    held = {value for step in steps for value in (step.before, step.after)}
    chains: list[list[Step]] = []
    ends: dict[Value, list[Step]] = {}
    begun: dict[Value, list[Step]] = {}
    for step in steps:
        chain = ends.pop(step.before, None)
        around = begun.get(step.before)
        if chain is None and around is not None and _goes_on(flow, step, around[-1]):
            step = evolve(step, reads=around[-1].after, before=around[-1].after)
            chain = ends.pop(step.before, None)
        if chain is None:
            if not held.isdisjoint(map(flow.through, step.branches)):
                continue
            chain = []
            chains.append(chain)
        chain.append(step)
        begun[step.before] = ends[step.after] = chain
    return [_ended(flow, chain) for chain in chains]


def _ended(flow: Flow, chain: list[Step]) -> list[Step]:
    """A chain whose end is normed only if it was normed before, so that a final norm is no step."""
    *others, last = chain
    makers = [flow.producer(step.after) for step in others]
    if not others or any(maker is not None and maker.op.name in NORMS for maker in makers):
        return chain
    return [*others, evolve(last, after=after(flow, last.total, norms=False))]


def _goes_on(flow: Flow, step: Step, last: Step) -> bool:
    """Whether a step is added to where the last one began, but reads where it ended."""
    return step.before is last.before and all(flow.depends(b, last.after) for b in step.branches)
