"""Stretches skipped and replaced, autoencoders spliced in: against the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError, SelectionError
from graftwork.passes.recipe import load_recipe, save_recipe
from tests.passes.interventions.decoder import (
    EMBED,
    IDS,
    OTHER,
    VECTOR,
    Array,
    both,
    clean,
    close,
    hooked,
    jax_graph,
    logits,
    torch_graph,
)

SITE, LATENTS = "blocks.0.resid_post", 12
RNG = np.random.default_rng(5)
W_E, W_D = RNG.standard_normal((EMBED, LATENTS)), RNG.standard_normal((LATENTS, EMBED))
B_E, B_D, THETA = RNG.standard_normal(LATENTS), RNG.standard_normal(EMBED), RNG.random(LATENTS)


def wanted(hook: Any, site: str = SITE) -> Array:
    return hooked(IDS, None, {site: hook})["logits"]


@both
def test_skipped_stretches_give_back_what_they_take(graph: Any) -> None:
    seen: dict[str, Array] = {}

    def keep(x: Array) -> Array:
        seen["in"] = x
        return x

    hooks = {"blocks.1.mlp.in": keep, "blocks.1.mlp.out": lambda _: seen["in"]}
    found = logits(graph().apply(p.Skip("blocks.1.mlp")))
    close(found, hooked(IDS, None, hooks)["logits"])
    hooks = {"blocks.1.resid_pre": keep, "blocks.1.resid_post": lambda _: seen["in"]}
    close(logits(graph().apply(p.Skip("blocks.1"))), hooked(IDS, None, hooks)["logits"])

    def at_two(x: Array) -> Array:
        x[:, 2] = seen["in"][:, 2]
        return x

    edits = [p.Steer("blocks.1.resid_pre", VECTOR), p.Skip("blocks.1", where={"seq": 2})]
    hooks = {
        "blocks.1.resid_pre": [lambda x: x + VECTOR, keep],
        "blocks.1.resid_post": at_two,
    }
    for order in (edits, edits[::-1]):
        close(logits(graph().apply(*order)), hooked(IDS, None, hooks)["logits"])


@both
def test_a_stretch_is_replaced_by_a_graph(graph: Any) -> None:
    torch.manual_seed(1)
    module = torch.nn.Sequential(torch.nn.Linear(EMBED, 5), torch.nn.Tanh(),
                                 torch.nn.Linear(5, EMBED)).double()  # fmt: skip
    sample = torch.zeros(2, 3, EMBED, dtype=torch.float64)
    traced = gw.from_torch(module, sample, axes={0: f"batch seq embed={EMBED}"})
    seen: dict[str, Array] = {}

    def keep(x: Array) -> Array:
        seen["in"] = x
        return x

    def out(_: Array) -> Array:
        with torch.no_grad():
            return np.asarray(module(torch.tensor(seen["in"])))

    hooks = {"blocks.0.mlp.in": keep, "blocks.0.mlp.out": out}
    found = logits(graph().apply(p.Replace("blocks.0.mlp", traced)))
    close(found, hooked(IDS, None, hooks)["logits"])


def relu(x: Array) -> Array:
    return np.maximum(x @ W_E + B_E, 0)


def jump(x: Array) -> Array:
    pre = x @ W_E + B_E
    return np.where(pre > THETA, np.maximum(pre, 0), 0)


def greatest(x: Array) -> Array:
    z = relu(x - B_D)
    return np.where(z >= np.sort(z, -1)[..., -3:-2], z, 0)


KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "relu": (relu, {}),
    "jumprelu": (jump, {"threshold": THETA}),
    "topk": (greatest, {"k": 3, "centered": True}),
}


def spliced(kind: str, **more: Any) -> p.Splice:
    return p.Splice(SITE, W_E, W_D, B_E, B_D, **KINDS[kind][1], **more)


@both
@pytest.mark.parametrize("kind", KINDS)
def test_a_spliced_autoencoder_decodes_its_latents(kind: str, graph: Any) -> None:
    encode = KINDS[kind][0]
    new = graph().apply(spliced(kind), p.Collect(f"{SITE}.sae.latents"))
    close(logits(new), wanted(lambda x: encode(x) @ W_D + B_D))
    out = gw.compile(new, "numpy")(**clean(IDS))[f"{SITE}.sae.latents"]
    close(np.asarray(out.order("batch", "seq", "latents")), encode(hooked(IDS)[SITE]))
    close(logits(graph().apply(spliced(kind, error=True))), hooked(IDS)["logits"])


def test_an_autoencoder_at_some_positions() -> None:
    def some(x: Array) -> Array:
        x[:, 1] = (relu(x) @ W_D + B_D)[:, 1]
        return x

    close(logits(torch_graph().apply(spliced("relu", where={"seq": 1}))), wanted(some))


@pytest.mark.parametrize("error", [False, True])
def test_latents_are_edited_like_any_activation(error: bool) -> None:
    graph = torch_graph().apply(spliced("relu", error=error))
    latents = f"{SITE}.sae.latents"

    def edited(change: Any) -> Any:
        def hook(x: Array) -> Array:
            z = relu(x)
            rest = x - (z @ W_D + B_D) if error else 0
            return np.asarray(change(z.copy()) @ W_D + B_D + rest)

        return hook

    def ablate(z: Array) -> Array:
        z[:, 2, [3, 7]] = 0
        return z

    found = logits(graph.apply(p.Ablate(latents, where={"latents": [3, 7], "seq": 2})))
    close(found, wanted(edited(ablate)))
    other = relu(hooked(OTHER)[SITE])

    def patch(z: Array) -> Array:
        z[..., 5] = other[..., 5]
        return z

    found = logits(graph.apply(p.Patch(latents, {"latents": 5}, "clean")), clean=clean())
    close(found, wanted(edited(patch)))
    close(logits(graph.apply(p.Scale(latents, 2.0))), wanted(edited(lambda z: 2 * z)))


def test_an_autoencoder_over_all_heads() -> None:
    w_e, w_d = RNG.standard_normal((2, 4, LATENTS)), RNG.standard_normal((LATENTS, 2, 4))
    edit = p.Splice(
        "blocks.1.attn.z",
        gw.NamedArray(w_e, ("heads", "head_dim", "latents")),
        gw.NamedArray(w_d, ("latents", "heads", "head_dim")),
    )

    def hook(z: Array) -> Array:
        latents = np.maximum(np.einsum("bshd,hdl->bsl", z, w_e), 0)
        return np.einsum("bsl,lhd->bshd", latents, w_d)

    close(logits(torch_graph().apply(edit)), wanted(hook, "blocks.1.attn.z"))


def test_recipes_hold_stretches_and_autoencoders(tmp_path: Any) -> None:
    recipe = [
        spliced("jumprelu", error=True, where={"seq": 2}),
        p.Scale(f"{SITE}.sae.latents", 0.5),
        p.Skip("blocks.0.mlp"),
        p.KnockOutHeads("blocks.0.attn.pattern", where={"heads": 1}, keep=0.5),
        p.KnockOutEdges("blocks.1.attn.pattern", {"seq": 1, "kv_seq": 0}),
        p.Freeze("blocks.1.mlp.post"),
        p.FreezeNorms(),
    ]
    save_recipe(recipe, tmp_path / "recipe")
    back = load_recipe(tmp_path / "recipe")
    assert back == recipe
    close(logits(torch_graph().apply(*recipe)), logits(jax_graph().apply(*back)))


def test_what_does_not_fit_is_refused() -> None:
    for edit, error, words in (
        (p.Skip("blocks.7"), SelectionError, "no span or module"),
        (p.Skip("blocks.*.mlp", count=3), SelectionError, "expected 3"),
        (p.Splice(SITE, W_E, W_D, centered=True), InputError, "decoder_bias"),
        (p.Splice(SITE, W_E, W_D, k=13), InputError, "k=13"),
        (p.Splice(SITE, W_E[:7], W_D), InputError, "7 along 'embed'"),
        (p.Splice(SITE, W_E, W_D[:5]), InputError, "5 along 'latents'"),
    ):
        with pytest.raises(error, match=words):
            torch_graph().apply(edit)
