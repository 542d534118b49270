"""Activations that models write by hand, or that frameworks inline."""

from __future__ import annotations

import math
from collections.abc import Callable

from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.pattern import Variables
from graftwork.passes.rules import Rule

Unary = Callable[[Term], Term]

_ROOT = math.sqrt(2 / math.pi)


def _tanh_gelu(inner: Unary) -> tuple[Unary, ...]:
    return (
        lambda x: x * 0.5 * (ops.tanh(inner(x)) + 1.0),
        lambda x: x * ((ops.tanh(inner(x)) + 1.0) * 0.5),
    )


def _erf_gelu(scaled: Unary) -> tuple[Unary, ...]:
    return (
        lambda x: x * 0.5 * (ops.erf(scaled(x)) + 1.0),
        lambda x: x * ((ops.erf(scaled(x)) + 1.0) * 0.5),
    )


# 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), in the orders that people write.
_TANH_GELUS: tuple[Unary, ...] = (
    *_tanh_gelu(lambda x: (x + 0.044715 * (x * x * x)) * _ROOT),
    *_tanh_gelu(lambda x: (x + 0.044715 * x**3.0) * _ROOT),
    *_tanh_gelu(lambda x: (x + 0.044715 * (x**2.0 * x)) * _ROOT),
    *_tanh_gelu(lambda x: x * _ROOT * (1.0 + 0.044715 * x * x)),
)
# 0.5 x (1 + erf(x / sqrt(2)))
_ERF_GELUS: tuple[Unary, ...] = (
    *_erf_gelu(lambda x: x / math.sqrt(2)),
    *_erf_gelu(lambda x: x * math.sqrt(0.5)),
    lambda x: x * 0.5 * ops.erfc(-x * math.sqrt(0.5)),
    lambda x: x * (ops.erfc(-x * math.sqrt(0.5)) * 0.5),
)


def _rule(name: str, form: Unary, build: Unary) -> Rule:
    def write(p: Variables) -> Term:
        return form(p.value("x"))

    return Rule(name, write, lambda found: build(found["x"]))


ACTIVATIONS: tuple[Rule, ...] = (
    *(_rule("gelu", form, lambda x: ops.gelu(x, approximate="tanh")) for form in _TANH_GELUS),
    *(_rule("gelu", form, ops.gelu) for form in _ERF_GELUS),
    _rule("silu", lambda x: x * ops.logistic(x), ops.silu),
    _rule("quick_gelu", lambda x: x * ops.logistic(x * 1.702), ops.quick_gelu),
    _rule("relu", lambda x: ops.maximum(x, 0.0), ops.relu),
)
