"""Dropout in training: masks drawn from random keys, which come from an input of the graph."""

from __future__ import annotations

import math

from graftwork.frontends.torch.dtypes import lifted
from graftwork.frontends.torch.rules.elementwise import pointwise
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.positional import Dims, Positional

# What alpha dropout puts in for what it drops: the negative limit of SELU (Klambauer et al. 2017).
_ALPHA = 1.7580993408473766


def kept(call: Call, dims: Dims, p: float) -> Term:
    """Which positions of some dimensions are kept, each with probability 1 - p."""
    key = call.draw_key()
    axes = [axis for axis in dims if axis is not None]
    drawn: Term = ops.random_uniform(key, axes=axes, key=call.keys.axis)
    return ops.lt(drawn, 1 - p)


def dropped(call: Call, x: Positional, p: float, dims: Dims) -> Positional:
    """x over 1 - p where it is kept, else zero; one draw for each position of `dims`."""
    zero = lifted(call.builder, 0, x.dtype)
    if p == 1:
        return Positional(zero.term, x.dims)
    return Positional(ops.select(kept(call, dims, p), x.term / (1 - p), zero.term), x.dims)


def _channels(call: Call, x: Positional) -> Dims:
    """The dimensions that are dropped one by one: in `feature` operators whole channels are."""
    return x.dims[:2] if "feature" in call.op else x.dims


@rule("aten.dropout", "aten.feature_dropout")
def dropout(call: Call, input: Positional, p: float, train: bool) -> Positional:
    """Elements or channels made zero at random, the others scaled; nothing in inference."""
    return dropped(call, input, p, _channels(call, input)) if train and p > 0 else input


@rule("aten.native_dropout")
def native_dropout(
    call: Call, input: Positional, p: float, train: bool | None
) -> tuple[Positional, Positional]:
    """Dropout, and which elements it kept."""
    if train is False or p == 0:
        return input, Positional(call.builder.constant(True), input.dims)
    if p == 1:
        return dropped(call, input, p, ()), Positional(call.builder.constant(False), input.dims)
    mask = Positional(kept(call, input.dims, p), input.dims)
    zero = lifted(call.builder, 0, input.dtype)
    term = ops.select(mask.term, input.term / (1 - p), zero.term)
    return Positional(term, input.dims), mask


@rule("aten.alpha_dropout", "aten.feature_alpha_dropout")
def alpha_dropout(call: Call, input: Positional, p: float, train: bool) -> Positional:
    """Dropout that keeps mean and variance of what SELU gives."""
    if not train or p == 0:
        return input
    if p == 1:
        return dropped(call, input, p, ())
    scale = 1 / math.sqrt((_ALPHA**2 * p + 1) * (1 - p))
    keep = kept(call, _channels(call, input), p)

    def build(x: Term) -> Term:
        return (ops.select(keep, x, -_ALPHA) + _ALPHA * p) * scale

    return pointwise(call, build, input, dtype=input.dtype)
