"""Circuits, factored matrices and composition scores against the products written out."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import AxisError, SelectionError
from tests.models import zoo
from tests.passes.interventions.decoder import HEADS, WEIGHTS, WIDTH, Array, close, torch_graph

W = WEIGHTS
ORDER = ("heads", "source", "target")


def ov(layer: int) -> Array:
    v, o = W[f"h.{layer}.v.w"], W[f"h.{layer}.o.w"]
    rows = [slice(h * WIDTH, (h + 1) * WIDTH) for h in range(HEADS)]
    return np.stack([v[:, r] @ o[r] for r in rows])


def qk(layer: int) -> Array:
    q, k = W[f"h.{layer}.q.w"], W[f"h.{layer}.k.w"]
    rows = [slice(h * WIDTH, (h + 1) * WIDTH) for h in range(HEADS)]
    return np.stack([q[:, r] @ k[:, r].T for r in rows])


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 5))
def test_decompositions_are_those_of_the_product(seed: int, inner: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    a = gw.NamedArray(rng.standard_normal((2, rows, inner)), ("heads", "r", "k"))
    b = gw.NamedArray(rng.standard_normal((inner, 4)), ("k", "c"))
    found = p.FactoredMatrix(a, b, "k", "r", "c")
    whole = np.asarray(a) @ np.asarray(b)
    close(np.asarray(found.product()), whole)
    close(np.asarray(found.norm()), np.linalg.norm(whole, axis=(-1, -2)))
    svd = found.svd()
    u, s, v = (np.asarray(x) for x in (svd.u, svd.s, svd.v))
    close((u * s[:, None]) @ v, whole)
    wanted = np.linalg.svd(whole, compute_uv=False)
    close(s, wanted[..., : s.shape[-1]])
    close(np.asarray(found.T.product()), whole.swapaxes(-1, -2))


def test_eigenvalues_are_those_of_the_product() -> None:
    found = np.asarray(p.ov(torch_graph(), 0).eigenvalues())
    for head, whole in enumerate(ov(0)):
        wanted = sorted(np.linalg.eigvals(whole), key=abs)[-WIDTH:]
        for value in wanted:
            assert np.abs(found[head] - value).min() < 1e-9
    with pytest.raises(AxisError, match="no eigenvalues"):
        p.head_vocabulary(torch_graph(), 0).eigenvalues()


def test_circuits_are_the_products_of_weights() -> None:
    graph = torch_graph()
    for layer in (0, 1):
        close(np.asarray(p.ov(graph, layer).product().order(*ORDER)), ov(layer))
        close(np.asarray(p.qk(graph, layer).product().order(*ORDER)), qk(layer))
    said = p.head_vocabulary(graph, 1).product().order("heads", "source", "vocab")
    close(np.asarray(said), ov(1) @ W["head"])
    neurons = p.neuron_vocabulary(graph, 1).product().order("mlp", "vocab")
    close(np.asarray(neurons), W["h.1.down.w"] @ W["head"])


@pytest.mark.parametrize("kind", ["q", "k", "v"])
def test_composition_scores_are_the_formulas(kind: Literal["q", "k", "v"]) -> None:
    graph = torch_graph()
    reader = p.ov(graph, 1) if kind == "v" else p.qk(graph, 1)
    found = p.composition_scores(p.ov(graph, 0), reader, kind)
    second = {"q": qk(1), "k": qk(1).swapaxes(-1, -2), "v": ov(1)}[kind]
    for i, one in enumerate(ov(0)):
        for j, two in enumerate(second):
            norms = np.linalg.norm(one) * np.linalg.norm(two)
            close(np.asarray(found)[i, j], np.linalg.norm(one @ two) / norms)


def test_grouped_heads_share_values_and_rotary_models_have_no_one_qk() -> None:
    model, given_ = zoo.build("llama", "sdpa"), zoo.inputs("llama", (2, 5))
    graph = gw.from_torch(model, kwargs=given_, axes=zoo.axes("llama"))
    layer = model.model.layers[1].self_attn
    q, k, v, o = (
        getattr(layer, f"{name}_proj").weight.detach().double().numpy() for name in "qkvo"
    )
    found = np.asarray(p.ov(graph, 1).product().order(*ORDER))
    turned = np.asarray(p.qk(graph, 1, ignore_rotary=True).product().order(*ORDER))
    for head in range(4):
        own, group = slice(8 * head, 8 * head + 8), slice(8 * (head // 2), 8 * (head // 2) + 8)
        close(found[head], v[group].T @ o[:, own].T)
        close(turned[head], q[own].T @ k[group])
    with pytest.raises(SelectionError, match="distance of query and key"):
        p.qk(graph, 1)
    with pytest.raises(SelectionError, match="no attention"):
        p.ov(graph, 2)
