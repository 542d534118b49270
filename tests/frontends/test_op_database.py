"""PyTorch's operator database: every sample agrees with PyTorch, or is refused by our own word."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.frontends.op_database.cases import cases, names
from tests.frontends.op_database.judge import judge
from tests.frontends.op_database.report import failures, of_zoo, page, share

PAGE = Path(__file__).parents[2] / "docs" / "coverage" / "torch_ops.md"
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
    verdicts = judge(cases(FAST, (torch.float32, torch.int64, torch.bool), limit=1))
    assert {verdict.case.op for verdict in verdicts} == set(FAST)
    assert failures(verdicts) == []
    assert {b: share(verdicts, b) for b in LEAST if share(verdicts, b) < LEAST[b]} == {}


@pytest.mark.all
def test_every_operator_and_write_the_page() -> None:
    verdicts = judge(cases(names()))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(verdicts))
    zoo = of_zoo(verdicts)
    assert failures(verdicts) == []
    assert {b: share(zoo, b) for b in LEAST if share(zoo, b) < LEAST[b]} == {}
