"""Attributions against their formulas in torch, exact patching, and completeness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError
from tests.passes.decoder import build, cached, replacing, tokens

IDS, OTHER = tokens(0), tokens(1)
GIVEN = {"input_ids": IDS, "other": {"input_ids": OTHER}}
SITES = ("embed", "blocks.0.attn.z", "blocks.1.resid_mid", "blocks.2.mlp.post")


def contrast(out: Mapping[str, Any]) -> Any:
    return out["logits"][{"seq": -1, "vocab": 3}] - out["logits"][{"seq": -1, "vocab": 5}]


def torch_contrast(logits: torch.Tensor) -> torch.Tensor:
    return logits[:, -1, 3] - logits[:, -1, 5]


def slopes(name: str, instead: dict[str, torch.Tensor], site: str) -> torch.Tensor:
    """The gradient at a site, of a run with some activations replaced."""
    kept: list[torch.Tensor] = []

    def leaf(x: torch.Tensor) -> torch.Tensor:
        kept.append(instead.get(site, x).detach().requires_grad_())
        return kept[0]

    logits = build(name)[0](IDS, replacing({**instead, site: leaf}))["logits"]
    return torch.autograd.grad(torch_contrast(logits).sum(), kept)[0]


def metric_of(out: Any) -> np.ndarray:
    return torch_contrast(torch.as_tensor(np.array(out["logits"]))).numpy()


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_attribution_patching_is_its_formula(name: str) -> None:
    model, graph = build(name)
    own, other = cached(model, IDS), cached(model, OTHER)
    new = graph.apply(
        p.AttributionPatching(of=contrast, at=SITES, source="other"),
        p.GradientTimesInput(of=contrast, at=SITES),
    )
    out = gw.compile(new, "numpy")(**GIVEN)
    for site in SITES:
        slope = slopes(name, {}, site)
        close(out[f"attribution.{site}"], (other[site] - own[site]) * slope)
        close(out[f"gradient_times_input.{site}"], own[site] * slope)


def test_attributions_are_summed_over_axes_at_chosen_positions() -> None:
    model, graph = build("gpt2")
    site = "blocks.1.attn.z"
    new = graph.apply(
        p.AttributionPatching(
            of=contrast, at=site, source="other", over=("head_dim", "seq"), where={"seq": [1, -1]}
        )
    )
    found = gw.compile(new, "numpy")(**GIVEN)[f"attribution.{site}"]
    change = cached(model, OTHER)[site] - cached(model, IDS)[site]
    product = (change * slopes("gpt2", {}, site))[:, [1, -1]]
    assert found.axes == ("batch", "heads")
    close(found, product.sum((1, 3)))


def test_on_an_affine_network_attribution_is_exact_patching() -> None:
    class Affine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.last = nn.Linear(6, 8), nn.Linear(8, 6), nn.Linear(6, 9)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"logits": self.last(x + self.second(self.first(x)))}

    torch.manual_seed(0)
    x, y = torch.randn(2, 2, 3, 6, dtype=torch.float64)
    graph = gw.from_torch(Affine().double(), x, axes={"x": "batch seq embed=6"})
    run = gw.compile(graph, "numpy")

    def metric(out: Mapping[str, Any]) -> Any:
        axis = next(a for a in out["logits"].axes if a not in ("batch", "seq"))
        return out["logits"][{"seq": 1, axis: 4}]

    for site in ("first", "second", "x"):
        new = graph.apply(p.AttributionPatching(of=metric, at=site, source="other"))
        found = np.asarray(gw.compile(new, "numpy")(x=x, other={"x": y})[f"attribution.{site}"])
        if site == "x":
            patched = run(x=y)
        else:
            edited = graph.apply(p.Patch(site, source="other"))
            patched = gw.compile(edited, "numpy")(x=x, other={"x": y})
        change = (np.asarray(patched["logits"]) - np.asarray(run(x=x)["logits"]))[:, 1, 4]
        np.testing.assert_allclose(found.sum((1, 2)), change, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("rule", ["gauss", "midpoint", "right"])
def test_integrated_gradients_are_their_formula(rule: str) -> None:
    model, graph = build("llama")
    own, other, steps = cached(model, IDS), cached(model, OTHER), 3
    places = {
        "gauss": ((1 + np.sqrt(3 / 5) * np.array([-1, 0, 1])) / 2, np.array([5, 8, 5]) / 18),
        "midpoint": (np.array([1, 3, 5]) / 6, np.full(3, 1 / 3)),
        "right": (np.array([1, 2, 3]) / 3, np.full(3, 1 / 3)),
    }[rule]
    options = {"steps": steps, "rule": rule, "source": "other"}
    new = graph.apply(p.IntegratedGradients(of=contrast, at=SITES, **options))
    out = gw.compile(new, "numpy")(**GIVEN)
    for site in SITES:
        way = own[site] - other[site]
        mean = sum(
            weight * slopes("llama", {site: other[site] + place * way}, site)
            for place, weight in zip(*places, strict=True)
        )
        close(out[f"integrated_gradients.{site}"], way * mean)


@pytest.mark.parametrize("name", ["gpt2", "gptj"])
@pytest.mark.parametrize("where", [None, {"seq": 2}])
def test_integrated_gradients_are_complete(name: str, where: Any) -> None:
    site = "blocks.1.resid_pre"
    graph = build(name)[1]
    new = graph.apply(
        p.IntegratedGradients(of=contrast, at=site, source="other", steps=48, where=where)
    )
    out = gw.compile(new, "numpy")(**GIVEN)
    moved = graph.apply(p.Patch(site, where=where, source="other"))
    change = metric_of(out) - metric_of(gw.compile(moved, "numpy")(**GIVEN))
    total = np.asarray(out[f"integrated_gradients.{site}"]).sum((1, 2))
    np.testing.assert_allclose(total, change, rtol=1e-6)


def test_every_backend_integrates() -> None:
    new = build("llama")[1].apply(
        p.IntegratedGradients(of=contrast, at=("embed", "blocks.1.attn.z"), steps=4),
        p.AttributionPatching(of=contrast, at="blocks.*.attn.pattern", source="other"),
    )
    expected = gw.compile(new, "numpy")(**GIVEN)
    runs = {backend: gw.compile(new, backend)(**GIVEN) for backend in ("jax", "onnx")}
    runs["torch"] = gw.to_torch(new)(**{"input_ids": IDS, "other.input_ids": OTHER})
    for backend, out in runs.items():
        for word in expected:
            value = out[word].detach() if backend == "torch" else out[word]
            np.testing.assert_allclose(
                np.asarray(value), np.asarray(expected[word]), rtol=1e-8, atol=1e-10,
                err_msg=f"{backend} {word}",
            )  # fmt: skip


def test_attributions_follow_other_edits() -> None:
    site = "blocks.2.attn.z"
    graph = build("gpt2")[1]
    cut = p.Ablate("blocks.0.mlp.out")
    one = graph.apply(cut, p.AttributionPatching(of=contrast, at=site, source="other"))
    two = graph.apply(cut).apply(p.Gradient(of=contrast, at=site), p.Collect(site))
    out, parts = gw.compile(one, "numpy")(**GIVEN), gw.compile(two, "numpy")(input_ids=IDS)
    other = cached(build("gpt2")[0], OTHER)[site]  # a source run is not edited
    change = other.numpy() - np.asarray(parts[site])
    close(out[f"attribution.{site}"], change * np.asarray(parts[f"gradient.{site}"]))


def test_what_cannot_be_integrated_is_refused() -> None:
    graph = build("gpt2")[1]
    with pytest.raises(InputError, match="no rule 'gaus'"):
        graph.apply(p.IntegratedGradients(of=contrast, at="embed", rule="gaus"))
    with pytest.raises(InputError, match="one step or more"):
        graph.apply(p.IntegratedGradients(of=contrast, at="embed", steps=0))
