"""Other float types, and heads and neurons that nothing comes of; T5, where much is refused."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from scipy.special import log_softmax

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import DTypeError, RewriteError, SelectionError
from tests.models import zoo
from tests.passes.weights.models import (
    IDS,
    MASK,
    assert_kept,
    converted,
    in_jax,
    log_probabilities,
    weights,
)

Z, POST = "blocks.1.attn.z", "blocks.0.mlp.post"
MODELS = {
    "gpt2": lambda: converted("gpt2"),
    "llama": lambda: converted("llama"),
    "llama in flax": lambda: in_jax("llama"),
}
each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def dtypes(graph: gw.Graph) -> dict[str, str]:
    return {q.name: q.value.type.dtype.value for q in graph.parameters}


@each_model
def test_other_types_keep_what_is_said_to_their_rounding(make: Any) -> None:
    graph = make()
    base = log_probabilities(graph)
    off = {
        name: np.abs(log_probabilities(graph.apply(p.Cast(name))) - base).max()
        for name in ("f64", "bf16", "f16")
    }
    assert off["f64"] < 1e-5
    assert 0 < off["f16"] < 0.02
    assert 0 < off["bf16"] < 0.15
    cast = graph.apply(p.Cast("bf16"))
    assert [q.value.type for q in cast.outputs] == [q.value.type for q in graph.outputs]
    assert set(cast.sites) == set(graph.sites)
    assert cast.apply(p.Cast("bf16")) is not None
    np.testing.assert_array_equal(
        log_probabilities(cast.apply(p.Cast("bf16"))), log_probabilities(cast)
    )


def test_it_rounds_no_worse_than_the_model_itself_in_that_type() -> None:
    model = zoo.build("llama", "sdpa")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=generator).to(weight.dtype)
        given = {"input_ids": torch.tensor(IDS), "attention_mask": torch.tensor(MASK)}
        whole = torch.log_softmax(model(**given).logits, -1)
        half = torch.log_softmax(model.bfloat16()(**given).logits.float(), -1)
    found = log_probabilities(converted("llama").apply(p.Cast("bf16")))
    ours, theirs = np.abs(found - whole.numpy()), (half - whole).abs().numpy()
    assert ours.mean() < 1.2 * theirs.mean()


def test_angles_and_what_is_kept_stay() -> None:
    graph = converted("llama")
    cast = graph.apply(p.Cast("bf16"))
    kept = {name for name, dtype in dtypes(cast).items() if dtype == "f32"}
    assert kept == {"model.rotary_emb.inv_freq"}
    angles = [n for n in cast.nodes if n.op.name in ("cos", "sin")]
    assert [n.output.type.dtype.value for n in angles] == ["f32", "f32"]
    norms = [n for n in cast.nodes if n.op.name in ("rms_norm", "attention")]
    assert norms
    assert all(n.attrs["in_f32"] for n in norms)
    some = graph.apply(p.Cast("bf16", keep=("logits", "model.layers.1.mlp")))
    kept = {name for name, dtype in dtypes(some).items() if dtype == "f32"}
    words = ("gate_proj", "up_proj", "down_proj")
    assert kept == {
        "model.rotary_emb.inv_freq", "lm_head.weight",
        *(f"model.layers.1.mlp.{word}.weight" for word in words),
    }  # fmt: skip
    with pytest.raises(SelectionError, match=r"blocks\.1\.mlp\.out"):
        graph.apply(p.Cast("bf16", keep="blocks.1.mlp.otu"))
    with pytest.raises(DTypeError, match="not to i64"):
        p.Cast("i64")


@pytest.mark.parametrize("backend", ["torch", "jax", "onnx"])
def test_every_backend_computes_in_another_type(backend: str) -> None:
    graph = in_jax("llama")
    options = {"mode": "eager"} if backend == "torch" else {}
    out = gw.compile(graph.apply(p.Cast("f16")), backend, **options)(ids=IDS)["logits"]
    found = log_softmax(np.asarray(out, np.float64), -1)
    np.testing.assert_allclose(found, log_probabilities(graph), atol=2e-3)


def test_numbers_that_a_type_lacks_are_its_largest() -> None:
    class Masked(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(5))

        def forward(self, x: Any, mask: Any) -> Any:
            bias = (1.0 - mask.float()) * torch.finfo(torch.float32).min
            return torch.softmax(x * self.scale + bias, -1)

    x, mask = torch.randn(2, 5), torch.tensor([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0]])
    axes = {"x": "batch keys=5", "mask": "batch keys=5"}
    graph = gw.from_torch(Masked(), x, mask, axes=axes)
    name = graph.outputs[0].name
    for dtype in ("f16", "bf16"):
        program = gw.compile(graph.apply(p.Cast(dtype)), "numpy")
        found = np.asarray(program(x=x.numpy(), mask=mask.numpy())[name])
        assert np.isfinite(found).all()
        assert (found[0, [2, 4]] == 0).all()


def test_loops_are_cast_inside() -> None:
    model = torch.nn.GRU(4, 3, batch_first=True).eval()
    x = torch.randn(2, 6, 4)
    graph = gw.from_torch(model, x, axes={"input": "batch time inputs=4"})
    assert any(n.op.name == "scan" for n in graph.nodes)
    cast = graph.apply(p.Cast("f64"))
    assert {v.type.dtype.value for n in cast.walk() if n.op.name != "cast" for v in n.outputs
            if v.type.dtype.is_float} == {"f64"}  # fmt: skip
    found = gw.compile(cast, "numpy")(input=x.numpy())[graph.outputs[0].name]
    np.testing.assert_allclose(np.asarray(found), model(x)[0].detach().numpy(), atol=1e-6)


def test_weights_are_held_in_fewer_bits(tmp_path: Path) -> None:
    graph = converted("gpt2")
    held = graph.apply(p.CastWeights("bf16", "**.weight"))
    old, new = weights(graph), weights(held)
    for name, array in new.items():
        if name.endswith("weight"):
            np.testing.assert_array_equal(array, old[name].astype(ml_dtypes.bfloat16))
        else:
            assert array is old[name]
    rounded = {n: a.astype(ml_dtypes.bfloat16).astype(a.dtype) for n, a in old.items()
               if n.endswith("weight")}  # fmt: skip
    wanted = log_probabilities(graph.apply(p.Learned(rounded)))
    np.testing.assert_allclose(log_probabilities(held), wanted, atol=1e-12)
    gw.save(held, tmp_path / "model")
    sizes = [sum(f.stat().st_size for f in (tmp_path / "model").iterdir())]
    gw.save(graph, tmp_path / "whole")
    sizes.append(sum(f.stat().st_size for f in (tmp_path / "whole").iterdir()))
    assert sizes[0] < 0.6 * sizes[1]
    with pytest.raises(SelectionError, match="no float parameter"):
        graph.apply(p.CastWeights("bf16", "nothing"))


@each_model
def test_what_is_ablated_is_found_dead_and_taken_out(make: Any) -> None:
    graph = make()
    edits = p.Ablate(Z, {"heads": [0, 2]}), p.Ablate(POST, {"mlp": [3, -1]})
    ablated = graph.apply(*edits)
    pruned = ablated.apply(p.PruneDead())
    assert_kept(ablated, pruned)
    by_hand = graph.apply(p.PruneHeads(Z, [0, 2]), p.PruneNeurons(POST, [3, -1]))
    np.testing.assert_array_equal(log_probabilities(pruned), log_probabilities(by_hand))
    assert {n: a.shape for n, a in weights(pruned).items()} == {
        n: a.shape for n, a in weights(by_hand).items()
    }
    assert not any(n.op.name == "select" and "Ablate" in n.origin.passes for n in pruned.nodes)
    with pytest.raises(RewriteError, match=r"nothing is dead at '\*\*'"):
        pruned.apply(p.PruneDead())
    again = pruned.apply(p.Ablate(Z, {"heads": 1}), p.PruneDead(Z))
    assert again.axes[again.sites[Z].roles["heads"]] == 1


@each_model
def test_zeros_before_them_and_zero_weights_kill_them_too(make: Any) -> None:
    graph = make()
    values = graph.apply(p.Ablate("blocks.1.attn.v", {"kv_heads": 1}))
    groups = 4 // int(str(graph.axes[graph.sites["blocks.1.attn.v"].roles["kv_heads"]]))
    new = values.apply(p.PruneDead())
    assert_kept(values, new)
    assert new.axes[new.sites[Z].roles["heads"]] == 4 - groups
    inputs = graph.apply(p.Ablate("blocks.0.mlp.pre", {"mlp": [2, 5]}))
    assert_kept(inputs, inputs.apply(p.PruneDead(POST)))
    out = {n: np.array(a) for n, a in weights(graph).items()
           if n.rpartition(".")[0].endswith(("1.attn.c_proj", "1.self_attn.o_proj", "_1.o_proj"))
           and a.ndim > 1}  # fmt: skip
    (name,) = out
    rows = out[name] if name.endswith("kernel") or "c_proj" in name else out[name].T
    rows[8:16] = 0
    unread = graph.apply(p.Learned(out))
    new = unread.apply(p.PruneDead())
    assert_kept(unread, new)
    assert new.axes[new.sites[Z].roles["heads"]] == 3


def test_a_whole_layer_keeps_one() -> None:
    graph = converted("gpt2")
    ablated = graph.apply(p.Ablate(Z))
    new = ablated.apply(p.PruneDead())
    assert_kept(ablated, new)
    assert new.axes[new.sites[Z].roles["heads"]] == 1


def test_a_dead_head_that_something_else_reads_stays_and_is_named() -> None:
    graph = converted("gpt2").apply(p.Ablate(Z, {"heads": 0}), p.Collect(Z))
    with pytest.raises(RewriteError, match=f"nothing is dead .*{Z} is read by"):
        graph.apply(p.PruneDead(Z))
    with pytest.raises(SelectionError, match="blocks"):
        graph.apply(p.PruneDead("block.*.attn.z"))


# --- an encoder-decoder with root-mean-square norms and tied embeddings --------------------------


@cache
def t5() -> gw.Graph:
    return converted("t5")


def say(graph: gw.Graph) -> Any:
    given = {"input_ids": IDS, "attention_mask": MASK, "decoder_input_ids": IDS[:, :4]}
    out = gw.compile(graph, "numpy")(**given)["logits"]
    return log_softmax(np.asarray(out, np.float64), -1)


T5_KEEPS = {
    "norms": (p.Untie(), p.FoldNorms()),
    "unembedding": (p.Untie(), p.CentreUnembed()),
    "parameters": (p.FoldParameters(),),
    "adapters": (p.LoRA("encoder.blocks.0.attn.q", 2, key=0), p.MergeLoRA()),
    "double": (p.Cast("f64"),),
    "all": (p.Untie(), p.FoldNorms(), p.CentreUnembed(), p.Cast("f64")),
}


@pytest.mark.parametrize("steps", T5_KEEPS.values(), ids=T5_KEEPS)
def test_what_holds_for_t5_holds(steps: Any) -> None:
    np.testing.assert_allclose(say(t5().apply(*steps)), say(t5()), rtol=0, atol=1e-5)


def test_heads_of_every_attention_of_t5_are_pruned() -> None:
    sites = ("encoder.blocks.0.attn.z", "decoder.blocks.1.attn.z", "decoder.blocks.1.cross_attn.z")
    edits = [p.Ablate(site, {"heads": [1, 3]}) for site in sites]
    ablated = t5().apply(*edits, p.Ablate("decoder.blocks.0.mlp.post", {"mlp": slice(8, 16)}))
    new = ablated.apply(p.PruneDead())
    np.testing.assert_allclose(say(new), say(ablated), rtol=0, atol=1e-5)
    assert [new.axes[new.sites[site].roles["heads"]] for site in sites] == [2, 2, 2]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (p.CentreWriting(), "this graph's norms are rms_norm"),
        (p.CentreUnembed(), r"'shared.weight' is tied: .*Untie"),
        (p.FoldValueBiases(), "its values come from no linear with a bias"),
        (p.SplitQKV(), "no attention takes its parts from one linear"),
        (p.MergeLoRA(), "nothing in the graph is a low-rank adapter"),
        (p.PruneDead(), "nothing is dead"),
    ],
)
def test_what_t5_has_not_is_refused_by_name(step: p.Pass, words: str) -> None:
    with pytest.raises(RewriteError, match=words):
        t5().apply(step)


def test_half_precision_t5_is_itself_to_rounding() -> None:
    assert 0 < np.abs(say(t5().apply(p.Cast("bf16"))) - say(t5())).max() < 0.3


def test_they_save_in_recipes(tmp_path: Path) -> None:
    recipe = [p.PruneDead("blocks.*.attn.z"), p.Cast("bf16", keep="logits"), p.CastWeights("f16")]
    gw.save_recipe(recipe, tmp_path / "recipe")
    assert gw.load_recipe(tmp_path / "recipe") == recipe
