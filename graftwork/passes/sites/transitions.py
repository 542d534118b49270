"""Steps at which a stream changes its width or its positions, between the stages of a network.

There the branches are added not to what they read, but to a projection of it: by a product, a
convolution or a pooling, and nothing that bends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from graftwork.ir.calls import module_of
from graftwork.ir.graph import Node, Value
from graftwork.passes.attention import PRODUCTS
from graftwork.passes.sites.lineage import FEATURE, lineage
from graftwork.passes.sites.stream import NORMS, VIEWS, Flow, Step, after, step_at

_LINEAR = frozenset({"add", "sub", "mul", "div", "neg", "cast"})
_CHANGES = PRODUCTS | {"conv", "avg_pool", "max_pool", "mean", "max"}
_PROJECTS = _CHANGES | NORMS | VIEWS | _LINEAR | {"batch_norm"}


def transition_at(flow: Flow, node: Node, totals: Set[Value]) -> Step | None:
    """The transition that an add makes, if it makes one.

    `totals` are the sums of other steps: a branch has none of them inside, or else it would be a
    stretch of a stream.
    """
    terms = flow.terms(node)
    axes = node.output.type.axis_set
    if flow.joins(node) or len(terms) < 2 or any(t.type.axis_set != axes for t in terms):
        return None
    for shortcut in terms:
        branches = tuple(t for t in terms if t is not shortcut)
        for source in _projected(flow, shortcut):
            ways = [flow.between(source, branch) for branch in branches]
            if not all(_is_branch(flow, way, totals) for way in ways):
                continue
            maker = flow.producer(source)
            normed = maker is not None and maker.op.name in NORMS
            reads = flow.through(maker.inputs[0]) if maker is not None and normed else source
            return Step(
                module_of(node.origin.module), reads, shortcut, branches, node.output,
                after(flow, node.output), _places(flow, reads, shortcut),
            )  # fmt: skip
    return None


def steps(flow: Flow, adds: Sequence[Node]) -> list[Step]:
    """The steps that adds make, in order: of a stream as it is, and to another one."""
    plain = {node: step for node in adds if (step := step_at(flow, node)) is not None}
    begun = {step.before for step in plain.values()}
    totals = {step.total for step in plain.values()}
    found: list[Step] = []
    for node in adds:
        step = plain.get(node) or transition_at(flow, node, totals)
        if step is not None and (node in plain or step.reads not in begun):
            found.append(step)
            totals.add(step.total)
    return found


def _projected(flow: Flow, value: Value) -> Iterator[Value]:
    """The values that a value is a projection of, the nearest first."""
    changed = False
    while (node := flow.producer(value)) is not None:
        moving = [x for x in node.inputs if x not in flow.fixed]
        if len(moving) != 1 or not (node.op.name in _PROJECTS or "view" in node.op.traits):
            return
        (value,) = moving
        changed |= node.op.name in _CHANGES
        if changed:
            yield value


def _is_branch(flow: Flow, way: Sequence[Node], totals: Set[Value]) -> bool:
    """Whether something bends or attends on a way, and no other step is made."""
    bends = any(
        node in flow.attentions or ("elementwise" in node.op.traits and node.op.name not in _LINEAR)
        for node in way
    )
    return bends and not any(node.outputs[0] in totals for node in way)


def _places(flow: Flow, reads: Value, shortcut: Value) -> dict[str, str]:
    """Axis of what is read -> the axis of its projection that it became."""
    came = lineage(flow.between(reads, shortcut), {axis: axis for axis in reads.axes})
    return {came[axis]: axis for axis in shortcut.axes if came.get(axis, FEATURE) in reads.axes}
