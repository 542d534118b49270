"""Control flow: scan, while and cond as ops that hold bodies, with explicit captures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graftwork.frontends.jax._jax import ClosedJaxpr, JaxprEqn
from graftwork.frontends.jax.translate import Slot, Translator
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType
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


def _slots(xs: Sequence[Positional]) -> list[Slot]:
    return [Slot(x.term.type, x.dims) for x in xs]


# --- loops --------------------------------------------------------------------------------------


def _scanned(x: Positional, axis: str) -> Positional:
    """An array whose first dimension is the axis of the scan."""
    full = carrying(x, 0)
    return relabelled(full, {str(full.dims[0]): axis})


def _scan(tr: Translator, equation: JaxprEqn, *operands: Positional) -> list[Positional]:
    p = equation.params
    consts, carries = int(p["num_consts"]), int(p["num_carry"])
    axis = tr.fresh(tr.size(p["length"]))
    captured = operands[:consts]
    initial = [carrying_axes(x) for x in operands[consts : consts + carries]]
    xs = [_scanned(x, axis) for x in operands[consts + carries :]]
    rows = [Slot(x.term.type.without((axis,)), x.dims[1:]) for x in xs]
    order = [*range(len(operands) - consts, len(operands)), *range(len(operands) - consts)]
    inputs, results, builder = tr.body(
        [*_slots(initial), *rows, *_slots(captured)],
        lambda inner, given: inner.call(p["jaxpr"], [given[i] for i in order]),
    )
    after = [as_carried(y, x) for y, x in zip(results, initial, strict=False)]
    stacked = results[carries:]
    found = tr.builder.emit(
        REGISTRY["scan"],
        [x.term for x in (*initial, *xs, *captured)],
        {"axis": axis, "carry": carries, "xs": len(xs), "reverse": bool(p["reverse"])},
        (closed(inputs, [*after, *(y.term for y in stacked)], builder),),
    )
    finals = [Positional(term, x.dims) for term, x in zip(found, initial, strict=False)]
    ys = zip(found[carries:], stacked, strict=True)
    return [*finals, *(Positional(term, (axis, *y.dims)) for term, y in ys)]


def _while(tr: Translator, equation: JaxprEqn, *operands: Positional) -> list[Positional]:
    p = equation.params
    of_test, of_body = int(p["cond_nconsts"]), int(p["body_nconsts"])
    captured = operands[: of_test + of_body]
    rank = len(p["cond_jaxpr"].out_avals[0].shape)
    initial = _decided([carrying_axes(x) for x in operands[of_test + of_body :]], rank)
    slots, carry = _slots([*initial, *captured]), len(initial)
    test_inputs, (going,), test_builder = tr.body(
        slots,
        lambda inner, given: inner.call(
            p["cond_jaxpr"], [*given[carry : carry + of_test], *given[:carry]]
        ),
    )
    inputs, results, builder = tr.body(
        slots,
        lambda inner, given: inner.call(
            p["body_jaxpr"], [*given[carry + of_test :], *given[:carry]]
        ),
    )
    after = [as_carried(y, x) for y, x in zip(results, initial, strict=True)]
    point = Positional(initial[0].term, initial[0].dims[:rank]) if rank else going
    test = closed(test_inputs, [as_carried(going, point)], test_builder)
    regions = (test, closed(inputs, after, builder))
    found = tr.builder.emit(
        REGISTRY["while"],
        [x.term for x in (*initial, *captured)],
        {"carry": carry},
        regions,
    )
    return [Positional(term, x.dims) for term, x in zip(found, initial, strict=True)]


def _decided(carries: Sequence[Positional], rank: int) -> list[Positional]:
    """What a loop carries, where each point of the first dimensions decides for itself when to
    stop: they are the same axes in all carries.
    """
    if not rank:
        return list(carries)
    labels = [
        [("point", i) if i < rank else ("own", n, i) for i in range(x.rank)]
        for n, x in enumerate(carries)
    ]
    met, _ = matched(*zip(carries, labels, strict=True))
    return [carrying_axes(x) for x in met]


# --- branches -----------------------------------------------------------------------------------

Branch = Callable[[Translator, list[Positional]], Sequence[Positional]]


def _calling(jaxpr: ClosedJaxpr) -> Branch:
    return lambda inner, xs: inner.call(jaxpr, xs)


def _cond(tr: Translator, equation: JaxprEqn) -> Sequence[Positional]:
    branches: Sequence[ClosedJaxpr] = equation.params["branches"]
    known = tr.exact(equation.invars[0])
    if isinstance(known, int):
        return tr.inline(branches[min(max(known, 0), len(branches) - 1)], equation.invars[1:])
    index, *args = (tr.read(atom) for atom in equation.invars)
    if len(branches) == 2:
        pred = _truth(tr, index.term)
        return _branch(tr, pred, args, (_calling(branches[1]), _calling(branches[0])))
    return _switch(tr, branches, 0, [index, *args])


def _truth(tr: Translator, index: Term) -> Term:
    """Whether a branch number is not 0; the bool itself that it was made of."""
    for node in reversed(tr.builder.nodes):
        if index.value in node.outputs:
            if node.op.name == "cast" and node.inputs[0].type.dtype is DType.boolean:
                return Term(node.inputs[0], tr.builder)
            break
    return index > 0


def _branch(
    tr: Translator, pred: Term, args: Sequence[Positional], branches: tuple[Branch, Branch]
) -> list[Positional]:
    """The results of the first branch where the predicate holds, else of the second."""
    sides = [tr.body(_slots(args), branch) for branch in branches]
    pairs = [_alike(a, b) for a, b in zip(sides[0][1], sides[1][1], strict=True)]
    regions = tuple(
        closed(inputs, [pair[n].term for pair in pairs], builder)
        for n, (inputs, _, builder) in enumerate(sides)
    )
    operands = [pred, *(x.term for x in args)]
    found = tr.builder.emit(REGISTRY["cond"], operands, {}, regions)
    return [
        Positional(term, tuple(a or b for a, b in zip(*(x.dims for x in pair), strict=True)))
        for term, pair in zip(found, pairs, strict=True)
    ]


def _alike(a: Positional, b: Positional) -> list[Positional]:
    """Results of two branches with one axis at each dimension."""
    labels = range(a.rank)
    return matched((a, labels), (b, labels))[0]


def _switch(
    tr: Translator, branches: Sequence[ClosedJaxpr], number: int, operands: Sequence[Positional]
) -> list[Positional]:
    """The branch of a number, the last for all greater: a chain of choices between two."""
    if number == len(branches) - 1:
        return tr.call(branches[number], operands[1:])
    return _branch(
        tr,
        operands[0].term <= number,
        operands,
        (
            lambda inner, xs: inner.call(branches[number], xs[1:]),
            lambda inner, xs: _switch(inner, branches, number + 1, xs),
        ),
    )


RULES: dict[str, Any] = {"scan": _scan, "while": _while}
STRUCTURAL: dict[str, Any] = {"cond": _cond}
