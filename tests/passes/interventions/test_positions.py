"""Every kind of position against numpy indexing, in a decoder with padding on either side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError, SelectionError
from graftwork.passes.recipe import load_recipe, save_recipe
from tests.passes.interventions.decoder import (
    EMBED,
    IDS,
    VECTOR,
    Array,
    clean,
    close,
    hooked,
    jax_graph,
    logits,
    torch_graph,
)

RIGHT = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
LEFT = RIGHT[:, ::-1].copy()
SITE = "blocks.0.resid_post"


def steered(where: Any) -> gw.Graph:
    return torch_graph().apply(p.Steer(SITE, VECTOR, where=where))


def at(mask: Array) -> Any:
    """The oracle: the vector added where a boolean (batch, seq) array holds."""
    return {SITE: lambda x: x + mask[..., None] * VECTOR}


def expected(mask: Array, padding: Array | None = None) -> Array:
    return hooked(IDS, padding, at(mask))["logits"]


@pytest.mark.parametrize("padding", [RIGHT, LEFT], ids=["right", "left"])
def test_the_last_real_token_under_padding(padding: Array) -> None:
    last = np.array([np.flatnonzero(row).max() for row in padding])
    mask = np.arange(5) == last[:, None]
    graph = steered({"seq": p.LastReal()})
    close(logits(graph, IDS, padding), expected(mask, padding))


@pytest.mark.parametrize("graph", [torch_graph, jax_graph])
def test_tokens_are_found_in_an_input(graph: Any) -> None:
    ids = np.array([[4, 7, 4, 2, 7], [1, 1, 1, 1, 1], [7, 3, 3, 4, 2]])
    for tokens, mask in (
        (p.Tokens([4, 2]), np.isin(ids, [4, 2])),
        (p.Tokens(7), ids == 7),
        (p.Tokens(4, nth=0), np.array([[1, 0, 0, 0, 0], [0] * 5, [0, 0, 0, 1, 0]], bool)),
        (p.Tokens((4, 7), nth=-1), np.array([[0, 0, 0, 0, 1], [0] * 5, [0, 0, 0, 1, 0]], bool)),
        (p.Tokens((4, 7), nth=1), np.array([[0, 1, 0, 0, 0], [0] * 5, [0, 0, 0, 1, 0]], bool)),
    ):
        found = logits(graph().apply(p.Steer(SITE, VECTOR, where={"seq": tokens})), ids)
        close(found, hooked(ids, None, at(mask))["logits"])


def test_tokens_select_keys_too() -> None:
    ids = np.array([[4, 7, 4, 2, 7], [1, 1, 1, 1, 1], [7, 3, 3, 4, 2]])
    where = {"kv_seq": p.Tokens(7), "heads": 1}
    graph = torch_graph().apply(p.Scale("blocks.1.attn.pattern", 0.5, where=where))

    def hook(pattern: Array) -> Array:
        pattern[:, 1] *= np.where(ids == 7, 0.5, 1.0)[:, None]
        return pattern

    close(logits(graph, ids), hooked(ids, None, {"blocks.1.attn.pattern": hook})["logits"])


def test_positions_come_with_each_run() -> None:
    graph = steered({"seq": p.Positions("where")})
    assert [port.name for port in graph.inputs][-1] == "where"
    mask = np.arange(5) == np.array([0, 4, 2])[:, None]
    close(logits(graph, where=np.array([0, -1, 2])), expected(mask))
    several = steered({"seq": p.Positions("where", count=2)})
    mask = np.array([[1, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0] * 5], bool)
    close(logits(several, where=np.array([[0, 1], [3, 5], [5, 5]])), expected(mask))


def test_passes_share_positions_of_one_name() -> None:
    where = {"seq": p.Positions("where")}
    graph = torch_graph().apply(
        p.Ablate("blocks.0.attn.z", where={**where, "heads": 0}),
        p.Patch(SITE, where=where, source="clean"),
    )
    other = hooked(clean()["input_ids"])[SITE]

    def zero(z: Array) -> Array:
        z[range(3), [1, 2, 3], 0] = 0
        return z

    def patch(x: Array) -> Array:
        x[range(3), [1, 2, 3]] = other[range(3), [1, 2, 3]]
        return x

    wanted = hooked(IDS, None, {"blocks.0.attn.z": zero, SITE: patch})["logits"]
    close(logits(graph, clean=clean(), where=np.array([1, 2, 3])), wanted)


def test_masks_are_given_now_or_with_each_run() -> None:
    columns = np.array([True, False] * (EMBED // 2))
    graph = steered({"embed": p.Mask(columns)})
    wanted = hooked(IDS, None, {SITE: lambda x: x + np.where(columns, VECTOR, 0)})["logits"]
    close(logits(graph), wanted)
    both = np.random.default_rng(0).random((3, 5)) < 0.5
    named = gw.NamedArray(both, ("batch", "seq"))
    close(logits(steered({"seq": p.Mask(named)})), expected(both))
    close(logits(steered({"seq": p.Mask("here")}), here=both), expected(both))
    close(logits(steered({"seq": p.Mask("attention_mask")}), IDS, LEFT), expected(LEFT != 0, LEFT))
    with pytest.raises(InputError, match="'seq'"):
        logits(steered({"seq": p.Mask(np.array([True, False, True]))}))


def test_a_basis_confines_an_edit_to_its_span() -> None:
    rows = np.linalg.qr(np.random.default_rng(2).standard_normal((EMBED, 3)))[0].T
    other = hooked(clean()["input_ids"])[SITE]
    graph = torch_graph().apply(
        p.Patch(SITE, where={"embed": p.Basis(rows), "seq": 3}, source="clean"),
        p.Ablate("blocks.1.mlp.in", where={"embed": p.Basis(rows[0])}),
        p.Scale("blocks.1.attn.z", 3.0, where={"head_dim": p.Basis(np.eye(4)[:2])}),
    )

    def patch(x: Array) -> Array:
        x[:, 3] += (other - x)[:, 3] @ rows.T @ rows
        return x

    def double(z: Array) -> Array:
        z[..., :2] *= 3
        return z

    hooks = {
        SITE: patch,
        "blocks.1.mlp.in": lambda x: x - np.outer(x @ rows[0], rows[0]).reshape(x.shape),
        "blocks.1.attn.z": double,
    }
    close(logits(graph, clean=clean()), hooked(IDS, None, hooks)["logits"])


def test_parts_of_a_basis_edit_apart_and_add_up() -> None:
    rotation = np.linalg.qr(np.random.default_rng(3).standard_normal((EMBED, EMBED)))[0].T
    parts = [
        p.Patch(SITE, where={"embed": p.Basis(rows)}, source="clean")
        for rows in (rotation[:2], rotation[2:5], rotation[5:])
    ]
    whole = torch_graph().apply(p.Patch(SITE, source="clean"))
    close(logits(torch_graph().apply(*parts), clean=clean()), logits(whole, clean=clean()))


def test_arrays_lie_along_a_sites_axes_in_the_order_of_its_word() -> None:
    pattern = np.random.default_rng(4).random((2, 5, 5))
    hooks = {"blocks.0.attn.pattern": lambda x: np.broadcast_to(pattern, x.shape)}
    for graph in (torch_graph(), jax_graph()):
        found = logits(graph.apply(p.Patch("blocks.0.attn.pattern", value=pattern)))
        close(found, hooked(IDS, None, hooks)["logits"])


@pytest.mark.parametrize(
    ("site", "where", "words"),
    [
        (SITE, {"embed": 8}, "outside of 'embed' of size 8"),
        (SITE, {"embed": -9}, "outside of 'embed' of size 8"),
        (SITE, {"embed": []}, "no position"),
        (SITE, {"embed": slice(5, 2)}, "selects nothing"),
        (SITE, {"embed": slice(8, None)}, "selects nothing"),
        (SITE, {"embed": slice(None, None, -1)}, "go forward"),
        (SITE, {"embed": 2.0}, "positions are integers"),
        (SITE, {"embed": [True, False]}, r"Mask\("),
        (SITE, {"heads": 0}, "no axis 'heads'"),
        (SITE, {"seq": p.Tokens(())}, "no tokens"),
        (SITE, {"seq": p.Tokens(1, input="input_id")}, "did you mean 'input_ids'"),
        (SITE, {"embed": p.Tokens(1)}, "as long"),
        (SITE, {"embed": p.LastReal()}, "as long"),
        (SITE, {"seq": p.LastReal("mask")}, "did you mean 'attention_mask'"),
        (SITE, {"embed": p.Mask(np.zeros(8, bool))}, "true somewhere"),
        (SITE, {"embed": p.Mask(np.ones(8))}, "booleans"),
        (SITE, {"seq": p.Positions("input_ids")}, "no positions"),
    ],
)
def test_bad_positions_are_refused_before_anything_runs(site: str, where: Any, words: str) -> None:
    with pytest.raises((SelectionError, InputError), match=words):
        torch_graph().apply(p.Scale(site, 2.0, where=where))


def test_bad_bases_and_masks_that_do_not_fit_are_refused() -> None:
    for holds in (p.Mask(np.ones(7, bool)), p.Basis(np.ones(8)), p.Basis(np.eye(7))):
        with pytest.raises(InputError):
            torch_graph().apply(p.Scale(SITE, 2.0, where={"embed": holds}))


@pytest.mark.parametrize("where", [{"seq": 5}, {"seq": -6}, {"seq": slice(5, None)}])
def test_a_run_that_is_too_short_for_a_position_is_refused(where: Any) -> None:
    graph = torch_graph().apply(p.Scale(SITE, 2.0, where=where))
    longer = np.tile(IDS, (1, 2))
    assert np.abs(logits(graph, longer) - logits(torch_graph(), longer)).max() > 1e-3
    with pytest.raises(InputError, match=r"seq = 5 must be at least 6 \(Scale edits"):
        logits(graph)


def test_recipes_hold_all_kinds_of_positions(tmp_path: Any) -> None:
    recipe = [
        p.Scale(SITE, 2.0, where={"seq": at, "embed": (1, 2)})
        for at in (
            p.Positions("where", 2), p.Tokens((3, 4), nth=-1), p.LastReal(), p.Mask("given"),
            p.Mask(np.array([True, True, False, True, False])),
            p.Mask(gw.NamedArray(np.ones((3, 5), bool), ("batch", "seq"))), -1, slice(1, 3),
        )
    ]  # fmt: skip
    recipe.append(p.Ablate(SITE, where={"embed": p.Basis(np.eye(8)[:2])}))
    save_recipe(recipe, tmp_path / "recipe")
    back = load_recipe(tmp_path / "recipe")
    assert back == recipe
    more = {"where": np.array([[0, 1], [1, 2], [3, 3]]), "given": np.ones((3, 5), bool)}
    close(logits(torch_graph().apply(*recipe), **more), logits(jax_graph().apply(*back), **more))
