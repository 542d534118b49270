"""Derivatives of `while` and `scan`.

The derivative of a scan is a scan over the same axis that carries tangents. The first scan hands
it the carries before each step, from which it computes that step again; so it is linear in the
tangents, and its transpose is a scan in the other direction. A `while` loop, which may run any
number of times, has a forward derivative only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

from graftwork.ir.build import Builder, Term
from graftwork.ir.derive_parts import (
    Pull,
    Push,
    Pushed,
    Tangent,
    fresh,
    materialized,
    moving,
    needed,
    plus,
    pushed,
    values,
)
from graftwork.ir.errors import UnsupportedOpError
from graftwork.ir.graph import Node, Region, Value
from graftwork.ir.types import Typing


def _settled(typing: Typing, body: Region, active: Iterable[int], carry: int, push: Push) -> Pushed:
    """The derivative of a loop's body, once it is known which carries move."""
    moved = set(active)
    while True:
        result = pushed(typing, body, moved, push)
        more = {i for i in moving(result.rates) if i < carry} - moved
        if not more:
            return result
        moved |= more


# --- while --------------------------------------------------------------------------------------


def push_while(
    builder: Builder, node: Node, operands: list[Term], rates: list[Tangent], push: Push
) -> tuple[Sequence[Term], list[Tangent]]:
    """A loop over the carries and their tangents, with the same condition."""
    test, body = node.regions
    carry: int = node.attrs["carry"]
    outputs = builder.emit(node.op, operands, node.attrs.as_dict(), node.regions)
    twin = _settled(builder.typing, body, moving(rates), carry, push)
    carried = [i for i in twin.seeds if i < carry]
    fixed = [i for i in twin.seeds if i >= carry]

    def interleaved(own: Sequence[Value], seeds: Sequence[Value]) -> tuple[Value, ...]:
        split = len(carried)
        return (*own[:carry], *seeds[:split], *own[carry:], *seeds[split:])

    seeds = values(twin.seeds[i] for i in (*carried, *fixed))
    ends = (*values(twin.outputs), *twin.ends(carried))
    both = Region(interleaved(values(twin.primals), seeds), tuple(twin.builder.nodes), ends)
    ignored = values(fresh(twin.builder, seeds))
    same_test = Region(interleaved(test.inputs, ignored), test.nodes, test.outputs)
    start = values(materialized(rates[i], operands[i]) for i in (*carried, *fixed))
    fed = [Term(v, builder) for v in interleaved(values(operands), start)]
    found = builder.emit(node.op, fed, {"carry": carry + len(carried)}, (same_test, both))
    by_place = dict(zip(carried, found[carry:], strict=True))
    return outputs, [by_place.get(i) for i in range(carry)]


def pull_while(
    builder: Builder, node: Node, operands: list[Term], active: list[int],
    cotangents: Sequence[Tangent], pull: Pull,
) -> NoReturn:  # fmt: skip
    """Refuse.

    Raises:
        UnsupportedOpError: always.
    """
    raise UnsupportedOpError(
        f"a while loop has no backward derivative (from {node.origin}): how often it runs is not "
        "known beforehand; use a scan over a named axis, or forward derivatives"
    )


# --- scan ---------------------------------------------------------------------------------------


def push_scan(
    builder: Builder, node: Node, operands: list[Term], rates: list[Tangent], push: Push
) -> tuple[Sequence[Term], list[Tangent]]:
    """A second scan that carries the tangents."""
    (body,) = node.regions
    attrs = node.attrs.as_dict()
    carry, last = attrs["carry"], attrs["carry"] + attrs["xs"]
    twin = _settled(builder.typing, body, moving(rates), carry, push)
    carried = [i for i in twin.seeds if i < carry]
    wanted = [*carried, *(i for i in moving(twin.rates) if i >= carry)]
    ends = twin.ends(wanted)
    nodes, live = needed(twin.builder.nodes, ends)
    used = [i for i, x in enumerate(twin.primals) if x.value in live]

    kept = [i for i in used if i < carry]
    stacking = Region(body.inputs, body.nodes, (*body.outputs, *(body.inputs[i] for i in kept)))
    found = builder.emit(node.op, operands, attrs, (stacking,))
    if not wanted:
        return found, [None] * len(found)
    outputs, before = found[: len(body.outputs)], found[len(body.outputs) :]
    primals = dict(enumerate(operands)) | dict(zip(kept, before, strict=True))

    directions = {i: materialized(rates[i], operands[i]) for i in twin.seeds}
    carries = [(twin.seeds[i], directions[i]) for i in carried]
    xs = [(twin.primals[i], primals[i]) for i in used if i < last]
    xs += [(twin.seeds[i], directions[i]) for i in twin.seeds if carry <= i < last]
    consts = [(twin.primals[i], primals[i]) for i in used if i >= last]
    consts += [(twin.seeds[i], directions[i]) for i in twin.seeds if i >= last]
    pairs = [*carries, *xs, *consts]
    counts = {"carry": len(carries), "xs": len(xs)}
    region = Region(values(inside for inside, _ in pairs), nodes, ends)
    moved = builder.emit(node.op, [outside for _, outside in pairs], attrs | counts, (region,))
    by_place = dict(zip(wanted, moved, strict=True))
    return outputs, [by_place.get(i) for i in range(len(outputs))]


def pull_scan(
    builder: Builder, node: Node, operands: list[Term], active: list[int],
    cotangents: Sequence[Tangent], pull: Pull,
) -> dict[int, Tangent]:  # fmt: skip
    """A scan in the other direction; the cotangents of constants add up in carries of their own."""
    (body,) = node.regions
    attrs = node.attrs.as_dict()
    carry, last = attrs["carry"], attrs["carry"] + attrs["xs"]
    linear = [*range(carry), *(i for i in active if i >= carry)]
    sliced, fixed = [i for i in linear if carry <= i < last], [i for i in linear if i >= last]
    given = [*range(carry), *(i for i in moving(cotangents) if i >= carry)]

    inner = Builder(builder.typing)
    inputs = fresh(inner, body.inputs)
    incoming = dict(zip(given, fresh(inner, (body.outputs[i] for i in given)), strict=True))
    wanted = [incoming.get(i) for i in range(len(cotangents))]
    found = dict(zip(linear, pull(inner, body, inputs, linear, wanted), strict=True))
    sums = {i: fresh(inner, (body.inputs[i],))[0] for i in fixed}

    carries = [(incoming[i], _cotangent(builder, node, cotangents, i)) for i in range(carry)]
    carries += [(sums[i], materialized(None, operands[i])) for i in fixed]
    xs = [(inputs[i], operands[i]) for i in range(carry, last) if i not in linear]
    xs += [(incoming[i], _cotangent(builder, node, cotangents, i)) for i in given if i >= carry]
    consts = [(inputs[i], operands[i]) for i in range(last, len(inputs)) if i not in linear]
    ends = [
        *(materialized(found[i], inputs[i]) for i in range(carry)),
        *(materialized(plus(sums[i], found[i]), inputs[i]) for i in fixed),
        *(materialized(found[i], inputs[i]) for i in sliced),
    ]
    pairs = [*carries, *xs, *consts]
    region = Region(values(inside for inside, _ in pairs), tuple(inner.nodes), values(ends))
    changed = {"carry": len(carries), "xs": len(xs), "reverse": not attrs["reverse"]}
    results = builder.emit(node.op, [outside for _, outside in pairs], attrs | changed, (region,))
    by_place = dict(zip([*range(carry), *fixed, *sliced], results, strict=True))
    return {i: by_place[i] for i in active}


def _cotangent(builder: Builder, node: Node, cotangents: Sequence[Tangent], i: int) -> Term:
    return materialized(cotangents[i], Term(node.outputs[i], builder))
