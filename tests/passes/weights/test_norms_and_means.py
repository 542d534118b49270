"""Norms folded, weights centred and untied: log-probabilities stay, and the algebra holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import RewriteError, SelectionError
from tests.passes.weights.models import assert_kept, converted, in_jax, log_probabilities, weights

WHOLE = (p.Untie(), p.FoldNorms(), p.CentreWriting(), p.CentreUnembed())
RMS = (p.Untie(), p.FoldNorms(), p.CentreUnembed())
MODELS = {
    "gpt2": (lambda: converted("gpt2"), WHOLE),
    "llama": (lambda: converted("llama"), RMS),
    "gpt2 in flax": (lambda: in_jax("gpt2"), WHOLE),
    "llama in flax": (lambda: in_jax("llama"), RMS),
}
each_model = pytest.mark.parametrize(("make", "recipe"), MODELS.values(), ids=MODELS)


@each_model
def test_log_probabilities_stay_after_every_step(
    make: Callable[[], gw.Graph], recipe: Sequence[p.Pass]
) -> None:
    graph = make()
    new = graph
    for step in recipe:
        new = new.apply(step)
        assert_kept(graph, new)
    for step in recipe[1:]:
        assert_kept(graph, graph.apply(p.Untie(), step))


@pytest.mark.parametrize("backend", ["torch", "jax", "onnx"])
def test_every_backend_keeps_them(backend: str) -> None:
    graph = in_jax("gpt2")
    assert_kept(graph, graph.apply(*WHOLE), backend)


def test_a_folded_norm_is_bare_and_its_gain_is_in_the_weight() -> None:
    graph = converted("gpt2")
    new = graph.apply(p.FoldNorms("blocks.0.attn.in"))
    old, now = weights(graph), weights(new)
    gain, bias = (old[f"transformer.h.0.ln_1.{word}"] for word in ("weight", "bias"))
    w, c = (old[f"transformer.h.0.attn.c_attn.{word}"] for word in ("weight", "bias"))
    np.testing.assert_allclose(now["transformer.h.0.attn.c_attn.weight"], gain[:, None] * w)
    np.testing.assert_allclose(now["transformer.h.0.attn.c_attn.bias"], c + bias @ w)
    assert set(old) - set(now) == {"transformer.h.0.ln_1.weight", "transformer.h.0.ln_1.bias"}
    (norm,) = new.select("blocks.0.attn.in")
    assert len(new.index.producer[norm.place.value].inputs) == 1


def test_weights_that_stay_are_shared_and_nobodys_array_changes() -> None:
    graph = converted("gpt2")
    before = {name: array.copy() for name, array in weights(graph).items()}
    new = graph.apply(*WHOLE)
    weights(new)
    for name, array in weights(graph).items():
        np.testing.assert_array_equal(array, before[name])
    part = graph.apply(p.FoldNorms("blocks.0.attn.in"))
    kept = "transformer.h.1.mlp.c_fc.weight"
    assert part.params[kept] is graph.params[kept]


def test_what_is_written_has_the_mean_zero_and_so_has_the_stream() -> None:
    new = converted("gpt2").apply(p.Untie(), p.CentreWriting(), p.CentreUnembed())
    now = weights(new)
    for name in ("wte.weight", "wpe.weight", "h.0.attn.c_proj.weight", "h.1.mlp.c_proj.weight"):
        np.testing.assert_allclose(now[f"transformer.{name}"].mean(-1), 0, atol=1e-14)
    for name in ("h.0.attn.c_proj.bias", "h.1.mlp.c_proj.bias"):
        np.testing.assert_allclose(now[f"transformer.{name}"].mean(), 0, atol=1e-14)
    np.testing.assert_allclose(now["lm_head.weight"].mean(0), 0, atol=1e-14)
    seen = new.apply(p.Collect("blocks.*.resid_post"))
    run = gw.compile(seen, "numpy")
    out = run(input_ids=np.arange(6).reshape(2, 3), attention_mask=np.ones((2, 3), np.int64))
    for name in ("blocks.0.resid_post", "blocks.1.resid_post"):
        np.testing.assert_allclose(np.asarray(out[name]).mean(-1), 0, atol=1e-13)


def test_gains_with_an_offset_come_out_as_gains() -> None:
    with gw.ir.build.Builder(gw.ir.types.Typing({"embed": 3, "vocab": 2})) as b:
        x, gain = b.input("f64", "embed", "x"), b.input("f64", "embed", "gain")
        w = b.input("f64", "vocab embed", "w")
        y = gw.ops.rms_norm(x, gain, over="embed", eps=1e-6, offset=1.0)
        logits = gw.ops.contract(w, y, over="embed")
    arrays = {"gain": np.array([0.5, -1.0, 2.0]), "w": np.arange(6.0).reshape(2, 3)}
    from graftwork.ir.graph import Graph, Parameter, Port
    from graftwork.ir.store import Store

    graph = Graph(
        (Port("x", x.value, x.axes),),
        (Parameter("gain", gain.value, gain.axes), Parameter("w", w.value, w.axes)),
        tuple(b.nodes),
        (Port("logits", logits.value, logits.axes),),
        b.typing.table,
        Store((arrays,)),
    )
    new = graph.apply(p.FoldNorms())
    np.testing.assert_array_equal(weights(new)["w"], arrays["w"] * (1 + arrays["gain"]))
    assert "offset=1" not in str(new)


def test_tied_weights_are_refused_by_name_and_untied_without_a_copy() -> None:
    graph = converted("gpt2")
    for step in (p.FoldNorms(), p.CentreWriting(), p.CentreUnembed()):
        with pytest.raises(RewriteError, match=r"'transformer.wte.weight' is tied.*Untie"):
            graph.apply(step)
    untied = graph.apply(p.Untie("lm_head.weight"))
    assert untied.params["lm_head.weight"] is untied.params["transformer.wte.weight"]
    np.testing.assert_array_equal(log_probabilities(untied), log_probabilities(graph))
    with pytest.raises(SelectionError, match="read in several places"):
        untied.apply(p.Untie("lm_head.weight"))
    assert untied.apply(p.Untie()) is not None


def test_what_reads_a_norm_or_the_mean_is_named() -> None:
    llama = converted("llama")
    with pytest.raises(RewriteError, match="norms are rms_norm"):
        llama.apply(p.CentreWriting())
    assert not p.norms_that_stay(llama)
    with pytest.raises(SelectionError, match="is not what a norm gives"):
        llama.apply(p.FoldNorms("blocks.0.attn.z"))
    bare = llama.apply(p.FoldNorms())
    with pytest.raises(RewriteError, match="neither gain nor bias"):
        bare.apply(p.FoldNorms())
    with pytest.raises(RewriteError, match="not an output that a linear makes"):
        llama.apply(p.CentreUnembed("blocks.0.mlp.post", "mlp"))


@pytest.mark.all
@pytest.mark.parametrize("family", ["gpt_neox", "bert", "opt", "qwen2", "gemma2", "vit"])
def test_other_families_keep_their_log_probabilities(family: str) -> None:
    graph = converted(family)
    assert_kept(graph, graph.apply(p.Untie(), p.FoldNorms()))


@pytest.mark.all
def test_the_norms_that_a_post_norm_stream_goes_through_stay() -> None:
    graph = converted("bert")
    with pytest.raises(RewriteError, match=r"blocks.0.attn.in cannot be folded: add of bert"):
        graph.apply(p.FoldNorms("blocks.*.attn.in"))
    assert "add of bert" in p.norms_that_stay(graph)["blocks.0.resid_mid"]


def test_they_save_in_recipes(tmp_path: Path) -> None:
    gw.save_recipe(WHOLE, tmp_path / "recipe")
    assert gw.load_recipe(tmp_path / "recipe") == list(WHOLE)


def test_processed_models_save_and_load(tmp_path: Path) -> None:
    new = in_jax("gpt2").apply(*WHOLE)
    gw.save(new, tmp_path / "model")
    assert_kept(new, gw.load(tmp_path / "model"))
