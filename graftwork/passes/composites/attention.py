"""Attention that models write out: scores, perhaps capped and masked, softmax, values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import product

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.pattern import Variables
from graftwork.passes.rules import Found, Rule

Step = Callable[[Variables, Term], Term]

_DARK = -1e4  # what masked scores are set to is at most this


def _scaled(p: Variables, scores: Term) -> Term:
    return scores * p.number("scale", 0.25, scores.dtype)


def _shrunk(p: Variables, scores: Term) -> Term:
    return scores / p.number("root", 4.0, scores.dtype)


def _plain(p: Variables, scores: Term) -> Term:
    return scores


def _capped(p: Variables, scores: Term) -> Term:
    cap = p.number("cap", 30.0, scores.dtype)
    return ops.tanh(scores / cap) * cap


def _added(p: Variables, scores: Term) -> Term:
    return scores + p.value("mask", "key", scores.dtype)


def _added_rows(p: Variables, scores: Term) -> Term:
    """A mask that is the same for all keys."""
    return scores + p.value("mask", "query", scores.dtype)


def _added_twice(p: Variables, scores: Term) -> Term:
    return scores + p.value("bias", "key", scores.dtype) + p.value("mask", "key", scores.dtype)


def _shifted(p: Variables, scores: Term) -> Term:
    """A bias that is one number, mostly zero, where other layers have a table."""
    shift = p.number("shift", 0.5, scores.dtype)
    return scores + shift + p.value("mask", "key", scores.dtype)


def _kept(p: Variables, scores: Term) -> Term:
    return ops.select(p.value("mask", "key", "bool"), scores, p.number("dark", -1e9, scores.dtype))


def _hidden(p: Variables, scores: Term) -> Term:
    return ops.select(p.value("mask", "key", "bool"), p.number("dark", -1e9, scores.dtype), scores)


_SCALES: tuple[Step, ...] = (_scaled, _shrunk, _plain)
_CAPS: tuple[Step, ...] = (_plain, _capped)
_MASKS: tuple[Step, ...] = (
    _shifted,
    _added_twice,
    _added,
    _added_rows,
    _kept,
    _hidden,
    _plain,
)


def _attention(scale: Step, cap: Step, mask: Step, *, wide: bool, shared: bool) -> Rule:
    """A rule for one way to write attention.

    Args:
        scale, cap, mask: what happens to the scores.
        wide: the softmax of 16-bit scores is in 32 bits.
        shared: the values have the axis that queries and keys are contracted over.
    """
    dtype = "bf16" if wide else "f64"

    def write(p: Variables) -> Term:
        q, k = p.value("q", "query d", dtype), p.value("k", "key d", dtype)
        v = p.value("v", "key d" if shared else "key", dtype)
        scores = ops.contract(q, k, over="d")
        for step in (scale, cap, mask):
            scores = step(p, scores)
        pattern = ops.softmax(scores.cast("f32") if wide else scores, axis="key")
        return ops.contract(pattern.cast(dtype) if wide else pattern, v, over="key")

    def factor(numbers: Mapping[str, float]) -> float:
        return numbers["scale"] if scale is _scaled else 1 / numbers.get("root", 1.0)

    def build(found: Found) -> Term:
        numbers = found.match.numbers
        operands = [found[name] for name in ("q", "k", "v")]
        return ops.attention(
            *operands,
            *_mask(found, mask),
            over=found.axis("d"),
            key=found.axis("key"),
            scale=factor(numbers),
            softcap=numbers.get("cap"),
            masked_rows="nan" if numbers.get("dark", -math.inf) == -math.inf else "mean",
            in_f32=wide,
        )

    def when(found: Found) -> bool:
        numbers = found.match.numbers
        queries = set(found["q"].axes) - set(found["k"].axes)
        divides = numbers.get("root", 1.0) != 0
        return numbers.get("dark", _DARK) <= _DARK and divides and bool(queries)

    return Rule("attention", write, build, when)


def _mask(found: Found, mask: Step) -> tuple[Term, ...]:
    if mask is _plain:
        return ()
    if mask is _hidden:
        return (ops.not_(found["mask"]),)
    if mask is _shifted:
        return (found["mask"] + found.match.numbers["shift"],)
    return (found["bias"] + found["mask"] if mask is _added_twice else found["mask"],)


def _rules() -> Iterator[Rule]:
    for scale, cap, mask in product(_SCALES, _CAPS, _MASKS):
        for wide, shared in product((False, True), repeat=2):
            yield _attention(scale, cap, mask, wide=wide, shared=shared)


ATTENTION: tuple[Rule, ...] = tuple(_rules())
