"""Weights edited: by the passes of activations, by a rank-one update, untied."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError, RewriteError, SelectionError
from graftwork.passes.recipe import load_recipe, save_recipe
from tests.passes.interventions.decoder import (
    EMBED,
    HIDDEN,
    IDS,
    WEIGHTS,
    Array,
    close,
    hooked,
    jax_graph,
    logits,
)

DOWN = "h.1.down.w"
RNG = np.random.default_rng(6)
KEY, VALUE = RNG.standard_normal(HIDDEN), RNG.standard_normal(EMBED)


def with_weight(name: str, weight: Array) -> Array:
    return hooked(IDS, weights={**WEIGHTS, name: weight})["logits"]


def edited(*passes: Any) -> Array:
    return logits(jax_graph().apply(*passes))


def test_passes_of_activations_edit_weights() -> None:
    at = gw.Selector(parameter=DOWN)
    weight = WEIGHTS[DOWN]
    some = weight.copy()
    some[3] = 0
    new = RNG.standard_normal(weight.shape)
    for edit, expected in (
        (p.Ablate(at, where={"mlp": 3}), some),
        (p.Scale(at, -2.0), -2.0 * weight),
        (p.Patch(at, value=new), new),
        (p.Steer(at, VALUE, scale=0.5), weight + 0.5 * VALUE),
        (p.Map(at, lambda w: w * w), weight * weight),
    ):
        close(edited(edit), with_weight(DOWN, expected))
    graph = jax_graph().apply(p.Scale(gw.Selector(parameter="h.*.down.w", count=2), 0.0))
    zeros = {name: 0 * WEIGHTS[name] for name in ("h.0.down.w", DOWN)}
    close(logits(graph), hooked(IDS, weights={**WEIGHTS, **zeros})["logits"])
    assert graph.params[DOWN] is jax_graph().params[DOWN]


@pytest.mark.parametrize("covariance", [False, True])
def test_a_rank_one_edit_sends_a_key_to_a_value(covariance: bool, tmp_path: Any) -> None:
    root = RNG.standard_normal((HIDDEN, HIDDEN))
    c = root @ root.T if covariance else None
    u = np.linalg.solve(np.eye(HIDDEN) if c is None else c, KEY)
    weight = WEIGHTS[DOWN].T
    wanted = weight + np.outer(VALUE - weight @ KEY, u) / (KEY @ u)
    np.testing.assert_allclose(wanted @ KEY, VALUE, atol=1e-9)
    edit = p.RankOne(DOWN, KEY, VALUE, c)
    np.testing.assert_allclose(edited(edit), with_weight(DOWN, wanted.T), rtol=1e-9, atol=1e-9)
    save_recipe([edit], tmp_path / "recipe")
    assert load_recipe(tmp_path / "recipe") == [edit]


class Tied(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte = torch.nn.Embedding(7, 4)
        self.head = torch.nn.Linear(4, 7, bias=False)
        self.head.weight = self.wte.weight

    def forward(self, ids: Any) -> Any:
        return self.head(torch.tanh(self.wte(ids)))


@cache
def tied() -> tuple[Array, gw.Graph]:
    torch.manual_seed(0)
    model = Tied().double()
    graph = gw.from_torch(model, torch.tensor(IDS % 7), axes={0: "batch seq"})
    return model.wte.weight.detach().numpy(), graph


@pytest.mark.parametrize("name", ["head.weight", "wte.weight"])
def test_an_edit_of_a_tied_weight_is_refused_until_it_is_untied(name: str) -> None:
    weight, graph = tied()
    edit = p.Scale(gw.Selector(parameter=name), 2.0)
    with pytest.raises(RewriteError, match=r"'wte\.weight' and 'head\.weight'.*Untie"):
        graph.apply(edit)
    apart = graph.apply(p.Untie(name))
    assert {q.name for q in apart.parameters} == {"wte.weight", "head.weight"}
    ids = IDS % 7

    def run(graph: gw.Graph) -> Array:
        return np.asarray(gw.compile(graph, "numpy")(ids=ids)["output"])

    np.testing.assert_array_equal(run(apart), run(graph))
    scaled = {"head.weight": weight, "wte.weight": weight, name: 2 * weight}
    expected = np.tanh(scaled["wte.weight"][ids]) @ scaled["head.weight"].T
    close(run(apart.apply(edit)), expected)


def test_weights_that_do_not_fit_are_refused() -> None:
    for edit, error, words in (
        (p.Scale(gw.Selector(parameter="h.1.dwn.w"), 2.0), SelectionError, "'h.1.down.w'"),
        (p.RankOne("h.1.down.b", KEY, VALUE), SelectionError, "linear maps"),
        (p.RankOne(DOWN, VALUE, VALUE), InputError, "8 along 'mlp'"),
        (p.RankOne(DOWN, 0 * KEY, VALUE), InputError, "not 0"),
        (p.Untie("wte"), SelectionError, "'wte' is read in several places"),
        (p.Scale(gw.Selector("blocks.*.mlp.post", nth=2), 2.0), SelectionError, "no place 2"),
    ):
        with pytest.raises(error, match=words):
            jax_graph().apply(edit)


def test_one_of_several_places_is_selected_by_position() -> None:
    found = edited(p.Ablate(gw.Selector("blocks.*.mlp.post", nth=-1)))
    close(found, hooked(IDS, None, {"blocks.1.mlp.post": lambda x: 0 * x})["logits"])
