"""The same architecture in flax linen, nnx, Equinox and PyTorch: one set of sites, one recipe."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import jax
import numpy as np
import pytest
from zoo import build, inputs

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.verify import verify
from tests.models.jax_decoders import DECODERS, VOCAB

pytestmark = pytest.mark.xdist_group("models")
each_decoder = pytest.mark.parametrize(("name", "library"), DECODERS)


@pytest.fixture(autouse=True)
def compiled_plainly() -> Iterator[None]:
    """XLA without its optimizations, which take most of the time here."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def tokens(batch: int, seq: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng([batch, seq]).integers(0, VOCAB, (batch, seq))


@cache
def converted(name: str, library: str) -> tuple[Any, gw.Graph]:
    model, params = DECODERS[name, library]()
    graph = gw.from_jax(model, tokens(2, 7), params=params, axes={0: "batch seq"})
    run = model if params is None else lambda ids: model.apply(params, ids)
    return run, graph


@cache
def in_torch(name: str) -> dict[str, set[str]]:
    ids = inputs(name, (2, 7))["input_ids"]
    return roles(gw.from_torch(build(name, "eager"), ids, axes={0: "batch seq"}))


def roles(graph: gw.Graph) -> dict[str, set[str]]:
    """The sites of a graph, and the roles of their axes."""
    return {path: set(graph.sites[path].roles) for path in graph.sites}


@each_decoder
def test_sites_are_those_of_the_model_in_torch(name: str, library: str) -> None:
    _, graph = converted(name, library)
    verify(graph)
    assert not graph.sites.unrecognised
    assert roles(graph) == in_torch(name)
    words = {"batch", "seq", "kv_seq", "heads", "head_dim", "embed", "mlp", "vocab"}
    assert words <= set(graph.axes)


@each_decoder
def test_every_backend_agrees_with_the_model_at_other_sizes(name: str, library: str) -> None:
    run, graph = converted(name, library)
    programs = {
        "numpy": gw.compile(graph, "numpy"),
        "jax": gw.compile(graph, "jax"),
        "torch": gw.compile(graph, "torch", mode="eager"),
        "onnx": gw.compile(graph, "onnx"),
    }
    ids = tokens(3, 11)
    wanted = np.asarray(jax.jit(lambda ids: run(ids))(ids)["logits"])
    for batch, seq in ((3, 11), (1, 1)):  # what comes first does not know what follows
        for backend, program in programs.items():
            found = np.asarray(program(ids=ids[:batch, :seq])["logits"])
            np.testing.assert_allclose(
                found, wanted[:batch, :seq], rtol=1e-4, atol=1e-5, err_msg=backend
            )


@each_decoder
def test_one_recipe_edits_them_all(name: str, library: str) -> None:
    _, graph = converted(name, library)
    ids = tokens(2, 5)
    base = np.asarray(gw.compile(graph, "numpy")(ids=ids)["logits"])
    same = graph.apply(p.Patch("blocks.1.attn.pattern", source="same"))
    again = gw.compile(same, "numpy")(ids=ids, same={"ids": ids})["logits"]
    np.testing.assert_allclose(again, base, rtol=1e-5, atol=1e-5)
    for edit in (
        p.Ablate("blocks.0.attn.z", where={"heads": 1}),
        p.Scale("blocks.1.attn.pattern", 0.5, where={"kv_seq": 0}),
        p.Scale("blocks.1.attn.k", 0.5, where={"kv_heads": 1}),
        p.Scale("blocks.0.mlp.post", 0.5),
    ):
        found = gw.compile(graph.apply(edit), "numpy")(ids=ids)["logits"]
        assert np.abs(np.asarray(found) - base).max() > 1e-6, edit
