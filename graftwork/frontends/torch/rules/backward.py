"""Backward operators, of programs that were traced with their gradients.

Such an operator is the derivative of another one. Where that has a rule, its graph is run backward;
of interpolation and of places of greatest elements the transpose is written here. Operators that
take the sizes of an operand and not the operand are linear in it: zeros stand for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

from attrs import evolve

from graftwork.frontends.torch.dtypes import lifted
from graftwork.frontends.torch.rules.creation import filled, positions
from graftwork.frontends.torch.rules.neural import flash_attention
from graftwork.frontends.torch.rules.pooling import adaptive_avg_pool
from graftwork.frontends.torch.rules.registry import Call, find_real_rule, rule
from graftwork.frontends.torch.rules.reshaping import reshaped
from graftwork.frontends.torch.rules.smoothing import cubic, hat, step_between
from graftwork.frontends.torch.rules.windows import convolution, upsample_nearest_to
from graftwork.frontends.torch.rules.writing import scatter
from graftwork.frontends.torch.values import extent_of, settled
from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.derive import vjp
from graftwork.ir.dtypes import DType
from graftwork.ir.graph import Value
from graftwork.ir.positional import (
    Positional,
    aligned,
    as_carried,
    carrying,
    carrying_axes,
    closed,
)
from graftwork.ir.sizes import Size

Forward = Callable[..., Positional]


def _pulled(
    call: Call,
    forward: Forward,
    operands: Sequence[Positional],
    grad: Positional,
    still: Sequence[Positional] = (),
) -> list[Positional]:
    """The cotangents of an operator's operands, given `grad`, that of its result.

    Args:
        forward: makes the result of a call and the operands.
        still: operands that have no cotangent, such as masks.
    """
    operands = [carrying_axes(x) for x in (*operands, *still)]
    scratch = Builder(call.builder.typing, call.builder.origin)
    inside = [Positional(Term(Value(x.term.type), scratch), x.dims) for x in operands]
    shape = tuple(extent_of(grad, place) for place in range(grad.rank))
    op = call.op.replace("_backward", "")
    out = forward(
        evolve(call, op=op, builder=scratch, shapes=(shape,), dtypes=(grad.dtype,)), *inside
    )
    region = closed(inside, [out.term], scratch)
    terms = [x.term for x in operands]
    _, back = vjp(call.builder, region, terms, range(len(terms) - len(still)))
    moved = back([as_carried(grad, out)])
    return [
        Positional(lifted(call.builder, 0, x.dtype).term if term is None else term, x.dims)
        for term, x in zip(moved, operands[: len(moved)], strict=True)
    ]


@rule("aten.avg_pool2d_backward", "aten.avg_pool3d_backward", "aten.silu_backward",
      "aten.reflection_pad1d_backward", "aten.reflection_pad2d_backward",
      "aten.reflection_pad3d_backward", "aten.replication_pad1d_backward",
      "aten.replication_pad2d_backward", "aten.replication_pad3d_backward")  # fmt: skip
def of_operator(call: Call, grad_output: Positional, self: Positional, *options: Any) -> Positional:
    """The derivative of the operator of the same name, with the same options."""
    forward = find_real_rule(call.op.replace("_backward", ""))
    assert forward is not None
    return _pulled(call, lambda inner, x: forward(inner, x, *options), [self], grad_output)[0]


@rule("aten.mish_backward")
def mish_backward(call: Call, grad_output: Positional, self: Positional) -> Positional:
    """The derivative of x tanh(softplus(x))."""

    def mish(_: Call, x: Positional) -> Positional:
        return Positional(ops.mish(x.term), x.dims)

    return _pulled(call, mish, [self], grad_output)[0]


@rule("aten._adaptive_avg_pool2d_backward", "aten._adaptive_avg_pool3d_backward")
def adaptive_avg_pool_backward(call: Call, grad_output: Positional, self: Positional) -> Positional:
    """The derivative of means of parts, of which there are as many as `grad_output` has."""
    count = int(call.op.partition("pool")[2][0])
    sizes = [grad_output.size(place) for place in range(-count, 0)]
    parts = [size for size in sizes if isinstance(size, int)]
    assert len(parts) == count, "torch pools to known sizes"
    return _pulled(call, partial(adaptive_avg_pool, output_size=parts), [self], grad_output)[0]


@rule("aten.upsample_nearest1d_backward", "aten.upsample_nearest2d_backward",
      "aten.upsample_nearest3d_backward", "aten._upsample_nearest_exact1d_backward",
      "aten._upsample_nearest_exact2d_backward",
      "aten._upsample_nearest_exact3d_backward")  # fmt: skip
def upsample_nearest_backward(
    call: Call,
    grad_output: Positional,
    output_size: Sequence[Size],
    input_size: Sequence[Size],
    *scales: float | None,
) -> Positional:
    """The sum of all positions of a larger grid that one was copied to."""

    def forward(inner: Call, x: Positional) -> Positional:
        return upsample_nearest_to(inner, x, output_size, *scales)

    return _pulled(call, forward, [filled(call, 0)], grad_output)[0]


@rule("aten.upsample_linear1d_backward", "aten.upsample_bilinear2d_backward",
      "aten.upsample_trilinear3d_backward", "aten.upsample_bicubic2d_backward")  # fmt: skip
def upsample_backward(
    call: Call,
    grad_output: Positional,
    output_size: Sequence[Size],
    input_size: Sequence[Size],
    align_corners: bool,
    *scales: float | None,
) -> Positional:
    """What each position counted for in all positions that were interpolated."""
    x = grad_output
    for place, scale in zip(range(2, x.rank), scales or (None,) * x.rank, strict=False):
        x = carrying(x, place)
        new, size = str(x.dims[place]), call.shape[place]
        old = call.fresh(1 if size is None else size)
        weights = _interpolation(call, old, new, x.dtype, align_corners, scale)
        x = Positional(ops.contract(x.term, weights, over=new), x.with_dim(place, old).dims)
    return settled(x, call.shape)


def _interpolation(
    call: Call, old: str, new: str, dtype: DType, align_corners: bool, scale: float | None
) -> Term:
    """What each old position counts for at each new one; beyond the ends are the ends again."""
    is_cubic = "bicubic" in call.op
    step = step_between(call, old, new, dtype, align_corners, scale)
    at = positions(call, new, dtype)
    at = at * step if align_corners else (at + 0.5) * step - 0.5
    if not is_cubic:
        at = ops.maximum(at, 0.0)
    below = ops.floor(at)
    with call.builder:
        last = ops.size(value=call.builder.typing.size(old) - 1, dtype=dtype)
    place = positions(call, old, dtype)
    parts = [
        ops.select(
            ops.eq(place, ops.minimum(ops.maximum(below + tap, 0.0), last)),
            cubic(at - below - tap, sharpness=-0.75) if is_cubic else hat(at - below - tap),
            0.0,
        )
        for tap in ((-1.0, 0.0, 1.0, 2.0) if is_cubic else (0.0, 1.0))
    ]
    return sum(parts[1:], parts[0])


@rule("aten.convolution_backward")
def convolution_backward(
    call: Call,
    grad_output: Positional,
    input: Positional,
    weight: Positional,
    bias_sizes: object,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[Positional | None, ...]:
    """The derivative of a convolution in its input, its kernel and its bias, where asked for."""

    def forward(inner: Call, x: Positional, w: Positional) -> Positional:
        options = (stride, padding, dilation, transposed, output_padding, groups)
        return convolution(inner, x, w, None, *options)

    moved: list[Positional] = _pulled(call, forward, [input, weight], grad_output)
    grad = carrying_axes(grad_output)
    channel = grad.dims[1]
    total = grad.term.sum(*(axis for axis in grad.axes if axis != channel))
    found = [*moved, Positional(total, (channel,))]
    return tuple(x if asked else None for x, asked in zip(found, output_mask, strict=True))


@rule("aten._scaled_dot_product_flash_attention_for_cpu_backward")
def flash_attention_backward(
    call: Call,
    grad_out: Positional,
    query: Positional,
    key: Positional,
    value: Positional,
    out: Positional,
    logsumexp: object,
    dropout_p: float,
    is_causal: bool,
    *,
    attn_mask: Positional | None = None,
    scale: float | None = None,
) -> tuple[Positional, ...]:
    """The derivative of attention in queries, keys and values; the pattern is made again."""

    def forward(
        inner: Call, q: Positional, k: Positional, v: Positional, mask: Positional | None = None
    ) -> Positional:
        z: Positional = flash_attention(
            inner, q, k, v, dropout_p, is_causal, attn_mask=mask, scale=scale
        )[0]
        return z

    mask = [] if attn_mask is None else [attn_mask]
    return tuple(_pulled(call, forward, [query, key, value], grad_out, still=mask))


@rule("aten.hardshrink_backward", "aten.softshrink_backward")
def shrink_backward(call: Call, grad_out: Positional, self: Positional, lambd: float) -> Positional:
    """Nothing passes where the operator gives zero."""
    (grad, x), dims = aligned(grad_out, self)
    bound = lifted(call.builder, lambd, x.dtype).term
    return Positional(ops.select(ops.le(ops.abs(x), bound), 0.0, grad), dims)


@rule("aten.max_pool3d_with_indices_backward",
      "aten.adaptive_max_pool2d_backward", "aten.adaptive_max_pool3d_backward")  # fmt: skip
def max_pool_backward(
    call: Call, grad_output: Positional, self: Positional, *options: Any
) -> Positional:
    """What comes back from each window goes to where its greatest element was."""
    indices: Positional = options[-1]
    count = int(call.op.partition("pool")[2][0])
    flat, grads, at = (_flat(x, count) for x in (filled(call, 0), grad_output, indices))
    inner = evolve(call, op="aten.scatter_add.default")
    return reshaped(scatter(inner, flat, flat.rank - 1, at, grads), call.shape)


def _flat(x: Positional, count: int) -> Positional:
    """The last `count` dimensions as one."""
    extents = tuple(extent_of(x, place) for place in range(x.rank))
    whole = prod(x.size(place) for place in range(x.rank - count, x.rank))
    return reshaped(x, (*extents[:-count], whole))
