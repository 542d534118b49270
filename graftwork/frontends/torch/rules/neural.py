"""Softmax, normalisation and attention, kept whole as composites."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from graftwork.frontends.torch.dtypes import as_torch, lifted
from graftwork.frontends.torch.rules.creation import position
from graftwork.frontends.torch.rules.dropout import dropped
from graftwork.frontends.torch.rules.elementwise import pointwise
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.rules.reshaping import reshaped
from graftwork.frontends.torch.values import extent_of, place_of, settled
from graftwork.ir import ops
from graftwork.ir.dtypes import DType
from graftwork.ir.op import REGISTRY, Op
from graftwork.ir.ops.composites.attention import attention_pattern
from graftwork.ir.positional import Label, Positional, carrying, from_right, matched
from graftwork.ir.sizes import Size, exact_div

_HALVES = (DType.bf16, DType.f16)


@rule("aten.softmax", "aten.log_softmax", "aten._softmax", "aten._log_softmax")
def softmax(
    call: Call, self: Positional, dim: int, dtype: DType | bool | None = None
) -> Positional:
    """Softmax and its logarithm."""
    word = call.op.split(".")[1].removeprefix("_")
    x = lifted(call.builder, self, call.dtype)
    if x.rank == 0:
        x = Positional(x.term, (None,))
    place = place_of(x, dim)
    x = carrying(x, place)
    term = REGISTRY[word](x.term, axis=x.dims[place])
    full = Positional(term, x.dims)
    return (
        settled(full, call.shape)
        if call.shape
        else Positional(ops.index(term, axis=x.dims[place], at=0))
    )


# --- normalisation ------------------------------------------------------------------------------


def _normalised(
    x: Positional, shape: Sequence[int], parameters: Sequence[Positional | None]
) -> tuple[Positional, list[Any], list[str]]:
    """x with the axes of its last dimensions, parameters over them, and those axes."""
    places = range(x.rank - len(shape), x.rank)
    x = carrying(x, *places)
    labels: list[Label] = list(range(-x.rank, 0))
    given = [(p, from_right(p)) for p in parameters if p is not None]
    found, _ = matched((x, labels), *given)
    x, others = found[0], iter(found[1:])
    placed = [None if p is None else next(others).term for p in parameters]
    over = [axis for place in places if (axis := x.dims[place]) is not None]
    return x, placed, over


@rule("aten.layer_norm", "aten.native_layer_norm")
def layer_norm(
    call: Call,
    input: Positional,
    normalized_shape: Sequence[int],
    weight: Positional | None = None,
    bias: Positional | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Any:
    """Normalisation over the last dimensions."""
    if weight is None and bias is not None:
        weight = Positional(lifted(call.builder, 1, input.dtype).term)
    x, (w, b), over = _normalised(input, normalized_shape, (weight, bias))
    rest = [p for p in (w, b) if p is not None]
    term = ops.layer_norm(x.term, *rest, over=over, eps=eps)
    y = settled(Positional(term, x.dims), call.shape)
    if len(call.shapes) == 1:
        return y
    dims = tuple(None if axis in over else axis for axis in x.dims)
    return y, *_moments(call, Positional(x.term, dims), over, eps)


def _moments(
    call: Call, x: Positional, over: Sequence[str], eps: float
) -> tuple[Positional, Positional]:
    """The mean over some axes and one over the deviation, which have x's other dimensions."""
    mean, var = ops.mean(x.term, over=over), ops.var(x.term, over=over)
    found = (Positional(term, x.dims) for term in (mean, ops.rsqrt(var + eps)))
    mean_, deviation = (settled(y, s) for y, s in zip(found, call.shapes[1:3], strict=True))
    return mean_, deviation


@rule("aten.rms_norm")
def rms_norm(
    call: Call,
    input: Positional,
    normalized_shape: Sequence[int],
    weight: Positional | None = None,
    eps: float | None = None,
) -> Positional:
    """Division by the root mean square over the last dimensions."""
    if eps is None:
        eps = torch.finfo(as_torch(input.dtype)).eps
    x, (w,), over = _normalised(input, normalized_shape, (weight,))
    operands = [x.term] if w is None else [x.term, w]
    term = ops.rms_norm(*operands, over=over, eps=eps, in_f32=input.dtype in _HALVES)
    return settled(Positional(term, x.dims), call.shape)


@rule("aten.batch_norm")
def batch_norm(
    call: Call,
    input: Positional,
    weight: Positional | None,
    bias: Positional | None,
    mean: Positional,
    var: Positional,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Positional:
    """Normalisation by statistics of each channel that were gathered in training."""
    if input.rank < 2:
        raise call.refuse("an input without a dimension of channels")
    affine = [p for p in (weight, bias) if p is not None]
    if weight is None and bias is not None:
        affine = [_one(call, input), bias]
    return _by_channel(call, ops.batch_norm, input, [mean, var, *affine], eps=eps)


@rule("aten._native_batch_norm_legit_no_training")
def batch_norm_inference(
    call: Call,
    input: Positional,
    weight: Positional | None,
    bias: Positional | None,
    mean: Positional,
    var: Positional,
    momentum: float,
    eps: float,
) -> tuple[Positional, ...]:
    """Batch normalisation as the default decompositions write it."""
    y = batch_norm(call, input, weight, bias, mean, var, False, momentum, eps)
    return (y, *(_nothing(call, place) for place in (1, 2)))


def _nothing(call: Call, place: int) -> Positional:
    """A result without elements."""
    zero = lifted(call.builder, 0, call.dtypes[place])
    return Positional(zero.term, call.fresh_dims(call.shapes[place]))


@rule("aten._native_batch_norm_legit.no_stats")
def batch_norm_of_batch(
    call: Call,
    input: Positional,
    weight: Positional | None,
    bias: Positional | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Any:
    """Normalisation by the statistics of the batch itself, and those statistics."""
    x, over = _less_channel(input)
    mean, var = (f(x.term, over=over) for f in (ops.mean, ops.var))
    channel = (x.dims[1],)
    gathered = (Positional(mean, channel), Positional(var, channel))
    y = batch_norm(call, input, weight, bias, *gathered, False, momentum, eps)
    deviation = Positional(ops.rsqrt(var + eps), channel)
    return (y, *(settled(s, call.shapes[1]) for s in (gathered[0], deviation)))


def _less_channel(x: Positional) -> tuple[Positional, list[str]]:
    """The tensor, and its axes but for the channel's."""
    space = [place for place in range(x.rank) if place != 1]
    x = carrying(x, *space)
    return x, [str(x.dims[place]) for place in space]


@rule("aten._native_batch_norm_legit_functional")
def batch_norm_training(
    call: Call,
    input: Positional,
    weight: Positional | None,
    bias: Positional | None,
    running_mean: Positional,
    running_var: Positional,
    training: bool,
    momentum: float,
    eps: float,
) -> Any:
    """Batch normalisation in training: the state it gathers comes last, as results."""
    running = (running_mean, running_var)
    if not training:
        results = batch_norm_inference(call, input, weight, bias, *running, momentum, eps)
        return (*results, *running)
    results = batch_norm_of_batch(call, input, weight, bias, True, momentum, eps)
    x, over = _less_channel(input)
    new = (ops.mean(x.term, over=over), ops.var(x.term, over=over, correction=1.0))
    states = (
        pointwise(
            call,
            lambda old, now: old * (1 - momentum) + now * momentum,
            old,
            settled(Positional(now, (x.dims[1],)), call.shapes[3]),
            dtype=old.dtype,
        )
        for old, now in zip(running, new, strict=True)
    )
    return (*results, *states)


@rule("aten.group_norm")
def group_norm(
    call: Call,
    input: Positional,
    num_groups: int,
    weight: Positional | None = None,
    bias: Positional | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Any:
    """Normalisation over groups of channels and all of space."""
    x = carrying(input, *range(2, input.rank))
    affine = [p for p in (weight, bias) if p is not None]
    if weight is None and bias is not None:
        affine = [_one(call, input), bias]
    return _by_channel(
        call, ops.group_norm, x, affine, groups=num_groups, axis=..., over=..., eps=eps
    )


@rule("aten.native_group_norm")
def native_group_norm(
    call: Call,
    input: Positional,
    weight: Positional | None,
    bias: Positional | None,
    n: Size,
    c: Size,
    space: Size,
    group: int,
    eps: float,
) -> Any:
    """Group normalisation as the default decompositions write it, with its statistics."""
    y = group_norm(call, input, group, weight, bias, eps)
    extents = [extent_of(input, place) for place in range(input.rank)]
    channels = input.size(1) // group
    parts = (None if group == 1 else group, None if channels == 1 else channels)
    x = carrying(reshaped(input, (extents[0], *parts, *extents[2:])), *range(2, input.rank + 1))
    over = [str(axis) for axis in x.dims[2:]]
    return y, *_moments(call, Positional(x.term, x.dims[:2]), over, eps)


def _one(call: Call, like: Positional) -> Positional:
    """A weight that changes nothing."""
    return Positional(lifted(call.builder, 1, like.dtype).term, (None,))


def _by_channel(
    call: Call, op: Op, input: Positional, parameters: Sequence[Positional], **attrs: Any
) -> Positional:
    """An op on x and on parameters that each channel has; `...` stands for x's own axes."""
    x = carrying(input, 1)
    found, _ = matched((x, list(range(x.rank))), *((p, [1]) for p in parameters))
    dims = found[0].dims
    own = {"axis": dims[1], "over": dims[2:]}
    attrs = {word: own[word] if value is ... else value for word, value in attrs.items()}
    term = op(*(y.term for y in found), **attrs)
    return settled(Positional(term, dims), call.shape)


# --- attention ----------------------------------------------------------------------------------


@rule("aten.scaled_dot_product_attention")
def attention(
    call: Call,
    query: Positional,
    key: Positional,
    value: Positional,
    attn_mask: Positional | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(q k scale + mask) v; rows with every key masked give zero."""
    width: Size = query.size(query.rank - 1)
    if scale is None:
        if not isinstance(width, int):
            raise call.refuse(f"a head_dim of symbolic size {width}; pass scale=")
        scale = 1 / math.sqrt(width)
    groups = _groups(query, key) if enable_gqa else 1
    q, k, v = _split_heads(query, groups), _grouped(key, groups), _grouped(value, groups)
    masks = [] if attn_mask is None else [_grouped_mask(attn_mask, groups)]
    q, k, v = carrying(q, q.rank - 1), carrying(k, k.rank - 2, k.rank - 1), carrying(v, v.rank - 2)
    operands = [(q, ["query", "width"]), (k, ["key", "width"]), (v, ["key", "value"])]
    operands += [(m, ["query", "key"][max(2 - m.rank, 0) :]) for m in masks]
    found, axes = matched(*((x, _with_batch(x, last)) for x, last in operands))
    terms = [x.term for x in found]
    if is_causal:
        row, column = (position(call, axes[word]).term for word in ("query", "key"))
        terms.append(ops.ge(row, column))
    attrs: dict[str, Any] = {
        "over": axes["width"],
        "key": axes["key"],
        "scale": float(scale),
        "masked_rows": "zero",
        "in_f32": query.dtype in _HALVES,
    }
    batch = range(-max(x.rank for x, _ in operands), -2)
    if dropout_p:
        q_term, k_term, v_term, *mask = terms
        pattern = attention_pattern(q_term, k_term, *mask, **attrs)
        dims = tuple(axes[label] for label in (*batch, "query", "key"))
        weights = dropped(call, Positional(pattern, dims), dropout_p, dims)
        term = ops.contract(weights.term, v_term, over=attrs["key"])
    else:
        term = ops.attention(*terms, **attrs)
    z = Positional(term, tuple(axes[label] for label in (*batch, "query", "value")))
    return z if groups == 1 else reshaped(z, call.shape)


@rule("aten._scaled_dot_product_flash_attention_for_cpu")
def flash_attention(
    call: Call,
    query: Positional,
    key: Positional,
    value: Positional,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    attn_mask: Positional | None = None,
    scale: float | None = None,
) -> Any:
    """Attention as the default decompositions write it, and what only a backward pass reads."""
    bound = (query, key, value, attn_mask, dropout_p, is_causal)
    z = attention(call, *bound, scale=scale, enable_gqa=True)
    return z, None


def _with_batch(x: Positional, last: Sequence[Label]) -> list[Label]:
    """Labels of all dimensions: those of a batch are counted from the right."""
    return [*range(-x.rank, -len(last)), *last]


def _groups(query: Positional, key: Positional) -> int:
    """How many query heads share one key head."""
    groups = exact_div(query.size(query.rank - 3), key.size(key.rank - 3))
    assert isinstance(groups, int)
    return groups


def _split_heads(x: Positional, groups: int) -> Positional:
    """Heads as key heads, and query heads to each."""
    if groups == 1:
        return x
    extents = [extent_of(x, place) for place in range(x.rank)]
    few = extents[-3] // groups if extents[-3] is not None else 1
    return reshaped(x, (*extents[:-3], None if few == 1 else few, groups, *extents[-2:]))


def _grouped(x: Positional, groups: int) -> Positional:
    """Key heads with a unit dimension for the query heads to each."""
    return x if groups == 1 else Positional(x.term, (*x.dims[:-2], None, *x.dims[-2:]))


def _grouped_mask(x: Positional, groups: int) -> Positional:
    if groups == 1 or x.rank < 3 or x.dims[-3] is not None:
        return _split_heads(x, groups if x.rank >= 3 else 1)
    return _grouped(x, groups)
