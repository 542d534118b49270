"""`torch.cond`, `while_loop` and `scan` as ops that hold bodies, with explicit captures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.ir.build import Builder, Term
from graftwork.ir.graph import Value
from graftwork.ir.op import REGISTRY
from graftwork.ir.positional import (
    Positional,
    as_carried,
    carrying,
    carrying_axes,
    closed,
    matched,
    relabelled,
)

Branch = Callable[[Builder, Sequence[Any]], list[Positional]]


def _tensors(call: Call, operands: Sequence[Any]) -> list[Positional]:
    if not all(isinstance(x, Positional) for x in operands):
        raise call.refuse("a body that is given a number; give it a tensor instead")
    return list(operands)


def _body(
    call: Call, operands: Sequence[Positional], branch: Branch
) -> tuple[list[Positional], list[Positional], Builder]:
    """A body over operands of these types: its inputs, its results, and what was built."""
    inner = Builder(call.builder.typing, call.builder.origin)
    inputs = [Positional(Term(Value(x.term.type), inner), x.dims) for x in operands]
    return inputs, branch(inner, inputs), inner


@rule("cond")
def cond(
    call: Call,
    pred: Positional | bool,
    true_graph: Branch,
    false_graph: Branch,
    operands: Sequence[Any] = (),
) -> tuple[Positional, ...]:
    """One of two bodies."""
    if isinstance(pred, bool):
        return tuple((true_graph if pred else false_graph)(call.builder, operands))
    given = _tensors(call, operands)
    sides = [_body(call, given, branch) for branch in (true_graph, false_graph)]
    pairs = [
        matched((a, range(a.rank)), (b, range(b.rank)))[0]
        for a, b in zip(sides[0][1], sides[1][1], strict=True)
    ]
    regions = [
        closed(inputs, [pair[n].term for pair in pairs], builder)
        for n, (inputs, _, builder) in enumerate(sides)
    ]
    found = call.builder.emit(REGISTRY["cond"], [pred.term, *(x.term for x in given)], {}, regions)
    return tuple(
        Positional(term, tuple(a or b for a, b in zip(*(x.dims for x in pair), strict=True)))
        for term, pair in zip(found, pairs, strict=True)
    )


@rule("while_loop")
def while_loop(
    call: Call,
    cond_graph: Branch,
    body_graph: Branch,
    carried: Sequence[Any],
    additional: Sequence[Any] = (),
) -> tuple[Positional, ...]:
    """A body repeated while a condition holds."""
    initial = [carrying_axes(x) for x in _tensors(call, carried)]
    given = [*initial, *_tensors(call, additional)]
    test_inputs, (going,), test_builder = _body(call, given, cond_graph)
    inputs, results, builder = _body(call, given, body_graph)
    after = [as_carried(y, x) for y, x in zip(results, initial, strict=True)]
    found = call.builder.emit(
        REGISTRY["while"],
        [x.term for x in given],
        {"carry": len(initial)},
        [closed(test_inputs, [going.term], test_builder), closed(inputs, after, builder)],
    )
    return tuple(Positional(term, x.dims) for term, x in zip(found, initial, strict=True))


@rule("scan")
def scan(
    call: Call,
    combine_graph: Branch,
    init: Sequence[Any],
    xs: Sequence[Any],
    additional: Sequence[Any] = (),
) -> tuple[Positional, ...]:
    """A body run along the first dimension of some operands, carrying values."""
    initial = [carrying_axes(x) for x in _tensors(call, init)]
    captured = _tensors(call, additional)
    rows = [carrying(x, 0) for x in _tensors(call, xs)]
    axis = call.fresh(rows[0].size(0))
    rows = [relabelled(x, {str(x.dims[0]): axis}) for x in rows]
    types = [
        *initial,
        *(Positional(Term(Value(x.term.type.without((axis,))), call.builder), x.dims[1:])
          for x in rows),
        *captured,
    ]  # fmt: skip
    inputs, results, builder = _body(call, types, combine_graph)
    count = len(initial)
    after = [as_carried(y, x) for y, x in zip(results[:count], initial, strict=True)]
    stacked = results[count:]
    found = call.builder.emit(
        REGISTRY["scan"],
        [x.term for x in (*initial, *rows, *captured)],
        {"axis": axis, "carry": count, "xs": len(rows), "reverse": False},
        [closed(inputs, [*after, *(y.term for y in stacked)], builder)],
    )
    finals = [Positional(term, x.dims) for term, x in zip(found, initial, strict=False)]
    ys = zip(found[count:], stacked, strict=True)
    return (*finals, *(Positional(term, (axis, *y.dims)) for term, y in ys))
