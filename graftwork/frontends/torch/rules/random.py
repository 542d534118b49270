"""Random numbers that a model draws: from a key that is an input, as the masks of dropout are.

They have torch's distributions, and are the same on every backend for the same key.
"""

from __future__ import annotations

from typing import Any

from graftwork.frontends.torch.dtypes import Operand
from graftwork.frontends.torch.rules.elementwise import pointwise
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.ir import ops
from graftwork.ir.build import Term
from graftwork.ir.dtypes import DType
from graftwork.ir.positional import Positional


def _drawn(call: Call, op: Any, dtype: DType, like: object = None) -> Positional:
    """A draw for every position of the result, whose dimensions `like` has if it is a tensor."""
    dims = like.dims if isinstance(like, Positional) else call.fresh_dims(call.shape)
    axes = [axis for axis in dims if axis is not None]
    return Positional(op(call.draw_key(), axes=axes, key=call.keys.axis, dtype=dtype), dims)


def _uniform(call: Call, like: object = None) -> Positional:
    """Uniform from 0 to below 1, in the element type of the result if that is a float."""
    dtype = call.dtype if call.dtype.is_float else DType.f32
    return _drawn(call, ops.random_uniform, dtype, like)


@rule("aten.rand", "aten.rand_like")
def rand(call: Call, shape: object, **_: object) -> Positional:
    """Uniform from 0 to below 1."""
    return _uniform(call, shape)


@rule("aten.randn", "aten.randn_like")
def randn(call: Call, shape: object, **_: object) -> Positional:
    """The standard normal distribution."""
    return _drawn(call, ops.random_normal, call.dtype, shape)


@rule("aten.randint_like.low_dtype")
def randint_like(call: Call, like: object, low: int, high: int, **_: object) -> Positional:
    """Whole numbers from low to below high."""
    bits = _drawn(call, ops.random_bits, DType.u64, like)
    number = ops.mod(bits.term, call.builder.constant(high - low, DType.u64)).cast(DType.i64)
    return Positional((number + low).cast(call.dtype), bits.dims)


@rule("aten.randint_like.default")
def randint_like_below(call: Call, like: Positional, high: int, **_: object) -> Positional:
    """Whole numbers from 0 to below high."""
    return randint_like(call, like, 0, high)


@rule("aten.randint.low")
def randint(call: Call, low: int, high: int, *_: object, **__: object) -> Positional:
    """Whole numbers from low to below high."""
    return randint_like(call, None, low, high)


@rule("aten.randint.default")
def randint_below(call: Call, high: int, *_: object, **__: object) -> Positional:
    """Whole numbers from 0 to below high."""
    return randint_like(call, None, 0, high)


@rule("aten.bernoulli.default")
def bernoulli(call: Call, self: Positional, **_: object) -> Positional:
    """One with the probability that an element has, else zero."""
    chosen = ops.lt(_uniform(call, self).term, self.term)
    return Positional(chosen.cast(call.dtype), self.dims)


@rule("aten.bernoulli.p")
def bernoulli_p(call: Call, self: Positional, p: float, **_: object) -> Positional:
    """One with probability p, else zero."""
    chosen = ops.lt(_uniform(call, self).term, p)
    return Positional(chosen.cast(call.dtype), self.dims)


@rule("aten.uniform")
def uniform(call: Call, self: Positional, low: float = 0, high: float = 1, **_: Any) -> Positional:
    """Uniform from one number to below another."""
    return Positional(_uniform(call, self).term * float(high - low) + float(low), self.dims)


@rule("aten.exponential")
def exponential(call: Call, self: Positional, lambd: float = 1, **_: object) -> Positional:
    """The exponential distribution of a rate."""
    return Positional(ops.log1p(-_uniform(call, self).term) / -float(lambd), self.dims)


@rule("aten.normal_functional")
def normal_like(
    call: Call, self: Positional, mean: float = 0, std: float = 1, **_: object
) -> Positional:
    """A normal distribution."""
    drawn = _drawn(call, ops.random_normal, call.dtype, self)
    return Positional(drawn.term * float(std) + float(mean), self.dims)


@rule("aten.normal")
def normal(call: Call, mean: Operand, std: Operand = 1.0, *_: object, **__: object) -> Positional:
    """Normal distributions, of a mean and deviation each."""

    def build(z: Term, mean: Term, std: Term) -> Term:
        return z * std + mean

    drawn = _drawn(call, ops.random_normal, call.dtype)
    return pointwise(call, build, drawn, mean, std, dtype=call.dtype)


@rule("aten.randperm", "aten.multinomial", "aten.geometric", "aten.cauchy", "aten.log_normal",
      "aten.poisson", "aten.rrelu_with_noise_functional", "aten.bernoulli.Tensor")  # fmt: skip
def other(call: Call, *_: object, **__: object) -> Positional:
    """Refused: distributions that no op here draws."""
    raise call.refuse(
        "torch's hidden generator makes it random, in a way that no random key stands for; pass "
        "what it draws as an input, or convert the model in inference mode"
    )
