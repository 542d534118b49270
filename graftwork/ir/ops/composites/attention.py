"""Scaled dot-product attention, with the sites that people look at."""

from __future__ import annotations

import math
from typing import Any

from graftwork.ir.attributes import AXIS, BOOL, FLOAT, Spec, choice, optional
from graftwork.ir.build import Term, mark
from graftwork.ir.draw import FLOATS, Call, Draw
from graftwork.ir.dtypes import DType
from graftwork.ir.op import REGISTRY, define
from graftwork.ir.ops.composites.precision import widened
from graftwork.ir.ops.composites.statistics import softmax
from graftwork.ir.ops.elementwise import select, tanh
from graftwork.ir.ops.families import is_float, require, zips
from graftwork.ir.ops.reduce import infer_contract
from graftwork.ir.types import Type, Typing


def _masked(scores: Term, mask: Term) -> Term:
    """A bool mask keeps where it is true; a float mask is added."""
    if mask.dtype is DType.boolean:
        return select(mask, scores, -math.inf)
    return scores + mask


def _pattern(scores: Term, key: str, masked_rows: str) -> Term:
    if masked_rows in ("nan", "none"):
        return softmax(scores, axis=key)
    dead = REGISTRY["eq"](scores.max(key), -math.inf)
    uniform = softmax(select(dead, 0.0, scores), axis=key)
    return select(dead, 0.0, uniform) if masked_rows == "zero" else uniform


def attention_pattern(
    q: Term, k: Term, mask: Term | None = None, *, over: str, key: str, scale: float = 1.0,
    softcap: float | None = None, masked_rows: str = "nan", in_f32: bool = False,
) -> Term:  # fmt: skip
    """The weights by which `attention` averages values, and their interior sites."""
    scores = REGISTRY["contract"](q, k, over=over)
    if scale != 1.0:
        scores = scores * scale
    if softcap is not None:
        scores = tanh(scores / softcap) * softcap
    if mask is not None:
        scores = _masked(scores, mask)
    scores = mark("scores", scores)
    wide = widened(scores) if in_f32 else scores
    return mark("pattern", _pattern(wide, key, masked_rows).cast(q.dtype))


def _attention(
    q: Term, k: Term, v: Term, mask: Term | None = None, *, key: str, **attrs: Any
) -> Term:
    pattern = attention_pattern(q, k, mask, key=key, **attrs).cast(v.dtype)
    return mark("z", REGISTRY["contract"](pattern, v, over=key))


def _infer_attention(
    typing: Typing, q: Type, k: Type, v: Type, mask: Type | None = None, *,
    over: str, key: str, **_: Any,
) -> Type:  # fmt: skip
    scores = infer_contract(typing, q, k, over=(over,))
    require(is_float, scores.dtype)
    if mask is not None:
        kept = mask.dtype is DType.boolean
        scores = zips()(typing, scores, mask.with_dtype(scores.dtype) if kept else mask)
    return infer_contract(typing, scores.with_dtype(v.dtype), v, over=(key,))


def _sample_attention(draw: Draw) -> Call:
    q = draw.operand(FLOATS, binds=1)
    over = draw.axis(q)
    key = draw.other_axis(q)
    k = draw.operand((q.dtype,), axes=(over, key))
    v = draw.operand((q.dtype,), axes=(key,))
    kinds = draw.pick((), (DType.boolean,), (q.dtype,))
    mask = [draw.operand(kinds, axes=(key,))] if kinds else []
    attrs = {
        "scale": draw.pick(1.0, 0.5),
        "softcap": draw.pick(None, 2.0),
        "masked_rows": draw.pick("nan", "zero", "mean", *(() if mask else ("none",))),
        "in_f32": draw.pick(False, True),
    }
    return Call((q, k, v, *mask), {"over": over, "key": key, **attrs})


attention = define(
    "attention",
    "q k v mask?",
    "Values averaged by the softmax of scale q k (Vaswani et al. 2017). Grouped queries have axes "
    "that keys lack. A bool mask keeps where true, a float mask is added; rows with every key "
    "masked are zero, the mean of the values, or NaN; `none` says that there are no such rows.",
    attrs=(
        Spec("over", AXIS),
        Spec("key", AXIS),
        Spec("scale", FLOAT, 1.0),
        Spec("softcap", optional(FLOAT), None),
        Spec("masked_rows", choice("zero", "mean", "nan", "none"), "nan"),
        Spec("in_f32", BOOL, False),
    ),
    infer=_infer_attention,
    body=_attention,
    sample=_sample_attention,
    sites=("scores", "pattern", "z"),
)
