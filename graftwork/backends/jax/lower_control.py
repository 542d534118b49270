"""JAX: control flow as lax.scan, lax.while_loop and lax.cond."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax import lax

from graftwork.backends.engine import Laid, Lowering
from graftwork.backends.jax.target import JaxTarget
from graftwork.ir import ops
from graftwork.ir.graph import Node, Region, Value
from graftwork.ir.op import Op

Operands = Sequence[Laid]
Arrays = tuple[Any, ...]


def _enter(target: JaxTarget, operands: Operands, values: Sequence[Value]) -> list[Laid]:
    """Operands with all the axes that a region expects of them."""
    return [
        x if len(x.axes) == len(value.axes) else Laid(target.spread(x, value.axes), value.axes)
        for x, value in zip(operands, values, strict=True)
    ]


def _fixed(target: JaxTarget, operands: Operands, values: Sequence[Value]) -> Arrays:
    """Arrays with their dimensions in the order of the values' types."""
    return tuple(target.spread(x, value.axes) for x, value in zip(operands, values, strict=True))


def _laid(arrays: Sequence[Any], values: Sequence[Value]) -> list[Laid]:
    return [Laid(array, value.axes) for array, value in zip(arrays, values, strict=True)]


def _call(target: JaxTarget, node: Node, operands: Operands) -> Sequence[Laid]:
    (body,) = node.regions
    return target.lower(body, _enter(target, operands, body.inputs))


def _cond(target: JaxTarget, node: Node, operands: Operands) -> list[Laid]:
    pred, *rest = operands

    def branch(region: Region) -> Arrays:
        results = target.lower(region, _enter(target, rest, region.inputs))
        return _fixed(target, results, node.outputs)

    then, other = node.regions
    if not pred.axes:
        arrays = lax.cond(pred.array, lambda: branch(then), lambda: branch(other))
        return _laid(arrays, node.outputs)
    return [
        Laid(lax.select(target.spread(pred, value.axes), a, b), value.axes)
        for a, b, value in zip(branch(then), branch(other), node.outputs, strict=True)
    ]


def _while(target: JaxTarget, node: Node, operands: Operands) -> list[Laid]:
    test, body = node.regions
    carry = node.attrs["carry"]
    carried = body.inputs[:carry]
    consts = operands[carry:]

    def condition(state: Arrays) -> Laid:
        given = [*_laid(state, carried), *consts]
        return target.lower(test, _enter(target, given, test.inputs))[0]

    def going(state: Arrays) -> Any:
        found = condition(state)
        return lax.reduce_or(found.array, range(len(found.axes)))

    def step(state: Arrays) -> Arrays:
        given = [*_laid(state, carried), *consts]
        results = target.lower(body, _enter(target, given, body.inputs))
        new = _fixed(target, results, carried)
        found = condition(state)
        if not found.axes:
            return new
        return tuple(  # the finished are frozen
            lax.select(target.spread(found, value.axes), after, before)
            for before, after, value in zip(state, new, carried, strict=True)
        )

    state = lax.while_loop(going, step, _fixed(target, operands[:carry], carried))
    return _laid(state, carried)


def _scan(target: JaxTarget, node: Node, operands: Operands) -> list[Laid]:
    (body,) = node.regions
    axis, carry = node.attrs["axis"], node.attrs["carry"]
    stop = carry + node.attrs["xs"]
    carried, stacked = body.inputs[:carry], body.outputs[carry:]
    rests = [tuple(known for known in x.axes if known != axis) for x in operands[carry:stop]]
    sliced = tuple(
        target.lay(x, (axis, *rest)) for x, rest in zip(operands[carry:stop], rests, strict=True)
    )

    def step(state: Arrays, rows: Arrays) -> tuple[Arrays, Arrays]:
        cut = [Laid(row, rest) for row, rest in zip(rows, rests, strict=True)]
        given = [*_laid(state, carried), *cut, *operands[stop:]]
        results = target.lower(body, _enter(target, given, body.inputs))
        return _fixed(target, results[:carry], carried), _fixed(target, results[carry:], stacked)

    state, rows = lax.scan(
        step,
        _fixed(target, operands[:carry], carried),
        sliced,
        length=target.size(axis),
        reverse=node.attrs["reverse"],
    )
    outputs = [Laid(y, (axis, *value.axes)) for y, value in zip(rows, stacked, strict=True)]
    return [*_laid(state, carried), *outputs]


TABLE: dict[Op, Lowering] = {
    ops.call: _call,
    ops.cond: _cond,
    ops.while_: _while,
    ops.scan: _scan,
}
