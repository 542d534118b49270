"""Activations: those with an op of their own, and those that a formula says."""

from __future__ import annotations

from graftwork.frontends.torch.rules.elementwise import pointwise, word
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.op import REGISTRY
from graftwork.ir.positional import Positional


@rule("aten.relu", "aten.silu")
def activation(call: Call, self: Positional) -> Positional:
    """Activations that have an op of their own."""
    return pointwise(call, REGISTRY[word(call)], self, dtype=self.dtype)


@rule("aten.gelu")
def gelu(call: Call, self: Positional, approximate: str = "none") -> Positional:
    """The Gaussian error linear unit."""
    return Positional(ops.gelu(self.term, approximate=approximate), self.dims)


@rule("aten.leaky_relu")
def leaky_relu(call: Call, self: Positional, negative_slope: float = 0.01) -> Positional:
    """x, or a fraction of it below zero."""

    def build(x: Term) -> Term:
        return ops.select(ops.gt(x, 0), x, x * negative_slope)

    return pointwise(call, build, self, dtype=self.dtype)


@rule("aten.elu")
def elu(
    call: Call,
    self: Positional,
    alpha: float = 1.0,
    scale: float = 1.0,
    input_scale: float = 1.0,
) -> Positional:
    """Exponential linear units: ELU, SELU and CELU are its cases."""

    def build(x: Term) -> Term:
        below = ops.expm1(ops.minimum(x, 0) * input_scale) * (alpha * scale)
        return ops.select(ops.gt(x, 0), x * scale, below)

    return pointwise(call, build, self, dtype=self.dtype)


@rule("aten.softplus")
def softplus(
    call: Call, self: Positional, beta: float = 1.0, threshold: float = 20.0
) -> Positional:
    """log(1 + exp(beta x)) / beta, and x itself beyond the threshold."""
    return Positional(
        ops.softplus(self.term, beta=float(beta), threshold=float(threshold)), self.dims
    )
