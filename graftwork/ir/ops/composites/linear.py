"""Affine maps, embeddings and rotations of the embedding."""

from __future__ import annotations

from typing import Any

from graftwork.ir.attributes import AXIS, AXIS_SET, DTYPE, SIZE, Spec, choice
from graftwork.ir.build import Term
from graftwork.ir.draw import ANY, FLOATS, INTS, Call, Draw
from graftwork.ir.dtypes import DType
from graftwork.ir.op import REGISTRY, define
from graftwork.ir.ops.families import is_number, total, zips
from graftwork.ir.ops.indexing import infer_gather
from graftwork.ir.ops.reduce import infer_contract, sample_contract
from graftwork.ir.sizes import Size
from graftwork.ir.types import Type, Typing, require_axes


def _linear(x: Term, weight: Term, bias: Term | None = None, *, over: tuple[str, ...]) -> Term:
    product = REGISTRY["contract"](x, weight, over=over)
    return product if bias is None else product + bias


def _infer_linear(
    typing: Typing, x: Type, weight: Type, bias: Type | None = None, *, over: tuple[str, ...]
) -> Type:
    product = infer_contract(typing, x, weight, over=over)
    return product if bias is None else zips(is_number)(typing, product, bias)


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
    infer=_infer_linear,
    body=_linear,
    sample=_sample_linear,
    jvp=_linear_jvp,
)


def _infer_embedding(typing: Typing, table: Type, ids: Type, *, axis: str) -> Type:
    return infer_gather(typing, table, ids, axes=(axis,))


def _sample_embedding(draw: Draw) -> Call:
    table = draw.operand(ANY, binds=1, least=1)
    axis = draw.axis(table, least=1)
    return Call((table, draw.positions(axis)), {"axis": axis})


embedding = define(
    "embedding",
    "table ids",
    "The rows of a table that ids name; ids are within its axis.",
    attrs=(Spec("axis", AXIS),),
    infer=_infer_embedding,
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


def _infer_rotary(typing: Typing, *types: Type, axis: str, style: str) -> Type:
    (x, *_) = types
    require_axes(x, (axis,))
    typing.make(axis, typing.size(axis) // 2 * 2)
    return zips()(typing, *types)


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
    infer=_infer_rotary,
    body=_rotary,
    sample=_sample_rotary,
)
