"""PyTorch's operator database: every sample agrees with PyTorch, or is refused by our own word."""

from __future__ import annotations

import pytest
import torch

from tests.frontends.op_database.cases import cases, names
from tests.frontends.op_database.judge import judge
from tests.frontends.op_database.report import failures, of_zoo, read, record, rows, share

LEAST = {"numpy": 0.95, "jax": 0.95, "torch": 0.95, "onnx": 0.90}

# Some of every family, and those whose edges were once wrong.
_FAST = """
add addmm amax any argmax argsort as_strided bitwise_and cat clamp cumsum diagonal
div.floor_rounding div.trunc_rounding einsum exp eye floor_divide flip fmod gather histc
index_add index_copy index_put index_select linspace logsumexp masked_fill masked_scatter
masked.mean matmul max.reduction_with_dim meshgrid.list_of_tensors native_group_norm
native_layer_norm nn.functional.adaptive_max_pool1d nn.functional.avg_pool2d
nn.functional.batch_norm nn.functional.conv2d nn.functional.cross_entropy nn.functional.gelu
nn.functional.hardtanh nn.functional.interpolate.bilinear nn.functional.max_pool1d
nn.functional.scaled_dot_product_attention softmax.with_dtype nn.functional.unfold
pow remainder repeat roll round scatter scatter_reduce.mean sort square sum topk tril unfold var
where
"""
FAST = _FAST.split()


def test_a_fixed_sample_agrees_with_pytorch() -> None:
    samples = list(cases(FAST, (torch.float32, torch.int64, torch.bool), limit=1))
    found = rows(samples, judge(samples))
    assert {row.op for row in found if row.measured} == set(FAST)
    assert failures(found) == []
    assert {b: share(found, b) for b in LEAST if share(found, b) < LEAST[b]} == {}


@pytest.mark.all
@pytest.mark.parametrize("op", names())
def test_every_operator(op: str) -> None:
    samples = list(cases([op]))
    found = rows(samples, judge(samples))
    for row in found:
        record(row)
    assert failures(found) == []


def test_the_page_has_nearly_all_samples_of_the_operators_of_models() -> None:
    found = of_zoo(read())
    assert {b: share(found, b) for b in LEAST if share(found, b) < LEAST[b]} == {}
    assert failures(read()) == []
