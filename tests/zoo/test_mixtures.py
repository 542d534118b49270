"""The sites of mixtures of experts, however a family writes them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from tests.zoo.families import Family
from tests.zoo.text import EXPERTS, LATENT, family

LAYER = {**EXPERTS, "num_hidden_layers": 1}
FAMILIES: Mapping[str, Family] = {
    "plain": family("MixtralForCausalLM", LAYER),
    "beside a gated one for all": family("Qwen2MoeForCausalLM", LAYER),
    "beside one for all": family(
        "DeepseekV3ForCausalLM",
        {**LATENT, "num_hidden_layers": 1, "n_group": 1, "first_k_dense_replace": 0},
    ),
    "normalised together": family("FlexOlmoForCausalLM", LAYER),
    "softmax of the chosen alone": family("GptOssForCausalLM", {**LAYER, "head_dim": 8}),
}
SILENT = 1  # the expert that gives nothing


@pytest.mark.parametrize("name", FAMILIES)
def test_experts_give_what_the_router_chose(name: str) -> None:
    graph = converted(FAMILIES[name])
    assert not graph.sites.unrecognised
    router, experts = (graph.sites[f"blocks.0.moe.{word}"].roles for word in ("router", "experts"))
    assert set(router) == {"tokens", "experts"}
    assert set(experts) == {"tokens", "chosen", "embed"}
    sizes = {role: graph.axes[axis] for role, axis in (router | experts).items()}
    assert (sizes["experts"], sizes["chosen"], sizes["embed"]) == (4, 2, 32)
    run = gw.compile(graph.apply(p.Collect("blocks.0.moe.router", "blocks.0.moe.experts")), "numpy")
    out = run(**FAMILIES[name].arguments(other=True))
    scores = out["blocks.0.moe.router"].order(router["tokens"], router["experts"])
    chosen = np.argsort(-np.asarray(scores), axis=-1)[:, : sizes["chosen"]]
    given = out["blocks.0.moe.experts"].order(*(experts[r] for r in ("tokens", "chosen", "embed")))
    np.testing.assert_array_equal(np.asarray(given).any(axis=-1), chosen != SILENT)
    assert SILENT in chosen


def converted(mixture: Family) -> gw.Graph:
    """The graph of a family whose expert `SILENT` gives nothing."""
    model = mixture.build()
    with torch.no_grad():
        for path, weight in model.named_parameters():
            if ".experts.down_proj" in path:
                weight[SILENT] = 0
    return gw.from_torch(model, kwargs=mixture.arguments(), axes=mixture.axes())
