"""Decompositions, attributions and lenses against the formulas, written in numpy and torch."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError, SelectionError
from tests.models import zoo
from tests.passes.interventions.decoder import (
    EPS,
    HEADS,
    IDS,
    ONES,
    WEIGHTS,
    WIDTH,
    Array,
    both,
    close,
    hooked,
    jax_graph,
    torch_graph,
)

W = WEIGHTS
LAST = "blocks.1.resid_post"


def run(graph: gw.Graph, backend: str = "numpy", **more: Any) -> dict[str, Array]:
    out = gw.compile(graph, backend)(input_ids=IDS, attention_mask=ONES, **more)
    return {name: np.asarray(array) for name, array in out.items()}


def parts() -> dict[str, Array]:
    """Every term of the last stream, down to heads, neurons and biases."""
    seen = hooked(IDS)
    found = {"embed": seen["embed"], "pos_embed": seen["pos_embed"] + 0 * seen["embed"]}
    for i in (0, 1):
        z, post = seen[f"blocks.{i}.attn.z"], seen[f"blocks.{i}.mlp.post"]
        for h in range(HEADS):
            rows = W[f"h.{i}.o.w"][h * WIDTH : (h + 1) * WIDTH]
            found[f"blocks.{i}.attn.result.{h}"] = z[:, :, h] @ rows
        found[f"blocks.{i}.attn.bias"] = W[f"h.{i}.o.b"] + 0 * seen["embed"]
        for n in range(post.shape[-1]):
            found[f"blocks.{i}.mlp.neurons.{n}"] = post[:, :, n, None] * W[f"h.{i}.down.w"][n]
        found[f"blocks.{i}.mlp.bias"] = W[f"h.{i}.down.b"] + 0 * seen["embed"]
    return found


def through(part: Array, scale: Array) -> Array:
    """A part of the stream through the final norm, its scale held, and the unembedding."""
    centred = part - part.mean(-1, keepdims=True)
    return np.asarray((centred / scale * W["ln_f.w"]) @ W["head"])


@both
def test_parts_are_the_formulas_and_sum_to_the_stream(graph: Any) -> None:
    whole = p.Decompose(LAST, heads=True, neurons=True)
    found = run(graph().apply(whole))[f"components.{LAST}"]
    wanted = parts()
    assert whole.names(graph()) == tuple(wanted)
    close(found, np.stack(list(wanted.values())))
    close(found.sum(0), hooked(IDS)[LAST])


def test_branches_and_their_biases_are_parts() -> None:
    wanted, seen = parts(), hooked(IDS)
    coarse = p.Decompose("blocks.1.resid_mid")
    assert coarse.names(torch_graph()) == (
        "embed", "pos_embed", "blocks.0.attn.out", "blocks.0.mlp.out", "blocks.1.attn.out",
    )  # fmt: skip
    found = run(torch_graph().apply(coarse))["components.blocks.1.resid_mid"]
    close(found[2:], np.stack([seen[name] for name in coarse.names(torch_graph())[2:]]))
    apart = p.Decompose("blocks.0.resid_post", biases=True)
    names = apart.names(torch_graph())
    found = run(torch_graph().apply(apart))["components.blocks.0.resid_post"]
    close(found[names.index("blocks.0.mlp.bias")], wanted["blocks.0.mlp.bias"])
    bare = seen["blocks.0.mlp.out"] - W["h.0.down.b"]
    close(found[names.index("blocks.0.mlp.out")], bare)
    close(found.sum(0), seen["blocks.0.resid_post"])
    heads = p.Decompose("blocks.0.attn.out", heads=True)
    assert heads.names(torch_graph()) == tuple(list(wanted)[2:5])


@both
def test_logits_are_attributed_to_every_part(graph: Any) -> None:
    attribution = p.LogitAttribution(heads=True, neurons=True)
    found = run(graph().apply(attribution))
    scale = hooked(IDS)["ln_f.scale"]
    wanted = {name: through(part, scale) for name, part in parts().items()}
    assert attribution.names(graph()) == (*wanted, "readout")
    close(found["logit_attribution"][:-1], np.stack(list(wanted.values())))
    close(found["logit_attribution"][-1], W["ln_f.b"] @ W["head"] + np.zeros((3, 5, 11)))
    close(found["logit_attribution"].sum(0), hooked(IDS)["logits"])


def test_tokens_are_told_by_number_or_by_the_run() -> None:
    every = run(torch_graph().apply(p.LogitAttribution(heads=True, neurons=True)))
    every_part = every["logit_attribution"]
    split = {"heads": True, "neurons": True}
    found = run(torch_graph().apply(p.LogitAttribution(3, against=7, **split)))
    close(found["logit_attribution"], every_part[..., 3] - every_part[..., 7])
    answers, wrong = np.array([1, 4, 9]), np.array([2, 4, 0])
    graph = torch_graph().apply(p.LogitAttribution("answer", against="wrong", **split))
    found = run(graph, answer=answers, wrong=wrong)
    for i in range(3):
        wanted = every_part[:, i, :, answers[i]] - every_part[:, i, :, wrong[i]]
        close(found["logit_attribution"][:, i], wanted)


@pytest.mark.parametrize("backend", ["jax", pytest.param("torch", marks=pytest.mark.all), "onnx"])
def test_every_backend_gives_the_same(backend: str) -> None:
    passes = (p.Decompose(LAST, heads=True), p.LogitAttribution(3, heads=True), p.LogitLens())
    graph = torch_graph().apply(*passes)
    wanted = run(graph)
    for name, array in run(graph, backend).items():
        close(array, wanted[name])


def test_the_lens_reads_every_stream() -> None:
    seen = hooked(IDS)
    found = run(torch_graph().apply(p.LogitLens("blocks.*.resid_pre"), p.LogitLens()))
    for site in ("blocks.0.resid_pre", "blocks.1.resid_pre", "blocks.0.resid_post"):
        x = seen[site] - seen[site].mean(-1, keepdims=True)
        scale = np.sqrt((x * x).mean(-1, keepdims=True) + EPS)
        close(found[f"lens.{site}"], through(seen[site], scale) + W["ln_f.b"] @ W["head"])
    close(found[f"lens.{LAST}"], seen["logits"])
    bare = run(torch_graph().apply(p.LogitLens(norm=False)))
    close(bare["lens.blocks.0.resid_post"], seen["blocks.0.resid_post"] @ W["head"])


def test_the_tuned_lens_learns_what_the_model_says() -> None:
    site = "blocks.0.resid_post"
    graph = torch_graph().apply(p.TunedLens(site), p.LogitLens(site))
    found = run(graph)
    close(found[f"tuned_lens.{site}"], found[f"lens.{site}"])
    module = gw.to_torch(graph)
    slots = [x for name, x in module.named_parameters() if "tuned_lens" in name]
    assert len(slots) == 2
    adam = torch.optim.Adam(slots, lr=0.05)
    ids, ones = torch.tensor(IDS), torch.tensor(ONES)
    losses = []
    for _ in range(40):
        out = module(input_ids=ids, attention_mask=ones)
        wanted = out["logits"].detach().log_softmax(-1)
        said = out[f"tuned_lens.{site}"].log_softmax(-1)
        loss = (wanted.exp() * (wanted - said)).sum(-1).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


@cache
def converted(name: str) -> gw.Graph:
    model, given = zoo.build(name, zoo.FAMILIES[name].attention[0]), zoo.inputs(name, (2, 5))
    return gw.from_torch(model, kwargs=given, axes=zoo.axes(name))


@pytest.mark.parametrize("name", ["gpt2", "llama", "gpt_neox"])
def test_parts_of_real_architectures_sum_exactly(name: str) -> None:
    """Grouped heads, gated MLPs, rotary positions and parallel branches, in float64 throughout."""
    graph, given = converted(name), zoo.inputs(name, (2, 5))
    close_to = 1e-10 if zoo.tolerance(name, "sdpa") == zoo.EXACT else 2e-6
    split = {"heads": True, "neurons": True}
    passes = (p.Decompose(LAST, **split), p.LogitAttribution(3, **split), p.Collect(LAST))
    out = gw.compile(graph.apply(*passes), "numpy")(**{k: v.numpy() for k, v in given.items()})
    sums = {
        f"components.{LAST}": np.asarray(out[LAST]),
        "logit_attribution": np.asarray(out["logits"])[..., 3],
    }
    for key, wanted in sums.items():
        np.testing.assert_allclose(np.asarray(out[key]).sum(0), wanted, atol=close_to, rtol=0)


def test_heads_of_gpt2_are_those_that_hooks_see() -> None:
    model, given = zoo.build("gpt2", "sdpa"), zoo.inputs("gpt2", (2, 5))
    seen: list[torch.Tensor] = []
    projection = model.transformer.h[1].attn.c_proj
    hook = projection.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    model(**given)
    hook.remove()
    pick = p.Decompose("blocks.1.attn.out", heads=True)
    assert pick.names(converted("gpt2"))[-1] == "blocks.1.attn.bias"
    run_ = gw.compile(converted("gpt2").apply(pick), "numpy")
    out = run_(**{k: v.numpy() for k, v in given.items()})["components.blocks.1.attn.out"]
    for head in range(4):
        rows = slice(8 * head, 8 * head + 8)
        wanted = seen[0][..., rows] @ projection.weight[rows]
        close(np.asarray(out)[head], wanted.detach().numpy())


def test_what_is_no_sum_is_refused_by_name() -> None:
    with pytest.raises(SelectionError, match="not a sum: layer_norm"):
        converted("bert").apply(p.Decompose("blocks.1.resid_post"))
    with pytest.raises(SelectionError, match="not linear in the last stream: layer_norm"):
        converted("bert").apply(p.LogitAttribution(3))
    with pytest.raises(SelectionError, match="no final norm"):
        converted("bert").apply(p.LogitLens(norm=False))
    for edit, error, words in (
        (p.LogitAttribution(None, against=1), InputError, "against="),
        (p.LogitAttribution(11), InputError, "outside"),
        (p.LogitLens("blocks.0.mlp.post"), SelectionError, "not those of the stream"),
        (p.Decompose("blocks.*.resid_post"), SelectionError, "expected 1"),
    ):
        with pytest.raises(error, match=words):
            torch_graph().apply(edit)


def test_recipes_hold_them(tmp_path: Any) -> None:
    recipe = [p.LogitLens(), p.TunedLens(), p.Decompose(LAST, heads=True), p.LogitAttribution(3)]
    gw.save_recipe(recipe, tmp_path / "recipe")
    found = run(jax_graph().apply(*gw.load_recipe(tmp_path / "recipe")))
    for name, array in run(torch_graph().apply(*recipe)).items():
        close(array, found[name])


def test_logits_that_come_from_elsewhere_have_no_lens() -> None:
    path = p.PathPatch("blocks.0.attn.z", "logits", "clean")
    for lens in (p.LogitLens(), p.LogitLens(norm=False), p.TunedLens()):
        with pytest.raises(SelectionError, match=r"do not come from blocks\.1\.resid_post"):
            torch_graph().apply(path, lens)
        torch_graph().apply(lens, path)
