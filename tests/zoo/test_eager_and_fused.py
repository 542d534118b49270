"""However a model's attention is computed, its sites are the same and hold equal numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from tests.zoo.families import Family
from tests.zoo.perception import IMAGE, VIT
from tests.zoo.text import DECODERS, EXPERTS, GROUPED, MARIAN, PAIR, SMALL, T5, family

LAYER = {"num_hidden_layers": 1}
FAMILIES: Mapping[str, Family] = {
    "learned positions": family("GPT2LMHeadModel", {**SMALL, **LAYER}),
    "grouped queries": family("LlamaForCausalLM", {**GROUPED, **LAYER}),
    "sliding windows": DECODERS["gemma3_text"],
    "parallel": family("FalconForCausalLM", {**SMALL, **LAYER, "multi_query": True}),
    "experts": family("MixtralForCausalLM", {**EXPERTS, **LAYER}),
    "an encoder": family("BertForMaskedLM", {**SMALL, **LAYER}),
    "learned biases": family("T5EncoderModel", {**T5, "num_layers": 1}, config="T5Config"),
    "cross-attention": family(
        "BartForConditionalGeneration", {**MARIAN, "encoder_layers": 1, "decoder_layers": 1}, PAIR
    ),
    "images": family("ViTForImageClassification", {**VIT, **LAYER}, IMAGE, config="ViTConfig"),
}
ROUNDED = 1e-7  # eager attention scales with a number of 32 bits
MASKED = -1e30  # models write some such number, or minus infinity


@pytest.mark.parametrize("name", FAMILIES)
def test_sites_hold_equal_numbers(name: str) -> None:
    eager, fused = (converted(FAMILIES[name], how) for how in ("eager", "sdpa"))
    assert not eager.sites.unrecognised
    assert {path: set(site.roles) for path, site in eager.sites.items()} == {
        path: set(site.roles) for path, site in fused.sites.items()
    }
    one, other = (at_sites(FAMILIES[name], graph) for graph in (eager, fused))
    for path, array in one.items():
        hidden = array < MASKED
        np.testing.assert_array_equal(hidden, other[path] < MASKED, err_msg=path)
        scale = np.abs(array[~hidden]).max()
        np.testing.assert_allclose(
            array[~hidden], other[path][~hidden], rtol=0, atol=ROUNDED * scale, err_msg=path
        )


def converted(family: Family, attention: str) -> gw.Graph:
    """The graph of a family with an implementation of attention, computed in 64 bits."""
    model = family.build()
    model.set_attn_implementation(attention)
    graph = gw.from_torch(model, kwargs=family.arguments(), axes=family.axes())
    return graph.apply(p.Cast("f64"))


def at_sites(family: Family, graph: gw.Graph) -> dict[str, np.ndarray]:
    """What is at each site, its axes in the order of the names of their roles.

    The last token of one row is padding. Of more, a sliding window would leave a query no key,
    and what such a query gets the implementations of attention decide each for itself.
    """
    given = family.arguments(other=True)
    if "attention_mask" in given:
        given["attention_mask"] = torch.ones_like(given["attention_mask"])
        given["attention_mask"][0, -1] = 0
    outputs = {port.name for port in graph.outputs}
    collected = graph.apply(p.Collect(*(path for path in graph.sites if path not in outputs)))
    found = gw.compile(collected, "numpy")(**given)
    order = {
        path: [axis for _, axis in sorted(site.roles.items())] for path, site in graph.sites.items()
    }
    return {path: np.asarray(found[path].order(*axes)) for path, axes in order.items()}
