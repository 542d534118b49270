"""Derivatives of `call` and `cond`, and the table of all rules of control flow.

Each rule leaves the branch or loop as it is and builds a second one beside it that is linear in
the tangents, so that a derivative can always be separated and transposed. The second one computes
again what it needs of the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graftwork.ir.build import Builder, Term
from graftwork.ir.derive_loops import pull_scan, pull_while, push_scan, push_while
from graftwork.ir.derive_parts import (
    Backward,
    Forward,
    Pull,
    Push,
    Tangent,
    fresh,
    materialized,
    moving,
    needed,
    plus,
    pushed,
    values,
)
from graftwork.ir.graph import Node, Region, Value
from graftwork.ir.op import REGISTRY


def _push_call(
    builder: Builder, node: Node, operands: list[Term], rates: list[Tangent], push: Push
) -> tuple[list[Term], list[Tangent]]:
    return push(builder, node.regions[0], operands, rates)


def _pull_call(
    builder: Builder, node: Node, operands: list[Term], active: list[int],
    cotangents: Sequence[Tangent], pull: Pull,
) -> dict[int, Tangent]:  # fmt: skip
    found = pull(builder, node.regions[0], operands, active, cotangents)
    return dict(zip(active, found, strict=True))


def _push_cond(
    builder: Builder, node: Node, operands: list[Term], rates: list[Tangent], push: Push
) -> tuple[Sequence[Term], list[Tangent]]:
    """The same choice between the derivatives of the branches."""
    outputs = builder.emit(node.op, operands, {}, node.regions)
    active = [i - 1 for i in moving(rates)]
    branches = [pushed(builder.typing, region, active, push) for region in node.regions]
    wanted = sorted({i for branch in branches for i in moving(branch.rates)})
    if not wanted:
        return outputs, [None] * len(outputs)
    regions = []
    for branch in branches:
        ends = branch.ends(wanted)
        nodes, _ = needed(branch.builder.nodes, ends)
        regions.append(Region(values((*branch.primals, *branch.seeds.values())), nodes, ends))
    directions = [rate for rate in rates if rate is not None]
    found = builder.emit(node.op, [*operands, *directions], {}, regions)
    by_place = dict(zip(wanted, found, strict=True))
    return outputs, [by_place.get(i) for i in range(len(outputs))]


def _pull_cond(
    builder: Builder, node: Node, operands: list[Term], active: list[int],
    cotangents: Sequence[Tangent], pull: Pull,
) -> dict[int, Tangent]:  # fmt: skip
    pred, *args = operands
    places = [i - 1 for i in active]
    rule = _pull_select if pred.axes else _pull_branch
    return dict(zip(active, rule(builder, node, pred, args, places, cotangents, pull), strict=True))


def _pull_select(
    builder: Builder, node: Node, pred: Term, args: list[Term], places: list[int],
    cotangents: Sequence[Tangent], pull: Pull,
) -> list[Tangent]:  # fmt: skip
    """Both branches run backward, each from the elements that chose it."""
    select = REGISTRY["select"]
    total: list[Tangent] = [None] * len(places)
    for region, taken in zip(node.regions, (True, False), strict=True):
        given: list[Tangent] = []
        for i, ct in enumerate(cotangents):
            if ct is None:
                given.append(None)
            else:
                chosen = select(pred, ct, 0.0) if taken else select(pred, 0.0, ct)
                given.append(_narrowed(chosen, node.outputs[i], region.outputs[i]))
        found = pull(builder, region, args, places, given)
        total = [plus(a, b) for a, b in zip(total, found, strict=True)]
    return total


def _narrowed(ct: Term, outside: Value, inside: Value) -> Term:
    """The cotangent of a branch's own output, which may lack axes that the choice has."""
    extra = [axis for axis in outside.axes if axis not in inside.type.axis_set]
    return ct.sum(*extra) if extra else ct


def _pull_branch(
    builder: Builder, node: Node, pred: Term, args: list[Term], places: list[int],
    cotangents: Sequence[Tangent], pull: Pull,
) -> list[Tangent]:  # fmt: skip
    """The same choice between the branches run backward."""
    given = {i: ct for i, ct in enumerate(cotangents) if ct is not None}
    kept = [i for i in range(len(args)) if i not in places]
    regions = []
    for region in node.regions:
        inner = Builder(builder.typing)
        inputs = fresh(inner, region.inputs)
        incoming = dict(zip(given, fresh(inner, (node.outputs[i] for i in given)), strict=True))
        wanted = [
            _narrowed(incoming[i], outside, inside) if i in incoming else None
            for i, (outside, inside) in enumerate(zip(node.outputs, region.outputs, strict=True))
        ]
        found = pull(inner, region, inputs, places, wanted)
        ends = [materialized(ct, inputs[i]) for i, ct in zip(places, found, strict=True)]
        entries = (*(inputs[i] for i in kept), *incoming.values())
        regions.append(Region(values(entries), tuple(inner.nodes), values(ends)))
    fed = [pred, *(args[i] for i in kept), *given.values()]
    return list(builder.emit(node.op, fed, {}, regions))


FORWARD: Mapping[str, Forward] = {
    "call": _push_call,
    "cond": _push_cond,
    "while": push_while,
    "scan": push_scan,
}
BACKWARD: Mapping[str, Backward] = {
    "call": _pull_call,
    "cond": _pull_cond,
    "while": pull_while,
    "scan": pull_scan,
}
