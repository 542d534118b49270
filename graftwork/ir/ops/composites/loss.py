"""Losses."""

from __future__ import annotations

from graftwork.ir.attributes import AXIS, INT, Spec, optional
from graftwork.ir.build import Term
from graftwork.ir.draw import FLOATS, Call, Draw
from graftwork.ir.op import REGISTRY, define
from graftwork.ir.ops.composites.statistics import log_softmax
from graftwork.ir.ops.elementwise import eq, select


def _cross_entropy(logits: Term, labels: Term, *, axis: str, ignore: int | None) -> Term:
    ignored = None if ignore is None else eq(labels, ignore)
    safe = labels if ignored is None else select(ignored, 0, labels)
    picked = -REGISTRY["gather"](log_softmax(logits, axis=axis), safe, axes=(axis,))
    return picked if ignored is None else select(ignored, 0.0, picked)


def _sample_cross_entropy(draw: Draw) -> Call:
    logits = draw.operand(FLOATS, binds=1, least=1)
    axis = draw.axis(logits, least=1)
    return Call((logits, draw.positions(axis)), {"axis": axis, "ignore": draw.pick(None, 0, -100)})


cross_entropy = define(
    "cross_entropy",
    "logits labels",
    "-log softmax of the logits along an axis at each label; zero where the label is `ignore`.",
    attrs=(Spec("axis", AXIS), Spec("ignore", optional(INT), None)),
    body=_cross_entropy,
    sample=_sample_cross_entropy,
)
