"""Means, variances and the softmax family, as frameworks inline them."""

from __future__ import annotations

from collections.abc import Callable

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.pattern import Variables
from graftwork.ir.sizes import symbol
from graftwork.passes.rules import Found, Rule

Unary = Callable[[Term], Term]


def _counts(found: Found) -> bool:
    return found.size("k") == found.number("n")


def _mean(p: Variables) -> Term:
    return p.value("x", "k").sum("k") / p.number("n", 2.0)


def _mean_by_size(p: Variables) -> Term:
    return p.value("x", "k").sum("k") / ops.size(value=symbol("k"), dtype="f64")


def _wide_mean(p: Variables) -> Term:
    """16-bit floats are added in 32 bits."""
    return p.value("x", "k", "bf16").cast("f32").mean("k").cast("bf16")


def _build_mean(found: Found) -> Term:
    return found["x"].mean(found.axis("k"))


def _var(square: Unary) -> Callable[[Variables], Term]:
    def write(p: Variables) -> Term:
        x = p.value("x", "k")
        return square(x - x.mean("k")).mean("k")

    return write


def _top(x: Term) -> Term:
    return x.max("k")


def _held_top(x: Term) -> Term:
    return ops.stop_gradient(x.max("k"))


def _finite_top(x: Term) -> Term:
    top = x.max("k")
    return ops.stop_gradient(ops.select(ops.is_finite(top), top, 0.0))


def _softmax(top: Unary) -> Callable[[Variables], Term]:
    def write(p: Variables) -> Term:
        x = p.value("x", "k")
        grown = ops.exp(x - top(x))
        return grown / grown.sum("k")

    return write


def _log_softmax(top: Unary) -> Callable[[Variables], Term]:
    def write(p: Variables) -> Term:
        x = p.value("x", "k")
        shifted = x - top(x)
        return shifted - ops.log(ops.exp(shifted).sum("k"))

    return write


def _logsumexp(top: Unary) -> Callable[[Variables], Term]:
    def write(p: Variables) -> Term:
        x = p.value("x", "k")
        shift = top(x)
        return ops.log(ops.exp(x - shift).sum("k")) + shift

    return write


STATISTICS: tuple[Rule, ...] = (
    Rule("mean", _mean, _build_mean, _counts),
    Rule("mean", _mean_by_size, _build_mean),
    Rule("mean", _wide_mean, _build_mean),
    *(
        Rule("var", _var(square), lambda found: ops.var(found["x"], over=found.axis("k")))
        for square in (lambda c: c * c, lambda c: c**2.0)
    ),
    *(
        Rule("softmax", _softmax(top), lambda found: ops.softmax(found["x"], axis=found.axis("k")))
        for top in (_top, _held_top)
    ),
    *(
        Rule(
            "log_softmax",
            _log_softmax(top),
            lambda found: ops.log_softmax(found["x"], axis=found.axis("k")),
        )
        for top in (_top, _held_top)
    ),
    *(
        Rule(
            "logsumexp",
            _logsumexp(top),
            lambda found: ops.logsumexp(found["x"], over=found.axis("k")),
        )
        for top in (_top, _held_top, _finite_top)
    ),
)
