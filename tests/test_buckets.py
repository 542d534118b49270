"""Inputs padded to few sizes give the results of their own sizes, or are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from tests.models.zoo import EXACT, axes, build, inputs, tolerance


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["gpt2", "llama", "bert"])
def test_padding_reaches_no_result(name: str, attention: str) -> None:
    close = tolerance(name, attention)
    model = build(name, attention).to(torch.float64 if close == EXACT else torch.float32)
    graph = gw.from_torch(model, kwargs=inputs(name, (2, 6)), axes=axes(name))
    graph = graph.apply(p.Measure(lambda out: out["logits"][{"seq": -1}], "last"))
    plain = gw.compile(graph, "numpy")
    run = gw.compile(graph, "numpy", buckets={"seq": (4, 8), "batch": (3,)})
    for sizes in ((1, 3), (2, 8), (3, 5), (4, 9)):
        given = inputs(name, sizes)
        expected, found = plain(**given), run(**given)
        for word in expected:
            assert found[word].sizes == expected[word].sizes
            np.testing.assert_allclose(found[word], np.asarray(expected[word]), atol=close)


def test_jax_compiles_for_the_buckets_alone() -> None:
    model = build("gpt2", "sdpa")
    graph = gw.from_torch(model, kwargs=inputs("gpt2", (2, 6)), axes=axes("gpt2"))
    run = gw.compile(graph, "jax", buckets={"seq": (4, 8)})
    for seq in (2, 3, 4, 5, 6, 7):
        run(**inputs("gpt2", (2, seq)))
    assert run.native._cache_size() == 2


class Mean(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(1)


class Clipped(torch.nn.Module):
    def forward(self, x: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        return x[at.clamp(max=x.shape[0] - 1)]


def test_sizes_that_a_program_asks_for_are_the_true_ones() -> None:
    x, at = torch.arange(5.0), torch.tensor([1, 9, 3])
    graph = gw.from_torch(Clipped(), x, at, axes={0: "seq", 1: "places"})
    run = gw.compile(graph, "numpy", buckets={"seq": (8,)})
    np.testing.assert_array_equal(run(x=x, at=at)["output"], Clipped()(x, at))


def test_what_sees_the_padding_is_named() -> None:
    graph = gw.from_torch(Mean(), torch.zeros(2, 5), axes={0: "batch seq"})
    with pytest.raises(gw.GraftworkError, match=r"cannot be padded: mean .*sees all of seq"):
        gw.compile(graph, "numpy", buckets={"seq": (8,)})
    open_bert = gw.from_torch(
        build("bert", "sdpa"), torch.zeros(2, 6, dtype=torch.int64), axes={0: "batch seq"}
    )
    with pytest.raises(gw.GraftworkError, match="cannot be padded"):
        gw.compile(open_bert, "numpy", buckets={"seq": (8,)})
    with pytest.raises(gw.GraftworkError, match="no dynamic size 'sequence'"):
        gw.compile(graph, "numpy", buckets={"sequence": (8,)})
