"""Parallel worlds: rewired, and linearized at one of them and evaluated at another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError, SelectionError
from tests.passes.interventions.decoder import (
    IDS,
    ONES,
    OTHER,
    THIRD,
    WEIGHTS,
    Array,
    both,
    close,
    hooked,
    torch_graph,
)

SITE, Z = "blocks.0.resid_post", "blocks.1.attn.z"
STACK = np.stack([IDS, OTHER, THIRD])
NAMES = ("clean", "cut", "mixed")


def worlds(graph: gw.Graph, *passes: Any, stack: Array = STACK) -> Array:
    """Logits of all worlds, (worlds, batch, seq, vocab)."""
    new = graph.apply(p.Worlds("input_ids"), *passes)
    out = gw.compile(new, "numpy")(input_ids=stack, attention_mask=ONES)["logits"]
    return np.asarray(out.array)


@both
def test_worlds_are_runs_side_by_side(graph: Any) -> None:
    found = worlds(graph())
    for world, ids in enumerate(STACK):
        close(found[world], hooked(ids)["logits"])


@both
def test_paths_between_worlds_are_rewired(graph: Any) -> None:
    weights = p.taking(NAMES, {"cut": None, "mixed": {"clean": 0.25, "cut": 2.0}})
    np.testing.assert_array_equal(weights, [[1, 0, 0], [0, 0, 0], [0.25, 2.0, 0]])
    found = worlds(graph(), p.Rewire(SITE, weights))
    base = [hooked(ids)[SITE] for ids in STACK]
    for world, ids in enumerate(STACK):
        mixed = sum(w * x for w, x in zip(weights[world], base, strict=True))
        close(found[world], hooked(ids, None, {SITE: lambda _, m=mixed: m})["logits"])


@pytest.mark.parametrize("backend", ["numpy", "onnx", "jax", "torch"])
def test_a_mask_with_worlds_makes_them(backend: str) -> None:
    length = IDS.shape[1]
    mask = gw.NamedArray(np.eye(length, dtype=bool), ("worlds", "seq"))
    patch = p.Patch(SITE, source="other", where={"seq": p.Mask(mask)})
    given = {"attention_mask": ONES, "other": {"input_ids": OTHER, "attention_mask": ONES}}
    found = gw.compile(torch_graph().apply(patch), backend)(input_ids=IDS, **given)["logits"]
    base = hooked(OTHER)[SITE]
    for world in range(length):
        mixed = hooked(IDS)[SITE].copy()
        mixed[:, world] = base[:, world]
        wanted = hooked(IDS, None, {SITE: lambda _, m=mixed: m})["logits"]
        close(np.asarray(found[{"worlds": world}]), wanted)


def test_weights_may_differ_along_axes_of_the_site_and_hold_at_positions() -> None:
    weights = np.random.default_rng(0).standard_normal((3, 3, 2))
    named = gw.NamedArray(weights, ("worlds", "sources", "heads"))
    found = worlds(torch_graph(), p.Rewire(Z, named, where={"seq": 2}))
    base = np.stack([hooked(ids)[Z] for ids in STACK])
    mixed = np.einsum("dsh,sbqhe->dbqhe", weights, base)
    for world, ids in enumerate(STACK):

        def at_two(z: Array, world: int = world) -> Array:
            z[:, 2] = mixed[world][:, 2]
            return z

        close(found[world], hooked(ids, None, {Z: at_two})["logits"])


def test_worlds_rewired_are_direct_effects_of_a_patch() -> None:
    """The world `cut` is patched at a site; the logits of `mixed` see it past block 1 alone."""
    paths = [
        p.Rewire("blocks.0.resid_mid", p.taking(NAMES, {"cut": "cut", "mixed": "clean"})),
        p.Rewire("blocks.1.attn.out", p.taking(NAMES, {"mixed": "cut"})),
    ]
    found = worlds(torch_graph(), *paths)
    cut, clean = hooked(OTHER), hooked(IDS)
    hooks = {
        "blocks.0.resid_mid": lambda _: clean["blocks.0.resid_mid"],
        "blocks.1.attn.out": lambda _: cut["blocks.1.attn.out"],
    }
    close(found[2], hooked(THIRD, None, hooks)["logits"])


def mlp(x: Array, i: int = 1) -> Array:
    w = {name: WEIGHTS[f"h.{i}.{name}"] for name in ("up.w", "up.b", "down.w", "down.b")}
    return np.asarray(np.maximum(x @ w["up.w"] + w["up.b"], 0) @ w["down.w"] + w["down.b"])


def expansion(p: Array, e: Array) -> Array:
    """f(p) + Jf(p) (e - p) of the second MLP: a relu is linear where its gates are fixed."""
    up, down = WEIGHTS["h.1.up.w"], WEIGHTS["h.1.down.w"]
    gate = p @ up + WEIGHTS["h.1.up.b"] > 0
    return mlp(p) + (((e - p) @ up) * gate) @ down


@both
def test_linearized_at_one_world_and_evaluated_at_the_others(graph: Any) -> None:
    line = p.Linearize("blocks.1.mlp", at=lambda x: x[{"worlds": 0}])
    found = worlds(graph(), line)
    point = hooked(IDS)["blocks.1.mlp.in"]
    for world, ids in enumerate(STACK):
        there = hooked(ids)["blocks.1.mlp.in"]
        hooks = {"blocks.1.mlp.out": lambda _, e=there: expansion(point, e)}
        close(found[world], hooked(ids, None, hooks)["logits"])


def test_linearized_at_x_and_evaluated_at_another_run_or_function() -> None:
    other = hooked(OTHER)["blocks.1.mlp.in"]
    for line, evaluated in (
        (p.Linearize("blocks.1.mlp", at=lambda x: x, evaluate="clean"), lambda x: other),
        (p.Linearize("blocks.1.mlp", at="clean"), None),
        (p.Linearize("blocks.1.mlp", at=lambda x: x, evaluate=lambda x: x * 2.0), lambda x: 2 * x),
    ):
        graph = torch_graph().apply(line)
        needs = {"clean": {"input_ids": OTHER, "attention_mask": ONES}}
        more = needs if any(port.name.startswith("clean") for port in graph.inputs) else {}
        found = gw.compile(graph, "numpy")(input_ids=IDS, attention_mask=ONES, **more)["logits"]
        x = hooked(IDS)["blocks.1.mlp.in"]
        out = expansion(x, evaluated(x)) if evaluated else expansion(other, x)
        hooks = {"blocks.1.mlp.out": lambda _, out=out: out}
        close(np.asarray(found), hooked(IDS, None, hooks)["logits"])


def test_worlds_that_are_not_there_are_refused() -> None:
    eye, two = np.eye(3), p.Worlds("input_ids", size=2)
    no_sources = gw.NamedArray(np.ones((3, 8)), ("worlds", "embed"))
    for passes, error, words in (
        ([p.Rewire(SITE, eye)], SelectionError, "no axis 'worlds'"),
        ([p.Worlds("ids")], InputError, "'input_ids'"),
        ([two, p.Rewire(SITE, eye)], InputError, "size 2"),
        ([two, p.Worlds("attention_mask", size=3)], InputError, "already"),
        ([p.Worlds("input_ids", "input_ids")], InputError, "already"),
        ([p.Worlds("input_ids"), p.Rewire(SITE, no_sources)], InputError, "'sources'"),
    ):
        with pytest.raises(error, match=words):
            torch_graph().apply(*passes)
    with pytest.raises(InputError, match="no world 'clen'"):
        p.taking(NAMES, {"cut": "clen"})
    graph = torch_graph().apply(p.Worlds("input_ids"), p.Rewire(SITE, eye))
    with pytest.raises(InputError, match="worlds"):
        gw.compile(graph, "numpy")(input_ids=STACK[:2], attention_mask=ONES)
