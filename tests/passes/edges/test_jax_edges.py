"""Edges of decoders in flax and Equinox are those of the same decoders in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from tests.passes import decoder
from tests.passes.decoder import cached, replacing, tokens
from tests.passes.edges.jax_twins import build
from tests.passes.edges.reference import all_contributions, patched
from tests.passes.edges.test_edges import close, contrast, drawn

IDS, OTHER = tokens(0), tokens(1)
GIVEN = {"input_ids": np.asarray(IDS), "other": {"input_ids": np.asarray(OTHER)}}
each_shape = pytest.mark.parametrize("name", ["gpt2", "llama"])


def run(graph: gw.Graph, word: str = "logits", backend: str = "numpy", **more: Any) -> Any:
    return gw.compile(graph, backend)(**GIVEN, **more)[word]


@each_shape
def test_the_same_model_has_the_same_edges(name: str) -> None:
    model, graph = decoder.build(name)
    plain = gw.compile(build(name), "numpy")(input_ids=np.asarray(IDS))["logits"]
    close(plain, model(IDS)["logits"].detach())
    ours, theirs = p.components(build(name)), p.components(graph)
    assert ours.sender_names == theirs.sender_names
    assert ours.receiver_names == theirs.receiver_names
    assert ours.edges == theirs.edges


@each_shape
@pytest.mark.parametrize("seed", range(3))
def test_patched_and_masked_edges_are_those_of_brute_force_in_torch(name: str, seed: int) -> None:
    model, _ = decoder.build(name)
    edges = drawn(name, seed, count=4**seed)
    expected = patched(model, IDS, edges, all_contributions(model, OTHER))
    graph = build(name)
    close(run(graph.apply(p.PatchEdges(tuple(edges), source="other"))), expected)
    cut = p.components(graph).selected(edges)
    close(run(graph.apply(p.MaskEdges(source="other")), cut=cut.astype(float)), expected)


@each_shape
def test_path_patching_is_three_runs_in_torch(name: str) -> None:
    model, graph = decoder.build(name)
    own, other = cached(model, IDS), cached(model, OTHER)
    sender, receiver = "blocks.0.attn.z", "blocks.2.attn.q"
    held = {word: x for word, x in own.items() if word.endswith("attn.z")}
    second: dict[str, torch.Tensor] = {}
    fixed = replacing({**held, sender: other[sender]})
    with torch.no_grad():
        model(IDS, lambda word, x: second.setdefault(word, fixed(word, x)))
        expected = model(IDS, replacing({receiver: second[receiver]}))["logits"]
    close(run(build(name).apply(p.PathPatch(sender, receiver, "other"))), expected)
    one = p.PathPatch(sender, receiver, "other", where={"heads": 1}, at={"seq": -1})
    close(run(build(name).apply(one)), run(graph.apply(one)))


@each_shape
@pytest.mark.parametrize("steps", [None, 3])
def test_edge_attribution_is_that_of_the_model_in_torch(name: str, steps: int | None) -> None:
    def scores(graph: gw.Graph, backend: str = "numpy") -> Any:
        edit = p.EdgeAttribution(of=contrast, source="other", steps=steps)
        return run(graph.apply(edit), "edge_attribution", backend)

    wanted = scores(decoder.build(name)[1])
    found = scores(build(name))
    assert found.axes == wanted.axes
    close(found, wanted)
    assert np.abs(np.asarray(wanted)).max() > 1e-3


def test_circuits_found_in_both_are_one() -> None:
    def loss(out: Mapping[str, Any], full: Mapping[str, Any]) -> float:
        return float(((np.asarray(out["logits"]) - np.asarray(full["logits"])) ** 2).mean())

    edges = (("blocks.0.attn.result.*", "blocks.2.attn.v.*"),)
    found = [
        gw.prune_edges(
            graph, loss, threshold=0.02, inputs={"input_ids": GIVEN["input_ids"]},
            source=GIVEN["other"], edges=edges, backend="numpy",
        )
        for graph in (build("llama"), decoder.build("llama")[1])
    ]  # fmt: skip
    assert found[0].edges == found[1].edges
    np.testing.assert_allclose(found[0].loss, found[1].loss, rtol=1e-9)
