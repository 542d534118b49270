"""Fused projections taken apart, heads and neurons taken out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import RewriteError, SelectionError
from tests.passes.weights.models import assert_kept, converted, weights

Z, POST = "blocks.1.attn.z", "blocks.0.mlp.post"
PRUNED = (p.PruneHeads(Z, [0, 2]), p.PruneNeurons(POST, [3, -1]))
ABLATED = (p.Ablate(Z, where={"heads": [0, 2]}), p.Ablate(POST, where={"mlp": [3, -1]}))


def test_a_fused_projection_becomes_slices_of_its_weight() -> None:
    graph = converted("gpt2")
    new = graph.apply(p.SplitQKV())
    assert_kept(graph, new)
    fused, now = "transformer.h.0.attn.c_attn.weight", weights(new)
    parts = np.split(weights(graph)[fused], 3, axis=1)
    for word, part in zip("qkv", parts, strict=True):
        np.testing.assert_array_equal(now[f"{fused}.{word}"], part)
    assert fused not in now
    assert new.apply(p.Untie(), p.FoldNorms(), p.CentreWriting()) is not None
    with pytest.raises(RewriteError, match="no attention takes its parts from one linear"):
        new.apply(p.SplitQKV())


@pytest.mark.all
def test_heads_packed_one_by_one_are_taken_apart() -> None:
    graph = converted("gpt_neox")
    new = graph.apply(p.SplitQKV())
    assert_kept(graph, new)
    fused = "gpt_neox.layers.0.attention.query_key_value.weight"
    packed = weights(graph)[fused].reshape(4, 3, 8, 32)
    for i, word in enumerate("qkv"):
        np.testing.assert_array_equal(weights(new)[f"{fused}.{word}"], packed[:, i])
    assert_kept(graph.apply(*ABLATED), new.apply(*PRUNED))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_pruning_is_ablation_with_less_work(family: str) -> None:
    graph = converted(family)
    new = graph.apply(*PRUNED)
    assert_kept(graph.apply(*ABLATED), new)
    sizes = {
        path: new.axes[new.sites[path].roles[role]] for path, role in ((Z, "heads"), (POST, "mlp"))
    }
    width = graph.axes[graph.sites[POST].roles["mlp"]]
    assert isinstance(width, int)
    assert sizes == {Z: 2, POST: width - 2}
    count = {g: sum(a.size for a in weights(g).values()) for g in (graph, new)}
    assert count[new] < count[graph]
    out = new.apply(p.Collect("blocks.*.attn.pattern"), p.Ablate(Z, where={"heads": 1}))
    assert "blocks.1.attn.pattern" in {port.name for port in out.outputs}


def test_the_weights_of_pruned_heads_are_gone() -> None:
    graph = converted("gpt2")
    now = weights(graph.apply(p.SplitQKV(), *PRUNED))
    old = weights(graph)
    query = old["transformer.h.1.attn.c_attn.weight"][:, :32].reshape(32, 4, 8)
    np.testing.assert_array_equal(now["transformer.h.1.attn.c_attn.weight.q"], query[:, [1, 3]])
    out = old["transformer.h.1.attn.c_proj.weight"].reshape(4, 8, 32)
    np.testing.assert_array_equal(now["transformer.h.1.attn.c_proj.weight"], out[[1, 3]])
    assert now["transformer.h.0.mlp.c_fc.weight"].shape == (32, 126)


def test_what_cannot_be_pruned_is_refused_by_name(tmp_path: Path) -> None:
    graph = converted("gpt2")
    for heads, told in (([4], r"not \[4\]"), ([], "has 4 positions"), ([0, 1, 2, 3], "use Ablate")):
        with pytest.raises(SelectionError, match=told):
            graph.apply(p.PruneHeads(Z, heads))
    seen = graph.apply(p.Collect(POST))
    with pytest.raises(RewriteError, match=f"{POST} is read by"):
        seen.apply(p.PruneNeurons(POST, [0]))
    gw.save_recipe(PRUNED, tmp_path / "recipe")
    assert_kept(graph.apply(*PRUNED), graph.apply(*gw.load_recipe(tmp_path / "recipe")))


def test_value_biases_move_into_the_output_bias() -> None:
    graph = converted("gpt2").apply(p.SplitQKV())
    with pytest.raises(RewriteError, match="whole_rows=True"):
        graph.apply(p.FoldValueBiases())
    new = graph.apply(p.FoldValueBiases(whole_rows=True))
    assert_kept(graph, new)
    old, now, name = weights(graph), weights(new), "transformer.h.0.attn"
    part = old[f"{name}.c_attn.bias.v"] @ old[f"{name}.c_proj.weight"]
    np.testing.assert_allclose(now[f"{name}.c_proj.bias"], old[f"{name}.c_proj.bias"] + part)
    assert f"{name}.c_attn.bias.v" not in now
