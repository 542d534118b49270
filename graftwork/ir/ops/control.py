"""Control flow: ops that hold whole sub-graphs, isolated from above.

Captures are explicit operands. The type of a carry is the least fixed point of inference: its
initial value is broadcast to the axes that the body gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray, aligned
from graftwork.ir.attributes import AXIS, BOOL, INT, Spec
from graftwork.ir.draw import ANY, BOOLS, Call, Draw
from graftwork.ir.dtypes import DType
from graftwork.ir.errors import AxisError, DTypeError
from graftwork.ir.graph import Region, Value
from graftwork.ir.op import define
from graftwork.ir.retype import retype
from graftwork.ir.types import Type, Typing, require_axes, require_same_dtype, zipped

Regions = Sequence[Region]


def _inputs(region: Region) -> tuple[Type, ...]:
    return tuple(value.type for value in region.inputs)


def _outputs(region: Region) -> tuple[Type, ...]:
    return tuple(value.type for value in region.outputs)


def _expect(region: Region, types: Sequence[Type], what: str) -> None:
    """The region takes these operands, which may lack axes that it broadcasts to."""
    given = _inputs(region)
    if len(given) != len(types):
        raise AxisError(f"the {what} takes {len(given)} operands, but {len(types)} are given")
    for wanted, x in zip(given, types, strict=True):
        if wanted.dtype is not x.dtype or not x.axis_set <= wanted.axis_set:
            raise AxisError(f"the {what} takes {wanted!r}, but is given {x!r}")


def _joined(a: Type, b: Type) -> Type:
    return a if b.axis_set <= a.axis_set else Type(a.dtype, zipped(a, b))


def spread(at: Any, array: NamedArray, to: Type) -> NamedArray:
    """An array broadcast to the axes of a type."""
    (view,) = aligned(to.axes, array)
    return NamedArray(np.broadcast_to(view, [at.size(a) for a in to.axes]), to.axes)


# --- call ---------------------------------------------------------------------------------------


def _infer_call(typing: Typing, *types: Type, regions: Regions) -> tuple[Type, ...]:
    _expect(regions[0], types, "body")
    return _outputs(regions[0])


def _sample_call(draw: Draw) -> Call:
    args = [draw.operand(ANY) for _ in range(draw.pick(1, 2))]
    results = [None] * draw.pick(1, 2)
    return Call(args, {}, (draw.region([x.type for x in args], results),))


call = define(
    "call",
    "*args",
    "A sub-graph applied to operands.",
    infer=_infer_call,
    evaluate=lambda at, *xs, regions: at.run(regions[0], xs),
    fit=lambda typing, regions, types: (retype(typing, regions[0], types),),
    sample=_sample_call,
    regions=("body",),
)

# --- cond ---------------------------------------------------------------------------------------


def _infer_cond(typing: Typing, pred: Type, *types: Type, regions: Regions) -> tuple[Type, ...]:
    if pred.dtype is not DType.boolean:
        raise DTypeError(f"the predicate is {pred.dtype.value}, not bool")
    for region, word in zip(regions, ("then", "else"), strict=True):
        _expect(region, types, f"{word} branch")
    results = [_outputs(region) for region in regions]
    if len(results[0]) != len(results[1]):
        raise AxisError(f"the branches give {len(results[0])} and {len(results[1])} outputs")
    return tuple(
        Type(require_same_dtype(a, b), zipped(_joined(a, b), pred))
        for a, b in zip(*results, strict=True)
    )


def _evaluate_cond(
    at: Any, pred: NamedArray, *xs: NamedArray, regions: Regions
) -> tuple[NamedArray, ...]:
    types = _infer_cond(at.typing, Type(DType.boolean, _names(pred)), *_types(xs), regions=regions)
    if not pred.axes:
        taken = at.run(regions[0 if pred.array else 1], xs)
        return tuple(spread(at, x, to) for x, to in zip(taken, types, strict=True))
    both = zip(at.run(regions[0], xs), at.run(regions[1], xs), types, strict=True)
    return tuple(
        NamedArray(np.where(*aligned(to.axes, pred, *(spread(at, x, to) for x in (a, b)))), to.axes)
        for a, b, to in both
    )


def _names(x: NamedArray) -> tuple[str, ...]:
    return tuple(a for a in x.axes if a is not None)


def _types(xs: Sequence[NamedArray]) -> list[Type]:
    from graftwork.ir.dtypes import dtype_of

    return [Type(dtype_of(x.dtype), _names(x)) for x in xs]


def _sample_cond(draw: Draw) -> Call:
    pred = draw.operand(BOOLS)
    args = [draw.operand(ANY) for _ in range(draw.pick(1, 2))]
    types = [x.type for x in args]
    return Call((pred, *args), {}, [draw.region(types, types) for _ in range(2)])


cond = define(
    "cond",
    "pred *args",
    "One of two sub-graphs; where the predicate has axes, an elementwise choice.",
    infer=_infer_cond,
    evaluate=_evaluate_cond,
    fit=lambda typing, regions, types: tuple(
        retype(typing, region, types[1:]) for region in regions
    ),
    sample=_sample_cond,
    regions=("then", "else"),
)

# --- while --------------------------------------------------------------------------------------


def _fit_while(
    typing: Typing, regions: Regions, types: Sequence[Type], carry: int
) -> tuple[Region, ...]:
    test, body = regions
    carries, consts = list(types[:carry]), list(types[carry:])
    while True:
        test = retype(typing, test, [*carries, *consts])
        body = retype(typing, body, [*carries, *consts])
        (done,) = _outputs(test)
        grown = [
            _joined(_joined(c, new), Type(c.dtype, done.axes))
            for c, new in zip(carries, _outputs(body), strict=True)
        ]
        if all(a.same(b) for a, b in zip(grown, carries, strict=True)):
            return test, retype(typing, body, [*carries, *consts], outputs=carries)
        carries = grown


def _infer_while(typing: Typing, *types: Type, regions: Regions, carry: int) -> tuple[Type, ...]:
    test, body = regions
    _expect(test, types, "condition")
    _expect(body, types, "body")
    if [t.dtype for t in _outputs(test)] != [DType.boolean]:
        raise DTypeError("the condition of a loop is one bool")
    _expect_carry(_inputs(body)[:carry], _outputs(body))
    return _inputs(body)[:carry]


def _expect_carry(before: Sequence[Type], after: Sequence[Type]) -> None:
    if len(before) != len(after):
        raise AxisError(f"{len(before)} carries go in and {len(after)} come out")
    for a, b in zip(before, after, strict=True):
        if not a.same(b):
            raise AxisError(f"a carry goes in as {a!r} and comes out as {b!r}")


def _evaluate_while(
    at: Any, *xs: NamedArray, regions: Regions, carry: int
) -> tuple[NamedArray, ...]:
    test, body = regions
    types = _inputs(body)[:carry]
    state = [spread(at, x, to) for x, to in zip(xs[:carry], types, strict=True)]
    consts = xs[carry:]
    while True:
        (going,) = at.run(test, [*state, *consts])
        if not going.array.any():
            return tuple(state)
        new = at.run(body, [*state, *consts])
        if not going.axes:
            state = list(new)
            continue
        state = [  # the finished are frozen
            NamedArray(np.where(*aligned(to.axes, going, after, before)), to.axes)
            for before, after, to in zip(state, new, types, strict=True)
        ]


def _sample_while(draw: Draw) -> Call:
    """A few rounds, as many as an operand says; the counter is the first carry."""
    from graftwork.ir.build import Builder, Term

    count = Type(DType.i64)
    rounds, x = draw.positions(draw.make(4)), draw.operand(ANY)
    limit = rounds.cast(DType.i64)
    types = [count, x.type, limit.type]
    work = draw.region(types, [x.type])
    typing = x.builder.typing
    test, body = Builder(typing), Builder(typing)
    body.append(work.nodes)
    entries = [Term(Value(of), test) for of in types]
    more = entries[0] < entries[2]
    after = Term(work.inputs[0], body) + 1
    regions = (
        Region(tuple(term.value for term in entries), tuple(test.nodes), (more.value,)),
        Region(work.inputs, tuple(body.nodes), (after.value, *work.outputs)),
    )
    start = x.builder.constant(0, DType.i64)
    return Call((start, x, limit), {"carry": 2}, regions)


while_ = define(
    "while",
    "*operands",
    "A sub-graph repeated while a condition holds; each element stops when its own is done.",
    attrs=(Spec("carry", INT),),
    infer=_infer_while,
    evaluate=_evaluate_while,
    fit=_fit_while,
    sample=_sample_while,
    regions=("cond", "body"),
)

# --- scan ---------------------------------------------------------------------------------------


def _fit_scan(
    typing: Typing, regions: Regions, types: Sequence[Type], axis: str, carry: int, xs: int,
    reverse: bool,
) -> tuple[Region, ...]:  # fmt: skip
    (body,) = regions
    carries = list(types[:carry])
    rest = [x.without((axis,)) for x in types[carry : carry + xs]] + list(types[carry + xs :])
    while True:
        body = retype(typing, body, [*carries, *rest])
        after = _outputs(body)[:carry]
        grown = [_joined(a, b) for a, b in zip(carries, after, strict=True)]
        if all(a.same(b) for a, b in zip(grown, carries, strict=True)):
            return (retype(typing, body, [*carries, *rest], outputs=carries),)
        carries = grown


def _infer_scan(
    typing: Typing, *types: Type, regions: Regions, axis: str, carry: int, xs: int, reverse: bool
) -> tuple[Type, ...]:
    (body,) = regions
    sliced = types[carry : carry + xs]
    for x in sliced:
        require_axes(x, (axis,))
    for x in (*types[:carry], *types[carry + xs :]):
        if axis in x.axis_set:
            raise AxisError(f"{x!r} has the scanned axis {axis!r} but is not scanned; rename it")
    typing.size(axis)
    fed = [*types[:carry], *(x.without((axis,)) for x in sliced), *types[carry + xs :]]
    _expect(body, fed, "body")
    before, after = _inputs(body)[:carry], _outputs(body)
    _expect_carry(before, after[:carry])
    return (*before, *(Type(y.dtype, (axis, *y.axes)) for y in after[carry:]))


def _evaluate_scan(
    at: Any, *operands: NamedArray, regions: Regions, axis: str, carry: int, xs: int, reverse: bool
) -> tuple[NamedArray, ...]:
    (body,) = regions
    types = _inputs(body)
    state = [spread(at, x, to) for x, to in zip(operands[:carry], types[:carry], strict=True)]
    sliced, consts = operands[carry : carry + xs], operands[carry + xs :]
    steps = range(at.size(axis))
    rows: list[tuple[NamedArray, ...]] = []
    for step in reversed(steps) if reverse else steps:
        results = at.run(body, [*state, *(x[{axis: step}] for x in sliced), *consts])
        state = list(results[:carry])
        rows.append(results[carry:])
    rows = rows[::-1] if reverse else rows
    stacked = []
    for place, value in enumerate(body.outputs[carry:]):
        to = value.type
        parts = [np.asarray(spread(at, row[place], to)) for row in rows]
        shape = (0, *(at.size(a) for a in to.axes))
        array = np.stack(parts) if parts else np.empty(shape, to.dtype.numpy)
        stacked.append(NamedArray(array, (axis, *to.axes)))
    return (*state, *stacked)


def _sample_scan(draw: Draw) -> Call:
    carry, constant = draw.number(0, 1), draw.number(0, 1)
    x = draw.operand(ANY, binds=1)
    axis = draw.axis(x)
    held = [draw.operand(ANY, avoid=(axis,)) for _ in range(carry + constant)]
    carries, constants = held[:carry], held[carry:]
    fed = [y.type for y in carries] + [x.type.without((axis,))] + [y.type for y in constants]
    body = draw.region(fed, [*fed[:carry], fed[carry]])
    attrs = {"axis": axis, "carry": carry, "xs": 1, "reverse": draw.pick(False, True)}
    return Call((*carries, x, *constants), attrs, (body,))


scan = define(
    "scan",
    "*operands",
    "A sub-graph run along a named axis, carrying values from step to step.",
    attrs=(Spec("axis", AXIS), Spec("carry", INT), Spec("xs", INT), Spec("reverse", BOOL, False)),
    infer=_infer_scan,
    evaluate=_evaluate_scan,
    fit=_fit_scan,
    sample=_sample_scan,
    regions=("body",),
)
