"""The composite of attention against that of PyTorch: masks, groups, caps, precision."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.infer import expand
from graftwork.ir.types import Typing
from tests.ir.operands import CAUSAL, QKV, SIZES, agree, normal, one, tensor
from tests.ir.small import named, ordered, region_of


def attend(q: Any, k: Any, v: Any, *mask: Any, **attrs: Any) -> Any:
    return ops.attention(q, k, v, *mask, over="dim", key="kv_seq", **{"scale": 0.5} | attrs)


@pytest.mark.parametrize("mask", [None, CAUSAL, normal("batch seq kv_seq", 3)])
@pytest.mark.parametrize("rows", ["zero", "mean", "nan"])
def test_attention_is_that_of_pytorch(mask: NamedArray | None, rows: str) -> None:
    extra = {} if mask is None else {"m": mask}
    found = one(lambda *xs: attend(*xs, masked_rows=rows), **QKV, **extra)
    added = None
    if mask is not None:
        added = tensor(mask) if mask.array.ndim == 2 else tensor(mask).unsqueeze(1)
    expected = F.scaled_dot_product_attention(
        *(tensor(x) for x in QKV.values()), attn_mask=added, scale=0.5
    )
    agree(found, "batch heads seq dim", expected)


def test_grouped_queries_zip_by_name() -> None:
    q = normal("batch heads group seq dim")
    found = one(attend, q=q, k=QKV["k"], v=QKV["v"])
    k, v = (tensor(QKV[x]).repeat_interleave(3, 1) for x in "kv")
    expected = F.scaled_dot_product_attention(tensor(q).flatten(1, 2), k, v, scale=0.5)
    agree(found, "batch heads group seq dim", expected.unflatten(1, (2, 3)))


@pytest.mark.parametrize("kind", ["bool", "-inf"])
@pytest.mark.parametrize("rows", ["zero", "mean", "nan"])
def test_rows_with_every_key_masked(rows: str, kind: str) -> None:
    keep = CAUSAL.array.copy()
    keep[1] = False
    mask = named(keep if kind == "bool" else np.where(keep, 0.0, -np.inf), "seq kv_seq")
    attended = one(lambda *xs: attend(*xs, masked_rows=rows), **QKV, m=mask)
    found = ordered(attended, "seq batch heads dim")
    dead = {
        "zero": np.zeros((2, 2, 4)), "nan": np.full((2, 2, 4), np.nan),
        "mean": ordered(QKV["v"], "batch heads kv_seq dim").mean(2),
    }[rows]  # fmt: skip
    np.testing.assert_allclose(found[1], dead, atol=1e-12)
    plain = ordered(one(attend, **QKV, m=CAUSAL), "seq batch heads dim")
    np.testing.assert_allclose(found[[0, 2]], plain[[0, 2]], atol=1e-12)


def test_a_finite_minimum_mask_averages_as_mean_does() -> None:
    lowest = named(np.full((3, 5), np.finfo(np.float64).min), "seq kv_seq")
    masked = named(np.zeros((3, 5), bool), "seq kv_seq")
    finite = one(attend, **QKV, m=lowest)
    mean = one(lambda *xs: attend(*xs, masked_rows="mean"), **QKV, m=masked)
    np.testing.assert_allclose(
        ordered(finite, "batch heads seq dim"), ordered(mean, "batch heads seq dim"), atol=1e-12
    )


def test_softcap_bounds_the_scores_before_the_mask() -> None:
    q, k, v = (tensor(x) for x in QKV.values())
    scores = torch.tanh(q @ k.mT * 0.5 / 0.7) * 0.7
    scores = scores.masked_fill(~tensor(CAUSAL), -math.inf)
    found = one(lambda *xs: attend(*xs, softcap=0.7), **QKV, m=CAUSAL)
    agree(found, "batch heads seq dim", scores.softmax(-1) @ v)


def test_attention_in_f32_rounds_only_the_pattern() -> None:
    half = {name: NamedArray(x.array.astype(np.float16), x.axes) for name, x in QKV.items()}
    found = one(lambda *xs: attend(*xs, in_f32=True), **half)
    assert found.dtype == np.float16
    q, k, v = (tensor(x) for x in half.values())
    scores = (q.float() @ k.float().mT).half() * 0.5
    pattern = scores.softmax(-1, dtype=torch.float32).half()
    expected = (pattern.float() @ v.float()).half()
    agree(found, "batch heads seq dim", expected, 1e-3)


def test_attention_to_nothing_is_zero() -> None:
    k, v = normal("none dim"), normal("none dim")
    found = one(
        lambda q, k, v: ops.attention(q, k, v, over="dim", key="none", masked_rows="zero"),
        q=normal("seq dim"), k=k, v=v,
    )  # fmt: skip
    assert (found.array == 0).all()


def test_sites_of_attention_are_scores_pattern_and_z() -> None:
    typing = Typing(SIZES)
    region = region_of(lambda *xs: attend(*xs, masked_rows="zero"), typing, {**QKV, "m": CAUSAL})
    (node,) = region.nodes
    opened = expand(typing, node.op, node.attrs, [v.type for v in node.inputs])
    assert set(opened.marks) == {"scores", "pattern", "z"}
    assert opened.marks["z"] is opened.region.outputs[0]
    assert opened.marks["scores"].type.axis_set == {"batch", "heads", "seq", "kv_seq"}
