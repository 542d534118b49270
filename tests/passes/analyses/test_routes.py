"""Contributions and routes against the formulas of Ferrando and Voita (2024)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError
from graftwork.passes.analyses.routes import kept
from tests.passes.interventions.decoder import (
    HEADS,
    IDS,
    ONES,
    WEIGHTS,
    WIDTH,
    Array,
    close,
    hooked,
    jax_graph,
    torch_graph,
)


def run(graph: gw.Graph, backend: str = "numpy") -> dict[str, gw.NamedArray]:
    return dict(gw.compile(graph, backend)(input_ids=IDS, attention_mask=ONES))


def near(part: Array, whole: Array, norm: int) -> Array:
    def size(x: Array) -> Array:
        return np.asarray((np.abs(x) ** norm).sum(-1) ** (1 / norm))

    return np.maximum(size(whole) - size(part - whole), 0)


def formula(layer: int, norm: int) -> dict[str, Array]:
    seen, block = hooked(IDS), f"blocks.{layer}"
    mid, end = seen[f"{block}.resid_mid"], seen[f"{block}.resid_post"]
    heads = []
    for h in range(HEADS):
        rows = WEIGHTS[f"h.{layer}.o.w"][h * WIDTH : (h + 1) * WIDTH]
        sent = seen[f"{block}.attn.v"][:, :, h] @ rows
        moved = seen[f"{block}.attn.pattern"][:, h, :, :, None] * sent[:, None]
        heads.append(near(moved, mid[:, :, None], norm))
    before = near(seen[f"{block}.resid_pre"], mid, norm)
    attn = np.stack(heads, 1)
    total = before + attn.sum((1, 3))
    parts = {f"{block}.resid_pre": before / total, f"{block}.attn": attn / total[:, None, :, None]}
    rest, mlp = near(mid, end, norm), near(seen[f"{block}.mlp.out"], end, norm)
    return parts | {f"{block}.resid_mid": rest / (rest + mlp), f"{block}.mlp": mlp / (rest + mlp)}


@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("graph", [torch_graph, jax_graph], ids=["torch", "jax"])
def test_contributions_are_the_formula(graph: Any, norm: Any) -> None:
    found = run(graph().apply(p.Contributions(norm)))
    for layer in (0, 1):
        for name, wanted in formula(layer, norm).items():
            close(np.asarray(found[f"flow.{name}"]), wanted)
    future = np.triu(np.ones((5, 5), bool), 1)
    assert (np.asarray(found["flow.blocks.0.attn"])[..., future] == 0).all()


@pytest.mark.parametrize("backend", ["jax", pytest.param("torch", marks=pytest.mark.all), "onnx"])
def test_every_backend_gives_the_same(backend: str) -> None:
    graph = torch_graph().apply(p.Contributions())
    wanted = run(graph)
    for name, array in run(graph, backend).items():
        close(np.asarray(array), np.asarray(wanted[name]))


def test_what_is_above_the_threshold_is_divided_by_what_is_left() -> None:
    parts = {"x": np.array([0.2, 0.1]), "attn": np.array([[[0.5, 0.3]], [[0.2, 0.1]]])}
    found = kept(parts, 0.25, renormalize=True)
    close(found["x"], np.zeros(2))
    close(found["attn"], np.array([[[0.625, 0.375]], [[0.0, 0.0]]]))


def test_routes_hold_every_edge_above_the_threshold() -> None:
    out = run(torch_graph().apply(p.Contributions()))
    for example in range(3):
        found = p.routes(out, -1, batch=example, threshold=0.03)
        wanted: dict[Any, float] = {}
        needed = {4}
        for layer in (1, 0):
            block, parts = f"blocks.{layer}", formula(layer, 1)
            share = {k: v[example] for k, v in parts.items()}
            following = "blocks.1.resid_post" if layer else "blocks.1.resid_pre"
            mids: set[int] = set()
            for at in needed:
                both = [share[f"{block}.resid_mid"][at], share[f"{block}.mlp"][at]]
                both = [x if x > 0.03 else 0 for x in both]
                for name, weight in zip(("resid_mid", "mlp"), both, strict=True):
                    if weight:
                        mids.add(at)
                        edge = (f"{block}.{name}", at), (following, at)
                        wanted[edge] = weight / sum(both)
                        if name == "mlp":
                            wanted[(f"{block}.resid_mid", at), edge[0]] = weight / sum(both)
            needed = set()
            for at in mids:
                rest, attn = share[f"{block}.resid_pre"][at], share[f"{block}.attn"][:, at]
                attn, rest = np.where(attn > 0.03, attn, 0), rest if rest > 0.03 else 0
                for key in range(5):
                    weight = attn[:, key].sum() + (rest if key == at else 0)
                    if weight:
                        needed.add(key)
                        edge = (f"{block}.resid_pre", key), (f"{block}.resid_mid", at)
                        wanted[edge] = weight / (rest + attn.sum())
        got = {(a, b): w for a, b, w in found.edges(data="weight")}
        assert set(got) == set(wanted)
        for edge, weight in wanted.items():
            assert abs(got[edge] - weight) < 1e-10
        assert found.graph["root"] == ("blocks.1.resid_post", 4)


def test_nothing_above_the_threshold_is_a_root_alone() -> None:
    out = run(torch_graph().apply(p.Contributions()))
    assert len(p.routes(out, 2, threshold=1.0)) == 1
    whole = p.routes(out, 2, threshold=0.5, renormalize=False)
    assert all(weight > 0.5 for *_, weight in whole.edges(data="weight"))
    for wrong in ({"position": 5}, {"position": 0, "batch": 3}):
        with pytest.raises(InputError, match="outside"):
            p.routes(out, **wrong)
    with pytest.raises(InputError, match="no outputs"):
        p.routes({}, 0)
