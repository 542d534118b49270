"""Every operator that has a rule, against torch, at the traced sizes, at others, and at size 1.

One module holds many operators, since tracing costs more than running.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tests.frontends.torch_support import check, integers, numbers

T = torch.Tensor
SIZES = [{"batch": 2, "seq": 6}, {"batch": 3, "seq": 7}, {"batch": 1, "seq": 6}]
WIDE = 8
WEIGHT = numbers(5, WIDE)
TABLE, ROW = numbers(11, 4), numbers(4)


def inputs(sizes: Mapping[str, int]) -> dict[str, T]:
    """The inputs of all functions: two float arrays, one of integers, one of bools."""
    batch, seq = sizes["batch"], sizes["seq"]
    return {
        "x": numbers(batch, seq, WIDE),
        "y": numbers(batch, seq, WIDE, seed=1),
        "i": integers(batch, seq, low=-3),
        "m": integers(batch, seq, high=2).bool(),
    }


AXES: dict[str | int, str] = {
    "x": "batch seq wide=8",
    "y": "batch seq wide=8",
    "i": "batch seq",
    "m": "batch seq",
}


def unary(x: T, y: T, i: T, m: T) -> dict[str, T]:
    u = torch.sigmoid(x)
    everywhere = "exp expm1 sin cos tan atan sinh cosh tanh asinh sigmoid erf erfc neg abs sign"
    found = {name: getattr(torch, name)(x) for name in f"{everywhere} floor ceil".split()}
    positive = "log log1p log2 log10 sqrt rsqrt asin acos atanh erfinv lgamma digamma reciprocal"
    found |= {name: getattr(torch, name)(u) for name in f"{positive} square".split()}
    found |= {"acosh": torch.acosh(u + 1), "round": x.round(), "frac": x.frac()}
    found |= {"round2": torch.round(x, decimals=2), "exp2": torch.exp2(x), "trunc": x.trunc()}
    found |= {"int_floor": i.floor(), "int_exp": i.exp(), "not": ~m, "int_not": ~i}
    found |= {"logical_not": i.logical_not(), "isnan": (x / 0).isnan(), "isinf": (x / 0).isinf()}
    found |= {"isfinite": torch.isfinite(i), "nan_to_num": torch.nan_to_num(x / 0 * 0)}
    return found


def binary(x: T, y: T, i: T, m: T) -> dict[str, T]:
    n, j = i[..., None], i.flip(1)
    half = x.float()
    return {
        "add": x + y,
        "alpha": torch.add(x, y, alpha=2),
        "int_float": i + 0.5,
        "float_int": x + n,
        "bool_int": m + i,
        "bools": m + m.flip(1),
        "rsub": 1 - x,
        "mul": x * 2,
        "f32_scalar": half * 2.5,
        "f32_f64": half + y,
        "zero_dim": half + torch.tensor(1.5, dtype=torch.float64),
        "div": x / y,
        "int_div": i / 3,
        "floor_div": i // 3,
        "float_floor": x // y,
        "trunc_div": torch.div(i, 3, rounding_mode="trunc"),
        "trunc_float": torch.div(x, y, rounding_mode="trunc"),
        "remainder": i % 3,
        "float_mod": x % y,
        "fmod": torch.fmod(x, y),
        "pow": x**2,
        "pow3": x**3,
        "root": x.abs() ** 0.5,
        "rpow": 2.0**x,
        "pows": x.abs() ** y,
        "maximum": torch.maximum(x, y),
        "minimum": torch.minimum(x, y),
        "fmax": torch.fmax(x, y * math.nan),
        "atan2": torch.atan2(x, y),
        "and": i & 3,
        "or": m | m.flip(1),
        "xor": i ^ j,
        "shift": i.abs() << 2,
        "logical": torch.logical_and(i, m),
        "eq": i == j,
        "lt": x < 0.5,
        "ge": i >= 1.5,
        "where": torch.where(m[..., None], x, 0.0),
        "where_int": torch.where(m, i, 2.5),
        "fill": x.masked_fill(m[..., None], -math.inf),
        "clamp": x.clamp(-0.5, 0.5),
        "clamp_min": x.clamp(min=0),
        "clamp_tensor": torch.clamp(x, y, y + 1),
        "outer": x[0, 0][:, None] - x[0, 0][None, :],
        "self_transposed": x @ x.mT + (x @ x.mT).mT,
        "lerp": torch.lerp(x, y, 0.3),
        "addcmul": torch.addcmul(x, y, y, value=0.5),
        "mixed": x.half() + 1,
        "to_int": (x * 3).int(),
        "to_bool": i.bool(),
        "like": i.type_as(x),
        "like_other": x.to(i),
    }


def activations(x: T, y: T, i: T, m: T) -> dict[str, T]:
    names = "relu silu gelu elu selu celu leaky_relu hardswish hardsigmoid hardtanh relu6 softplus"
    found = {name: getattr(F, name)(x) for name in f"{names} mish".split()}
    found |= {"tanh_gelu": F.gelu(x, approximate="tanh"), "logsigmoid": F.logsigmoid(x)}
    found |= {"glu": F.glu(x), "softsign": F.softsign(x), "softshrink": F.softshrink(x)}
    found |= {"softmax": x.softmax(-1), "softmax_seq": x.softmax(1), "log": x.log_softmax(1)}
    found |= {"f32": x.softmax(-1, dtype=torch.float32), "unit": x[..., :1].softmax(-1)}
    found |= {"dropout": F.dropout(x, training=False), "threshold": F.threshold(x, 0.1, 7.0)}
    return found


def views(x: T, y: T, i: T, m: T) -> dict[str, Any]:
    b, s, w = x.shape
    return {
        "merge": x.reshape(b * s, w),
        "minus": x.reshape(-1, w).view(b, s, 2, 4),
        "merge_all": x.flatten(),
        "heads": x.view(b, s, 4, 2).transpose(1, 2),
        "back": x.view(b, s, 4, 2).transpose(1, 2).reshape(b, 4, s * 2),
        "mixed": x.transpose(0, 1).reshape(s, b * 4, 2),
        "n_to_m": x.reshape(b, 4, s * 2),
        "permute": x.permute(2, 0, 1),
        "unsqueeze": x[:, None, :, None],
        "squeeze": x[:, None].squeeze(1),
        "expand": x[:, None].expand(b, 3, s, w),
        "expand_new": i.expand(2, -1, -1),
        "repeat_kv": x.view(b, s, 2, 4)[:, :, :, None].expand(b, s, 2, 3, 4).reshape(b, s, 24),
        "split_expanded": i[..., None].expand(b, s, 6).reshape(b, s, 2, 3),
        "repeat": i.repeat(2, 3),
        "repeat_new": i.repeat(2, 1, 1),
        "interleave": i.repeat_interleave(2, dim=1),
        "select": x[:, 1],
        "last": x[:, -1],
        "slice": x[:, 1:],
        "slice_end": x[:, :-1],
        "slice_last": x[:, -1:],
        "slice_step": x[:, ::2],
        "slice_inner": x[..., 1:7:3],
        "split": x.split(3, dim=-1),
        "chunk": x.chunk(2, dim=-1),
        "unbind": x[..., :2].unbind(-1),
        "flip": x.flip(1, 2),
        "roll": x.roll(1, dims=2),
        "roll_seq": x.roll(1, dims=1),
        "diagonal": (x @ x.mT).diagonal(dim1=1, dim2=2),
        "diagonal2": x[..., None].expand(b, s, w, 5).diagonal(offset=1, dim1=2, dim2=3),
        "unfold": x.unfold(1, 3, 2),
        "cat": torch.cat([x, y[:, 1:]], dim=1),
        "cat_units": torch.cat([x[:, :1], y, x[:, -1:]], dim=1),
        "cat_self": torch.cat([x, x.transpose(1, 2).transpose(1, 2)], dim=-1),
        "cat_dtype": torch.cat([i, m], dim=0),
        "stack": torch.stack([x, y], dim=1),
        "pad": F.pad(x, (1, 2, 0, 1), value=3.0),
        "crop": F.pad(x, (-1, 2)),
        "reflect": F.pad(x, (2, 3), mode="reflect"),
        "replicate": F.pad(x, (2, 3), mode="replicate"),
        "movedim": x.movedim(0, -1),
        "pixel_shuffle": F.pixel_shuffle(x.view(b, 4, 2, s), 2),
        "tril": (x @ x.mT).tril(),
        "triu": x.triu(1),
        "meshgrid": torch.meshgrid(i[0], i[:, 0], indexing="ij"),
        "rotate": torch.cat((-x[..., WIDE // 2 :], x[..., : WIDE // 2]), dim=-1),
    }


def creation(x: T, y: T, i: T, m: T) -> dict[str, T]:
    b, s, w = x.shape
    return {
        "arange": torch.arange(s),
        "arange_from": torch.arange(2, s + 2, dtype=torch.float64),
        "arange_step": torch.arange(0, 2 * s, 2) * i,
        "zeros": torch.zeros(b, s),
        "zeros_like": torch.zeros_like(x) + y,
        "full": torch.full((b, 1, s), 2.5).expand(b, 3, s),
        "ones": x.new_ones(s, w) * x,
        "eye": torch.eye(s) + 0,
        "size": x / s,
        "sizes": torch.full((), s * b, dtype=torch.int64) + i,
        "linspace": torch.linspace(0, 1, 5),
        "linspace_whole": torch.linspace(4.3, -3, 50, dtype=torch.int64),
        "mask": torch.ones(s, s, dtype=torch.bool).tril(),
        "constant": x * torch.tensor([1.0, 2.0] * 4, dtype=torch.float64),
        "scalar": x * torch.tensor(3.0),
    }


def reductions(x: T, y: T, i: T, m: T) -> dict[str, Any]:
    return {
        "sum": x.sum(-1),
        "sum_all": x.sum(),
        "sum_int": i.sum(1),
        "sum_bool": m.sum(),
        "sum_keep": x.sum((0, 2), keepdim=True),
        "sum_expanded": i[..., None].expand(-1, -1, 5).sum(-1),
        "sum_unit": x[:, :, :1].sum(-1),
        "prod": x.prod(-1),
        "mean": x.mean(1),
        "mean_f32": x.mean(-1, dtype=torch.float32),
        "amax": x.amax(-1),
        "amin": x.amin((0, 1)),
        "any": m.any(-1),
        "all": m.all(),
        "var": x.var(-1),
        "var0": x.var(-1, unbiased=False, keepdim=True),
        "var_all": x.var(),
        "std": x.std((1, 2), correction=0),
        "var_mean": torch.var_mean(x, dim=-1),
        "var_mean_all": torch.var_mean(x, False),
        "var_mean_keep": torch.var_mean(x, [0, 1], False, True),
        "std_mean": torch.std_mean(x, dim=1, correction=0),
        "logsumexp": x.logsumexp(1),
        "norm": x.norm(dim=-1),
        "norm1": x.norm(p=1, dim=-1),
        "norm3": torch.linalg.vector_norm(x, 3, dim=-1),
        "norm_inf": torch.linalg.vector_norm(x, math.inf, dim=(1, 2)),
        "argmax": x.argmax(-1),
        "argmax_all": x.argmax(),
        "argmin": i.argmin(1, keepdim=True),
        "max": x.max(-1),
        "min": i.min(0),
        "max_all": x.max(),
        "cumsum": x.cumsum(1),
        "cumsum_bool": m.cumsum(-1),
        "diff": x.diff(n=2, dim=1, prepend=y),
        "diff_after": i.diff(dim=1, append=i[:, :2]),
        "diff_bool": m.diff(),
        "cumprod": x.cumprod(-1),
        "logcumsumexp": x.logcumsumexp(-1),
        "topk": x.topk(3),
        "topk_low": x.topk(2, largest=False),
        "topk1": x.topk(1, dim=1),
        "sort": x.sort(dim=1),
        "sort_down": i.sort(descending=True, stable=True),
        "argsort": x.argsort(-1),
        "count": (i > 0).sum(-1),
        "normalize": F.normalize(x, dim=-1),
        "cosine": F.cosine_similarity(x, y, dim=-1),
    }


def products(x: T, y: T, i: T, m: T) -> dict[str, T]:
    b, s, _ = x.shape
    weight, heads = WEIGHT, x.view(b, s, 2, 4).transpose(1, 2)
    return {
        "matmul": x @ y.mT,
        "matrix": x @ weight.T,
        "vector": x @ weight[0],
        "left_vector": weight[:, 0] @ weight,
        "batched": heads @ heads.mT,
        "broadcast": heads @ heads[:, :1].mT,
        "linear": F.linear(x, weight, weight[:, 0]),
        "linear_twice": F.linear(F.linear(x, weight), weight.T),
        "square": x @ weight.T @ weight @ (weight.T @ weight),
        "unit": F.linear(x[..., :1], weight[:, :1], weight[:, 0]),
        "to_unit": F.linear(x, weight[:1], weight[:1, 0]),
        "bmm": torch.bmm(x, y.mT),
        "mm": x[0] @ y[0].T,
        "addmm": torch.addmm(weight[0], x[0], weight.T @ weight, beta=0.5, alpha=2),
        "baddbmm": torch.baddbmm(y, x, (weight.T @ weight).expand(b, -1, -1)),
        "outer": torch.outer(weight[0], weight[:, 0]),
        "einsum": torch.einsum("bqd,bkd->bqk", x, y),
        "einsum3": torch.einsum("bqd,od,bqo->bq", x, weight, x @ weight.T),
        "einsum_dots": torch.einsum("...d,ed->...e", x, weight),
        "einsum_sum": torch.einsum("bsd->d", x),
        "einsum_implicit": torch.einsum("ij,kj", weight, weight),
        "expanded": torch.ones(b, 3, s, dtype=torch.float64) @ x,
    }


def indexing(x: T, y: T, i: T, m: T) -> dict[str, T]:
    b, s, w = x.shape
    table, j = TABLE, i.abs()
    rows, columns = torch.arange(b)[:, None, None], torch.arange(s)[None, :, None]
    return {
        "embedding": F.embedding(j, table),
        "rows": table[i],
        "index_none": x[:, [0, 2], :],
        "index_last": x[:, :, j[0, :2]],
        "index_two": x[torch.arange(b), -1],
        "index_split": x[torch.arange(b), :, j[:, 0]],
        "mask_lookup": m[rows, columns],
        "pairs": x[rows, j[:, :, None], torch.arange(3)],
        "index_select": x.index_select(2, torch.tensor([3, 0, 3])),
        "gather": x.gather(2, j[..., None].expand(b, s, 3)),
        "gather_seq": x.gather(1, j[..., None].expand(b, s, w)),
        "gather_part": x.gather(2, j[:, :2, None]),
        "gather_order": x.gather(-1, x.argsort(-1)),
        "one_hot": F.one_hot(j, 5),
        "scatter": x.scatter(2, j[..., None], 7.0),
        "scatter_src": x.scatter(1, j[..., None].flip(1)[:, :1], y),
        "scatter_add": x.scatter_add(2, j[..., None].expand(b, s, w), y),
        "scatter_reduce": x.scatter_reduce(1, j[..., None].expand(b, s, w), y, "amax"),
        "index_put": x.index_put((torch.arange(b)[:, None], j[:, :1]), y[:, :1]),
        "accumulate": table.index_put((j,), ROW, accumulate=True),
        "index_add": x.index_add(2, torch.tensor([0, 0, 1]), y[..., :3]),
        "index_copy": x.index_copy(2, torch.tensor([4, 0]), y[..., :2]),
        "masked_put": x.masked_fill(m[..., None], 2.0),
        "in_place": assigned(x, y, m),
    }


def assigned(x: T, y: T, m: T) -> T:
    """A copy of x that is written to in place, in every way that keeps shapes static."""
    z = x.clone()
    z[:, 1:] = y[:, 1:]
    z[:, 0] = 1.5
    z[..., 2:4] += 1
    z[m] = 0.25
    z[:, -1, :] *= 2
    z[..., ::2] = -z[..., ::2]
    return z


FAMILIES: list[Callable[..., dict[str, Any]]] = [
    unary,
    binary,
    activations,
    views,
    creation,
    reductions,
    products,
    indexing,
]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_operators_mean_what_torch_means(family: Callable[..., dict[str, Any]]) -> None:
    check(family, inputs, AXES, SIZES)
