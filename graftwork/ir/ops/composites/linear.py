"""Affine maps, embeddings and rotations of the embedding."""

from __future__ import annotations

from typing import Any

from graftwork.ir.attributes import AXIS, AXIS_SET, DTYPE, SIZE, Spec, choice
from graftwork.ir.build import Term
from graftwork.ir.draw import ANY, FLOATS, INTS, Call, Draw
from graftwork.ir.dtypes import DType
from graftwork.ir.op import REGISTRY, define
from graftwork.ir.ops.families import total
from graftwork.ir.ops.reduce import sample_contract
from graftwork.ir.sizes import Size


def _linear(x: Term, weight: Term, bias: Term | None = None, *, over: tuple[str, ...]) -> Term:
    product = REGISTRY["contract"](x, weight, over=over)
    return product if bias is None else product + bias


def _linear_jvp(operands: Any, tangents: Any, outputs: Any, *, over: tuple[str, ...]) -> Any:
    x, weight = operands[:2]
    contract = REGISTRY["contract"]
    dx, dweight, *dbias = tangents
    return (
        total(
            (
                None if dx is None else contract(dx, weight, over=over),
                None if dweight is None else contract(x, dweight, over=over),
                *dbias,
            )
        ),
    )


def _sample_linear(draw: Draw) -> Call:
    product = sample_contract(draw)
    bias = draw.pick((product.operands[0].dtype,), ())
    return Call((*product.operands, *([draw.operand(bias)] if bias else [])), product.attrs)


linear = define(
    "linear",
    "x weight bias?",
    "x contracted with a weight over axes, plus a bias.",
    attrs=(Spec("over", AXIS_SET),),
    body=_linear,
    sample=_sample_linear,
    jvp=_linear_jvp,
)


def _sample_embedding(draw: Draw) -> Call:
    table = draw.operand(ANY, binds=1, least=1)
    axis = draw.axis(table, least=1)
    return Call((table, draw.positions(axis)), {"axis": axis})


embedding = define(
    "embedding",
    "table ids",
    "The rows of a table that ids name; ids are within its axis.",
    attrs=(Spec("axis", AXIS),),
    body=lambda table, ids, axis: REGISTRY["gather"](table, ids, axes=(axis,)),
    sample=_sample_embedding,
)


def _one_hot(ids: Term, *, axis: str, size: Size, dtype: DType) -> Term:
    ids.builder.typing.make(axis, size)
    with ids.builder:
        classes = REGISTRY["iota"](axis=axis, dtype=ids.dtype)
    return REGISTRY["eq"](ids, classes).cast(dtype)


one_hot = define(
    "one_hot",
    "ids",
    "1 at the position that an id names along a new axis, else 0; all 0 for ids outside of it.",
    attrs=(Spec("axis", AXIS), Spec("size", SIZE), Spec("dtype", DTYPE, DType.f32)),
    body=_one_hot,
    sample=lambda draw: Call(
        (draw.operand(INTS),),
        {"axis": draw.new(), "size": draw.number(0, 4), "dtype": draw.pick(*ANY)},
    ),
)


def _rotate(x: Term, axis: str, style: str) -> Term:
    """(a, b) -> (-b, a) on each pair of the axis: its halves, or its neighbours."""
    typing = x.builder.typing
    pair, rest = typing.fresh("pair"), typing.fresh(f"{axis}_half")
    sizes: dict[str, Size] = {pair: 2, rest: x.size(axis) // 2}
    order = (pair, rest) if style == "half" else (rest, pair)
    parts = x.split(axis, **{name: sizes[name] for name in order})
    signs = x.builder.constant([-1.0, 1.0], x.dtype, (pair,))
    return (REGISTRY["flip"](parts, axes=pair) * signs).merge(*order, into=axis)


def _rotary(x: Term, cos: Term, sin: Term, *, axis: str, style: str) -> Term:
    return x * cos + _rotate(x, axis, style) * sin


def _sample_rotary(draw: Draw) -> Call:
    x = draw.operand(FLOATS, binds=1, multiple=2)
    angles = (draw.operand((x.dtype,)) for _ in range(2))
    axis = draw.axis(x, multiple=2)
    return Call((x, *angles), {"axis": axis, "style": draw.pick("half", "interleaved")})


rotary = define(
    "rotary",
    "x cos sin",
    "Pairs along an axis turned by angles (RoFormer, Su et al. 2021): x cos + rotate(x) sin.",
    attrs=(Spec("axis", AXIS), Spec("style", choice("half", "interleaved"), "half")),
    body=_rotary,
    sample=_sample_rotary,
)
