"""A decoder whose layers are scanned has the sites of the same decoder written layer by layer."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import SelectionError
from graftwork.ir.verify import verify
from tests.passes.interventions.decoder import (
    EMBED,
    HIDDEN,
    IDS,
    LAYERS,
    ONES,
    OTHER,
    VECTOR,
    Array,
    clean,
    close,
    hooked,
    jax_graph,
    logits,
    scanned_graph,
    torch_graph,
)

BACKENDS = ("numpy", "jax", "torch", "onnx")
IN_LAYERS = [site for site in jax_graph().sites if site.startswith("blocks.")]


def run(graph: gw.Graph, backend: str = "numpy", **more: Any) -> Any:
    options = {"mode": "eager"} if backend == "torch" else {}
    return gw.compile(graph, backend, **options)(input_ids=IDS, attention_mask=ONES, **more)


def laid_out(graph: gw.Graph, site: str, found: Any) -> Array:
    """A collected activation in the order of axes that the numpy decoder has."""
    words = {axis: role for role, axis in graph.sites[site].roles.items()}
    order = ("batch", "heads", "seq", "kv_seq") if site.endswith(("scores", "pattern")) else ()
    order = order or ("batch", "seq", "heads", "kv_heads", "head_dim", "mlp", "embed", "vocab")
    roles = [words[axis] for axis in found.axes]
    return np.asarray(found).transpose([roles.index(role) for role in order if role in roles])


def test_the_sites_are_those_of_the_decoder_that_is_not_scanned() -> None:
    graph, plain = scanned_graph(), jax_graph()
    verify(graph)
    assert sum(node.op.name == "scan" for node in graph.nodes) == 1
    assert list(graph.sites) == list(plain.sites)
    assert set(graph.sites.spans) == set(plain.sites.spans)
    for path in plain.sites:
        assert set(graph.sites[path].roles) == set(plain.sites[path].roles), path
    assert graph.axes["layers"] == LAYERS
    assert str(gw.parse(str(graph))) == str(graph)


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_site_of_every_layer_is_collected_on_every_backend(backend: str) -> None:
    graph = scanned_graph()
    out, seen = run(graph.apply(p.Collect("blocks.**", "embed", "final_norm")), backend), hooked()
    assert len(out) == len(graph.sites) - 1  # pos_embed is left out, logits are there anyway
    for site in out:
        found = laid_out(graph, site, out[site])
        wanted = seen[site].reshape(found.shape)
        masked = wanted == np.finfo(np.float64).min  # attention writes it as -inf
        close(found, np.where(masked, -np.inf, wanted))


@pytest.mark.parametrize("site", IN_LAYERS)
def test_every_site_of_every_layer_is_patched_from_another_run(site: str) -> None:
    found = logits(scanned_graph().apply(p.Patch(site, source="clean")), clean=clean())
    other = hooked(OTHER)[site]
    close(found, hooked(IDS, hooks={site: lambda _: other})["logits"])


@pytest.mark.parametrize("backend", BACKENDS[1:])
@pytest.mark.parametrize("site", ["blocks.0.attn.pattern", "blocks.1.attn.z", "blocks.1.mlp.post"])
def test_patches_of_layers_on_every_backend(site: str, backend: str) -> None:
    graph = scanned_graph().apply(p.Patch(site, source="clean"))
    other = hooked(OTHER)[site]
    wanted = hooked(IDS, hooks={site: lambda _: other})["logits"]
    close(np.asarray(run(graph, backend, clean=clean())["logits"]), wanted)


RNG = np.random.default_rng(5)
ENCODER, DECODER = RNG.standard_normal((EMBED, 5)), RNG.standard_normal((5, EMBED))
NEURONS = np.arange(HIDDEN) % 2 == 0
RECIPES: dict[str, list[Any]] = {
    "zero": [p.Ablate("blocks.1.attn.z", where={"heads": 1, "seq": -1})],
    "mean": [p.Ablate("blocks.*.mlp.out", mean=("batch", "seq"))],
    "resample": [p.Ablate("blocks.0.resid_mid", resample="clean", where={"seq": slice(1, 3)})],
    "mask": [p.Scale("blocks.1.mlp.post", 3.0, where={"mlp": p.Mask(NEURONS)})],
    "tokens": [p.Scale("blocks.0.mlp.out", 2.0, where={"seq": p.Tokens([int(IDS[0, 1])])})],
    "steer": [p.Steer("blocks.1.resid_pre", VECTOR, scale=2.0), p.Scale("blocks.0.attn.z", 0.5)],
    "moved": [
        p.Patch("blocks.1.attn.z", {"seq": 4}, "clean", source_where={"seq": 1}),
        p.Patch("blocks.0.resid_post", {"seq": 2}, "clean", source_site="blocks.1.resid_mid"),
    ],
    "series": [
        p.In("clean", p.Ablate("blocks.0.mlp.out"), p.Scale("blocks.1.attn.pattern", 0.5)),
        p.Patch("blocks.1.resid_mid", {"seq": 2}, "clean"),
        p.Patch("blocks.0.attn.v", {"heads": 0}, "clean"),
    ],
    "knock out": [p.KnockOutEdges("blocks.*.attn.pattern", {"seq": 4, "kv_seq": [1, 2]})],
    "freeze": [
        p.Steer("embed", VECTOR), p.Freeze("blocks.*.attn.pattern"),
        p.Map("final_norm", gw.ops.tanh),
    ],
    "norms": [p.Steer("embed", VECTOR), p.FreezeNorms("blocks.1.mlp.in")],
    "spliced": [
        p.Splice("blocks.0.resid_post", ENCODER, DECODER, threshold=0.1, error=True),
        p.Ablate("blocks.0.resid_post.sae.latents", where={"latents": [1, 3]}),
    ],
    "worlds": [
        p.Ablate("blocks.0.attn.out"), p.Worlds("input_ids"), p.Ablate("blocks.1.mlp.out"),
        p.Rewire("blocks.1.attn.z", p.taking(("a", "b"), {"a": "b"})),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_gives_what_it_gives_on_the_model_in_torch(name: str, tmp_path: Path) -> None:
    gw.save_recipe(RECIPES[name], tmp_path / "recipe")
    recipe = gw.load_recipe(tmp_path / "recipe")
    graphs = [graph.apply(*recipe) for graph in (scanned_graph(), torch_graph())]
    reads = any(port.name == "clean.input_ids" for port in graphs[1].inputs)
    more = {"clean": clean()} if reads else {}
    ids = np.stack([IDS, OTHER]) if name == "worlds" else IDS
    found, wanted = (
        np.asarray(gw.compile(g, "numpy")(input_ids=ids, attention_mask=ONES, **more)["logits"])
        for g in graphs
    )
    close(found, wanted)
    verify(graphs[0])


def test_edits_of_one_run_leave_the_others_as_they_are() -> None:
    graph = scanned_graph().apply(
        p.Patch("blocks.1.resid_mid", source="clean"),
        p.Scale(gw.Selector(op="layer_norm", nth=0), 2.0),  # of the model's own run, in each layer
    )
    other = hooked(OTHER)["blocks.1.resid_mid"]
    hooks = {"blocks.0.attn.in": lambda x: 2 * x, "blocks.1.attn.in": lambda x: 2 * x}
    wanted = hooked(IDS, hooks=hooks | {"blocks.1.resid_mid": lambda _: other})["logits"]
    close(logits(graph, clean=clean()), wanted)


@cache
def unrolled() -> gw.Graph:
    return scanned_graph().apply(p.Unroll())


def test_scans_are_written_out_where_a_pass_looks_at_structure() -> None:
    graph = unrolled()
    verify(graph)
    assert all(node.op.name != "scan" for node in graph.nodes)
    assert list(graph.sites) == list(scanned_graph().sites)
    assert all(not site.place.steps for site in graph.sites.values())
    assert np.array_equal(logits(graph), logits(scanned_graph()))
    with pytest.raises(SelectionError, match="no scan can be written out"):
        graph.apply(p.Unroll())
    edit = p.PathPatch("blocks.0.attn.z", "blocks.1.attn.q", "clean", where={"heads": 1})
    with pytest.raises(SelectionError, match=r"Unroll\(\)"):
        scanned_graph().apply(edit)
    found, wanted = (logits(g.apply(edit), clean=clean()) for g in (graph, torch_graph()))
    close(found, wanted)


def test_sweeps_go_over_scanned_layers() -> None:
    def metric(out: Any) -> Any:
        return out["logits"][{"seq": -1, "vocab": 3}]

    def effect(graph: gw.Graph) -> Array:
        edit = p.Patch("blocks.{layer}.attn.z", where={"heads": gw.each}, source="clean")
        sweep = gw.Sweep(graph, edit, metric=metric, backend="numpy")
        return np.asarray(sweep.run(input_ids=IDS, attention_mask=ONES, clean=clean()))

    wanted = effect(torch_graph())
    close(effect(unrolled()), wanted)
    close(effect(scanned_graph()), wanted)


@pytest.mark.parametrize(
    "applied",
    [
        p.LogitLens(), p.Skip("blocks.0.mlp"), p.Linearize("blocks.1.mlp"), p.Contributions(),
        p.Decompose("blocks.1.resid_mid"), p.PruneHeads("blocks.0.attn.z", [0]),
        p.Gradient(lambda out: out["logits"].sum("batch", "seq", "vocab"), "blocks.0.mlp.out"),
    ],
    ids=lambda applied: type(applied).__name__,
)  # fmt: skip
def test_what_looks_at_structure_says_so(applied: p.Pass) -> None:
    with pytest.raises(SelectionError, match=r"Unroll\(\)"):
        scanned_graph().apply(applied)
    assert unrolled().apply(applied).nodes
