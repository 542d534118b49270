"""torch: control flow, whose regions are modules inside the module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from graftwork.backends.engine import Laid, Lowering
from graftwork.backends.torch import loops
from graftwork.backends.torch.arrays import CARRIER
from graftwork.backends.torch.target import TorchTarget
from graftwork.ir import ops
from graftwork.ir.graph import Node, Region, Value
from graftwork.ir.op import Op

Operands = Sequence[Laid]
Values = Sequence[Value]


def _run(target: TorchTarget, region: Region, operands: Operands) -> Sequence[Laid]:
    """A region on operands, which may lack axes that it expects."""
    return target.lower(region, _enter(target, operands, region.inputs))


def _enter(target: TorchTarget, operands: Operands, values: Values) -> list[Laid]:
    """Operands with all the axes that a region expects of them."""
    return [
        x if len(x.axes) == len(value.axes) else Laid(target.spread(x, value.axes), value.axes)
        for x, value in zip(operands, values, strict=True)
    ]


def _fixed(target: TorchTarget, operands: Operands, values: Values) -> list[Any]:
    """Arrays with their dimensions in the order of the values' types."""
    return [target.spread(x, value.axes) for x, value in zip(operands, values, strict=True)]


def _laid(values: Values) -> list[Laid]:
    return [Laid(None, value.axes) for value in values]


def _results(found: Any, values: Values) -> list[Laid]:
    return [Laid(found[i], value.axes) for i, value in enumerate(values)]


def _call(target: TorchTarget, node: Node, operands: Operands) -> Sequence[Laid]:
    """Inlined: a region shares the sizes of its owner."""
    return _run(target, node.regions[0], operands)


def _cond(target: TorchTarget, node: Node, operands: Operands) -> list[Laid]:
    pred, *rest = operands
    if pred.axes:
        return _select(target, node, operands)
    modules, given = [], []
    for word, region in zip(("then", "otherwise"), node.regions, strict=True):

        def branch(inner: TorchTarget, given: list[Laid], region: Region = region) -> Sequence[Any]:
            return _fixed(inner, _run(inner, region, given), node.outputs)

        module, sizes = target.submodule(word, rest, branch)
        modules.append(module)
        given.append((*(x.array for x in rest), *sizes))
    found = target.call(loops.cond, pred.array, *modules, tuple(given))
    return _results(found, node.outputs)


def _select(target: TorchTarget, node: Node, operands: Operands) -> list[Laid]:
    """Both branches, and an elementwise choice."""
    pred, *rest = operands
    both = [_fixed(target, _run(target, region, rest), node.outputs) for region in node.regions]
    return [
        Laid(target.call(torch.where, target.zip(pred, value.axes), a, b), value.axes)
        for a, b, value in zip(*both, node.outputs, strict=True)
    ]


def _while(target: TorchTarget, node: Node, operands: Operands) -> list[Laid]:
    """A condition with axes is run inside the body too, where it freezes the finished."""
    test, body = node.regions
    carry = node.attrs["carry"]
    carried = body.inputs[:carry]
    consts = operands[carry:]
    given = [*_laid(carried), *consts]

    def ask(inner: TorchTarget, given: list[Laid]) -> list[Any]:
        (going,) = _run(inner, test, given)
        return [inner.call(torch.any, going.array) if going.axes else going.array]

    def step(inner: TorchTarget, given: list[Laid]) -> list[Any]:
        new = _fixed(inner, _run(inner, body, given), carried)
        if not test.outputs[0].axes:
            return new
        (going,) = _run(inner, test, given)
        return [
            inner.call(torch.where, inner.zip(going, x.axes), after, x.array)
            for x, after in zip(given, new, strict=False)
        ]

    asking, asking_sizes = target.submodule("going", given, ask)
    stepping, stepping_sizes = target.submodule("step", given, step)
    arrays = [x.array for x in consts]
    found = target.call(
        loops.repeat,
        asking,
        stepping,
        _fixed(target, operands[:carry], carried),
        ((*arrays, *asking_sizes), (*arrays, *stepping_sizes)),
    )
    return _results(found, carried)


def _scan(target: TorchTarget, node: Node, operands: Operands) -> list[Laid]:
    (body,) = node.regions
    axis, carry = node.attrs["axis"], node.attrs["carry"]
    stop = carry + node.attrs["xs"]
    carried, stacked = body.inputs[:carry], body.outputs[carry:]
    rests = [tuple(known for known in x.axes if known != axis) for x in operands[carry:stop]]
    rows = [
        target.lay(x, (axis, *rest)) for x, rest in zip(operands[carry:stop], rests, strict=True)
    ]
    consts = list(operands[stop:])
    module, sizes = target.submodule(
        "step",
        [*_laid(carried), *(Laid(None, rest) for rest in rests), *consts],
        lambda inner, given: _fixed(inner, _run(inner, body, given), (*carried, *stacked)),
    )
    empty = [
        target.call(
            torch.empty,
            [0, *(target.size(known) for known in value.axes)],
            dtype=CARRIER[value.type.dtype],
            device=target.device,
        )
        for value in stacked
    ]
    found = target.call(
        loops.scan,
        module,
        _fixed(target, operands[:carry], carried),
        rows,
        (*(x.array for x in consts), *sizes),
        target.size(axis),
        node.attrs["reverse"],
        empty,
    )
    return [
        *_results(found, carried),
        *(Laid(found[carry + i], (axis, *value.axes)) for i, value in enumerate(stacked)),
    ]


TABLE: dict[Op, Lowering] = {
    ops.call: _call,
    ops.cond: _cond,
    ops.while_: _while,
    ops.scan: _scan,
}
