"""Edges of real architectures: fused projections, shared keys, norms behind the attention."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import SelectionError
from tests.models.zoo import axes, build, inputs, tolerance

CASES = {
    "gpt2": ("sdpa", "blocks.1.attn.result.2"),
    "gpt_neox": ("eager", "blocks.1.attn.result.2"),
    "qwen3": ("sdpa", "blocks.1.attn.result.2"),
    "gemma2": ("eager", "blocks.1.attn.out"),  # its heads are normalised together
}
SLOW = ("gpt_neox", "qwen3", "gemma2")


def graph_of(name: str, attention: str) -> gw.Graph:
    dtype = torch.float64 if tolerance(name, attention) < 1e-6 else torch.float32
    return gw.from_torch(
        build(name, attention), kwargs=inputs(name, (2, 5), dtype), axes=axes(name)
    )


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.all) if n in SLOW else n for n in CASES]
)
def test_edges_of_architectures(name: str) -> None:
    attention, sender = CASES[name]
    graph = graph_of(name, attention)
    close = 10 * tolerance(name, attention)
    one, two = inputs(name, (2, 5)), inputs(name, (2, 6))
    two = {word: x[:, 1:] for word, x in two.items()}
    run = gw.compile(graph, "numpy")
    own = np.asarray(run(**one)["logits"])
    masks = {"attention_mask": one["attention_mask"]}
    both = gw.compile(graph.apply(p.PatchEdges((("**", "**"),), source="other")), "numpy")
    same = np.asarray(run(**{**two, **masks})["logits"])
    found = np.asarray(both(**one, other={**two, **masks})["logits"])
    np.testing.assert_allclose(found, same, rtol=close, atol=close)
    opened = gw.compile(graph.apply(p.OpenReads()), "numpy")
    np.testing.assert_allclose(np.asarray(opened(**one)["logits"]), own, rtol=close, atol=close)
    assert sender in p.components(graph).sender_names
    assert np.abs(same - own).max() > 1e-2


@pytest.mark.all
def test_a_stream_with_norms_in_it_is_refused_by_name() -> None:
    with pytest.raises(SelectionError, match=r"is not a sum: layer_norm stands in it \(from bert"):
        p.components(graph_of("bert", "sdpa"))
