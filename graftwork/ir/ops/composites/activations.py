"""Activation functions."""

from __future__ import annotations

import math
from typing import Any

from graftwork.ir.attributes import AXIS, FLOAT, Spec, choice, optional
from graftwork.ir.build import Term
from graftwork.ir.draw import FLOATS, Call, Draw
from graftwork.ir.op import REGISTRY, Op, define
from graftwork.ir.ops.elementwise import (
    abs,
    erf,
    exp,
    expm1,
    log1p,
    logistic,
    maximum,
    minimum,
    select,
    tanh,
)
from graftwork.ir.ops.families import is_number, pointwise, zips


def _activation(name: str, doc: str, body: Any, *attrs: Spec, **fields: Any) -> Op:
    given = {"sample": pointwise(FLOATS), "infer": zips()} | fields
    return define(name, "x", doc, attrs=attrs, body=body, traits={"elementwise"}, **given)


def _with(**options: tuple[Any, ...]) -> Any:
    """A sampler of a float and one of the options for each attribute."""

    def sample(draw: Draw) -> Call:
        attrs = {name: draw.pick(*values) for name, values in options.items()}
        return Call((draw.operand(FLOATS),), attrs)

    return sample


def _relu_jvp(operands: Any, tangents: Any, outputs: Any) -> Any:
    return (select(operands[0] > 0.0, tangents[0], 0.0),)


relu = _activation(
    "relu", "max(x, 0).", lambda x: maximum(x, 0), infer=zips(is_number), jvp=_relu_jvp
)


def _gelu(x: Term, *, approximate: str) -> Term:
    if approximate == "none":
        return 0.5 * x * (erf(x * math.sqrt(0.5)) + 1.0)
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
    return 0.5 * x * (tanh(inner) + 1.0)


gelu = _activation(
    "gelu",
    "x times the normal distribution function of x (Hendrycks and Gimpel 2016), or its tanh form.",
    _gelu,
    Spec("approximate", choice("none", "tanh"), "none"),
    sample=_with(approximate=("none", "tanh")),
)
quick_gelu = _activation(
    "quick_gelu",
    "x logistic(1.702 x), the sigmoid form of gelu.",
    lambda x: x * logistic(x * 1.702),
)
silu = _activation("silu", "x logistic(x), also called swish.", lambda x: x * logistic(x))


def _softplus(x: Term, *, beta: float, threshold: float | None) -> Term:
    scaled = x if beta == 1.0 else x * beta
    smooth = maximum(scaled, 0.0) + log1p(exp(-abs(scaled)))
    smooth = smooth if beta == 1.0 else smooth / beta
    return smooth if threshold is None else select(scaled > threshold, x, smooth)


softplus = _activation(
    "softplus",
    "log(1 + exp(beta x)) / beta; x itself where beta x is above the threshold.",
    _softplus,
    Spec("beta", FLOAT, 1.0),
    Spec("threshold", optional(FLOAT), None),
    sample=_with(beta=(1.0, 2.0), threshold=(None, 20.0)),
)
log_sigmoid = _activation(
    "log_sigmoid",
    "log(logistic(x)) without underflow.",
    lambda x: minimum(x, 0.0) - log1p(exp(-abs(x))),
)
mish = _activation("mish", "x tanh(softplus(x)).", lambda x: x * tanh(softplus(x)))


def _leaky_relu(x: Term, *, slope: float) -> Term:
    return select(x > 0.0, x, x * slope)


leaky_relu = _activation(
    "leaky_relu", "x where positive, else slope x.", _leaky_relu, Spec("slope", FLOAT, 0.01),
    sample=_with(slope=(0.01, 0.25)),
)  # fmt: skip


def _elu(x: Term, *, alpha: float) -> Term:
    below = expm1(minimum(x, 0.0))
    return select(x > 0.0, x, below if alpha == 1.0 else below * alpha)


elu = _activation(
    "elu", "x where positive, else alpha (exp(x) - 1).", _elu, Spec("alpha", FLOAT, 1.0),
    sample=_with(alpha=(1.0, 0.5)),
)  # fmt: skip


def _selu(x: Term) -> Term:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * elu(x, alpha=alpha)


selu = _activation("selu", "The self-normalising elu of Klambauer et al. 2017.", _selu)


def _clip_jvp(operands: Any, tangents: Any, outputs: Any, *, low: float, high: float) -> Any:
    (x,) = operands
    return (select((x >= low) & (x <= high), tangents[0], 0.0),)


clip = _activation(
    "clip",
    "x no less than low and no more than high.",
    lambda x, low, high: minimum(maximum(x, low), high),
    Spec("low", FLOAT),
    Spec("high", FLOAT),
    jvp=_clip_jvp,
    sample=_with(low=(-1.0, 0.0), high=(1.0, 0.5)),
)
hard_sigmoid = _activation(
    "hard_sigmoid",
    "x / 6 + 1/2 between 0 and 1.",
    lambda x: clip(x + 3.0, low=0.0, high=6.0) / 6.0,
)
hard_swish = _activation("hard_swish", "x hard_sigmoid(x).", lambda x: x * hard_sigmoid(x))


def _glu(x: Term, *, axis: str, into: str) -> Term:
    half = x.size(axis) // 2
    value, gate = (
        REGISTRY["slice"](x, axis=axis, start=start, stop=start + half, into=into)
        for start in (0, half)
    )
    return value * logistic(gate)


def _sample_glu(draw: Draw) -> Call:
    x = draw.operand(FLOATS, binds=1, multiple=2)
    return Call((x,), {"axis": draw.axis(x, multiple=2), "into": draw.new()})


glu = define(
    "glu",
    "x",
    "The first half of an axis times the logistic of the second half (Dauphin et al. 2017).",
    attrs=(Spec("axis", AXIS), Spec("into", AXIS)),
    body=_glu,
    sample=_sample_glu,
)
