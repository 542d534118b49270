"""Edges patched, masked and attributed, against brute force in torch, in float64."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError, SelectionError, UnreachableEditError
from tests.passes.decoder import HEADS, SHAPES, build, cached, replacing, tokens
from tests.passes.edges.reference import all_contributions, patched, possible

IDS, OTHER = tokens(0), tokens(1)
GIVEN = {"input_ids": IDS, "other": {"input_ids": OTHER}}
each_shape = pytest.mark.parametrize("name", SHAPES)


def contrast(out: Mapping[str, Any]) -> Any:
    return out["logits"][{"seq": -1, "vocab": 3}] - out["logits"][{"seq": -1, "vocab": 5}]


def torch_contrast(logits: torch.Tensor) -> torch.Tensor:
    return logits[:, -1, 3] - logits[:, -1, 5]


def logits(graph: gw.Graph, **more: Any) -> np.ndarray:
    given = GIVEN if len(graph.inputs) - len(more) > 1 else {"input_ids": IDS}
    return np.asarray(gw.compile(graph, "numpy")(**given, **more)["logits"])


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-9, atol=1e-11)


def drawn(name: str, seed: int, count: int = 12) -> list[tuple[str, str]]:
    return random.Random(seed).sample(possible(build(name)[0]), count)


@each_shape
def test_edges_are_all_pairs_in_the_order_of_computation(name: str) -> None:
    model, graph = build(name)
    assert set(p.components(graph).edges) == set(possible(model))
    assert len(p.components(graph).edges) == len(possible(model))


@each_shape
def test_opening_reads_changes_nothing(name: str) -> None:
    model, graph = build(name)
    new = graph.apply(p.OpenReads())
    close(gw.compile(new, "numpy")(input_ids=IDS)["logits"], model(IDS)["logits"].detach())
    assert "blocks.1.attn.k_read" in new.sites
    assert new.apply(p.OpenReads()) is new


@each_shape
@pytest.mark.parametrize("seed", range(3))
def test_patched_and_masked_edges_are_those_of_brute_force(name: str, seed: int) -> None:
    model, graph = build(name)
    edges = drawn(name, seed, count=4**seed)
    expected = patched(model, IDS, edges, all_contributions(model, OTHER))
    close(logits(graph.apply(p.PatchEdges(tuple(edges), source="other"))), expected)
    cut = p.components(graph).selected(edges)
    close(logits(graph.apply(p.MaskEdges(source="other")), cut=cut.astype(float)), expected)


@each_shape
def test_all_edges_of_another_run_make_that_run(name: str) -> None:
    model, graph = build(name)
    new = graph.apply(p.PatchEdges((("**", "**"),), source="other"))
    close(logits(new), model(OTHER)["logits"].detach())


@each_shape
def test_what_is_sent_sums_to_the_stream(name: str) -> None:
    graph = build(name)[1]
    new = graph.apply(p.PatchEdges((("**", "final_norm"),)), p.Collect("final_norm_read"))
    left = np.asarray(gw.compile(new, "numpy")(input_ids=IDS)["final_norm_read"])
    assert np.abs(left).max() < 1e-12


def test_edges_are_ablated_by_zero_and_mean_at_chosen_positions() -> None:
    model, graph = build("gpt2")
    edge = ("blocks.0.attn.result.1", "blocks.1.attn.q.2")
    own = all_contributions(model, IDS)
    zero = dict.fromkeys(own, torch.zeros(()))
    close(logits(graph.apply(p.PatchEdges((edge,)))), patched(model, IDS, [edge], zero))
    mean = {word: x.mean((0, 1)) for word, x in own.items() if x.dim() == 3}
    new = graph.apply(p.PatchEdges((edge,), mean=("batch", "seq")))
    close(logits(new), patched(model, IDS, [edge], mean))
    last = own[edge[0]].clone()
    last[:, -1] = all_contributions(model, OTHER)[edge[0]][:, -1]
    new = graph.apply(p.PatchEdges((edge,), source="other", where={"seq": -1}))
    close(logits(new), patched(model, IDS, [edge], {edge[0]: last}))


def test_edges_in_two_passes_act_together() -> None:
    _, graph = build("llama")
    edges = drawn("llama", 7)
    steps = [p.PatchEdges((edge,), source="other") for edge in edges]
    both = graph.apply(p.PatchEdges(tuple(edges), source="other"))
    close(logits(graph.apply(*steps)), logits(both))


@each_shape
@pytest.mark.parametrize("through", ["mlp", "nothing"])
def test_path_patching_is_three_runs(name: str, through: str) -> None:
    model, graph = build(name)
    own, other = cached(model, IDS), cached(model, OTHER)
    sender, receivers = "blocks.0.attn.z", [f"blocks.{i}.attn.q" for i in (1, 2)]
    mixed = own[sender].clone()
    mixed[:, :, 1] = other[sender][:, :, 1]
    held = {word: x for word, x in own.items() if word.endswith("attn.z")}
    held |= {word: x for word, x in own.items() if word.endswith("mlp.out") and through != "mlp"}
    second: dict[str, torch.Tensor] = {}
    fixed = replacing({**held, sender: mixed})
    with torch.no_grad():
        model(IDS, lambda word, x: second.setdefault(word, fixed(word, x)))

    def head(word: str) -> Any:
        def put(x: torch.Tensor) -> torch.Tensor:
            x = x.clone()
            x[:, :, 2] = second[word][:, :, 2]
            return x

        return put

    with torch.no_grad():
        expected = model(IDS, replacing({word: head(word) for word in receivers}))["logits"]
    frozen = ("**.attn.z",) if through == "mlp" else ("**.attn.z", "**.mlp.out")
    new = graph.apply(
        p.PathPatch(sender, tuple(receivers), "other", frozen, where={"heads": 1}, at={"heads": 2})
    )
    close(logits(new), expected)
    if through == "nothing":
        edges = tuple((f"{sender[:-1]}result.1", f"{word}.2") for word in receivers)
        both = patched(model, IDS, edges[:1], all_contributions(model, OTHER))
        one = p.PathPatch(sender, receivers[0], "other", frozen, {"heads": 1}, {"heads": 2})
        close(logits(graph.apply(one)), both)


def test_a_direct_effect_is_an_edge_into_the_final_norm() -> None:
    model, graph = build("llama")
    change = all_contributions(model, OTHER), all_contributions(model, IDS)
    word = "blocks.1.attn.result.3"
    stream = cached(model, IDS)["final_norm.read"] + change[0][word] - change[1][word]
    expected = model.lm_head(model.ln_f(stream)).detach()
    close(logits(graph.apply(p.PatchEdges(((word, "final_norm"),), source="other"))), expected)


@each_shape
@pytest.mark.parametrize("steps", [None, 3])
def test_edge_attribution_is_its_formula(name: str, steps: int | None) -> None:
    model, graph = build(name)
    own, other = all_contributions(model, IDS), all_contributions(model, OTHER)
    out = gw.compile(
        graph.apply(p.EdgeAttribution(of=contrast, source="other", steps=steps)), "numpy"
    )(**GIVEN)["edge_attribution"]
    places = [1.0] if steps is None else [(i + 1) / steps for i in range(steps)]
    slopes: dict[str, Any] = {}
    for place in places:
        for word, slope in read_slopes(name, place).items():
            slopes[word] = slopes.get(word, 0) + slope / len(places)
    parts = p.components(graph)
    assert out.axes == ("batch", "receivers", "senders")
    for r, s in np.argwhere(parts.possible):
        sender, receiver = parts.sender_names[s], parts.receiver_names[r]
        expected = ((other[sender] - own[sender]) * slopes[receiver]).sum((1, 2))
        close(np.asarray(out)[:, r, s], expected.detach())
    assert not np.asarray(out)[:, ~parts.possible].any()


def read_slopes(name: str, place: float) -> dict[str, torch.Tensor]:
    """The gradient at every receiver's own read, part of the way from the other embeddings."""
    model, _ = build(name)
    own, other = cached(model, IDS), cached(model, OTHER)
    leaves: dict[str, torch.Tensor] = {}

    def edit(site: str, x: torch.Tensor) -> torch.Tensor:
        if site == "embed":
            return other[site] + place * (own[site] - other[site])
        if not site.endswith("read"):
            return x
        count = HEADS if site.endswith("q_read") else model.shape.kv_heads
        wide = x if "attn" not in site else x[:, :, None].expand(-1, -1, count, -1)
        leaves[site] = torch.zeros_like(wide, requires_grad=True)
        return wide + leaves[site]

    metric = torch_contrast(model(IDS, edit)["logits"]).sum()
    found: dict[str, torch.Tensor] = {}
    for site, slope in zip(leaves, torch.autograd.grad(metric, list(leaves.values())), strict=True):
        if site == "final_norm.read":
            found["final_norm"] = slope
        elif site.endswith("mlp.read"):
            found[site.replace(".read", ".in")] = slope
        else:
            heads = slope.unbind(2)
            found |= {f"{site.removesuffix('_read')}.{h}": x for h, x in enumerate(heads)}
    return found


def test_every_backend_masks_and_attributes_edges() -> None:
    graph = build("llama")[1]
    new = graph.apply(
        p.EdgeAttribution(of=contrast, source="other", steps=2), p.MaskEdges(source="other")
    )
    cut = np.zeros(p.components(graph).possible.shape)
    cut[5, 0] = 1
    expected = gw.compile(new, "numpy")(**GIVEN, cut=cut)
    for backend in ("jax", "onnx"):
        out = gw.compile(new, backend)(**GIVEN, cut=cut)
        for word in expected:
            np.testing.assert_allclose(
                np.asarray(out[word]), np.asarray(expected[word]), rtol=1e-8, atol=1e-10
            )


def test_recipes_hold_edges(tmp_path: Any) -> None:
    graph = build("gptj")[1]
    steps = [
        p.PatchEdges((("blocks.0.attn.result.*", "blocks.1.attn.v.2"),), source="other"),
        p.PathPatch("blocks.0.attn.z", "blocks.2.attn.k", "other", where={"heads": 1}),
        p.EdgeAttribution(of=contrast, source="other"),
    ]
    gw.save_recipe(steps, tmp_path / "recipe")
    loaded = gw.load_recipe(tmp_path / "recipe")
    ours, saved = (gw.compile(graph.apply(*r), "numpy")(**GIVEN) for r in (steps, loaded))
    for word in ours:
        close(saved[word], ours[word])


def test_pruning_keeps_what_the_loss_needs() -> None:
    """The same greedy loop in torch, over some of the edges."""
    model, graph = build("llama")
    other = all_contributions(model, OTHER)
    pairs = (("embed", "**"), ("blocks.0.attn.result.*", "blocks.2.attn.v.*"))
    names = p.components(graph)
    able = [edge for edge in names.edges if edge[0] == "embed" or "0.attn.result" in edge[0]]
    able = [e for e in able if e[0] == "embed" or e[1].startswith("blocks.2.attn.v")]
    whole = model(IDS)["logits"].detach()
    cut: list[tuple[str, str]] = []
    best = 0.0
    order = {name: i for i, name in enumerate(names.sender_names)}
    rows = {name: i for i, name in enumerate(names.receiver_names)}
    for edge in sorted(able, key=lambda e: (-rows[e[1]], -order[e[0]])):
        tried = float(((patched(model, IDS, [*cut, edge], other) - whole) ** 2).mean())
        if tried - best < 0.02:
            cut.append(edge)
            best = tried
    found = gw.prune_edges(
        graph,
        lambda out, full: float(((np.asarray(out["logits"]) - full["logits"]) ** 2).mean()),
        threshold=0.02,
        inputs={"input_ids": IDS},
        source={"input_ids": OTHER},
        edges=pairs,
        backend="numpy",
    )
    assert 0 < len(cut) < len(able)
    assert set(names.edges) - set(found.edges) == set(cut)
    np.testing.assert_allclose(found.loss, best, rtol=1e-9)


def test_the_component_graph_leads_from_the_embedding_to_the_end() -> None:
    graph = build("llama")[1]
    parts = p.components(graph)
    whole = p.component_graph(graph)
    assert nx.is_directed_acyclic_graph(whole)
    assert whole.number_of_nodes() == len(parts.sender_names) + len(parts.receiver_names)
    assert set(whole.successors("blocks.1.attn.k.1")) == {
        "blocks.1.attn.result.2",
        "blocks.1.attn.result.3",
    }
    run = gw.compile(graph.apply(p.EdgeAttribution(of=contrast, source="other")), "numpy")
    scores = run(**GIVEN)["edge_attribution"]
    limit = float(np.quantile(np.abs(np.asarray(scores).mean(0)), 0.9))
    some = p.component_graph(graph, scores, threshold=limit)
    table = np.asarray(scores).mean(0)
    drawn_edges = [(u, v, d["weight"]) for u, v, d in some.edges(data=True) if "weight" in d]
    assert len(drawn_edges) == ((np.abs(table) >= limit) & parts.possible).sum()
    for sender, receiver, weight in drawn_edges:
        row, column = parts.receiver_names.index(receiver), parts.sender_names.index(sender)
        assert weight == table[row, column]


def test_what_is_no_edge_is_refused_by_name() -> None:
    graph = build("gpt2")[1]
    with pytest.raises(SelectionError, match=r"no sender 'blocks\.0\.attn\.result\.7'"):
        graph.apply(p.PatchEdges((("blocks.0.attn.result.7", "final_norm"),)))
    with pytest.raises(SelectionError, match=r"reads the stream before 'blocks\.1\.mlp\.out'"):
        graph.apply(p.PatchEdges((("blocks.1.mlp.out", "blocks.1.attn.q.0"),)))
    with pytest.raises(SelectionError, match=r"no receiver 'blocks\.9\.mlp\.in'"):
        graph.apply(p.OpenReads("blocks.9.mlp.in"))
    with pytest.raises(InputError, match="one of source= and mean="):
        graph.apply(p.PatchEdges((("embed", "**"),), source="other", mean=("batch",)))
    with pytest.raises(UnreachableEditError, match="no path from"):
        graph.apply(p.PathPatch("blocks.2.attn.z", "blocks.1.attn.q", "other"))
