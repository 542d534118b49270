"""Random recipes over random sites: the graph against a step-by-step oracle in numpy.

The oracle keeps a list of hooks for each site, in the order of the recipe; what reads another run
reads it from an oracle's run of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from attrs import frozen
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import graftwork as gw
from graftwork import passes as p
from graftwork.ir import ops
from graftwork.ir.errors import UnreachableEditError
from graftwork.ir.vocabulary import roles_of
from graftwork.passes.recipe import load_recipe, save_recipe
from tests.passes.interventions.decoder import (
    IDS,
    LAYERS,
    ONES,
    OTHER,
    Array,
    clean,
    close,
    hooked,
    jax_graph,
    torch_graph,
)

SIZES = {"heads": 2, "kv_heads": 2, "head_dim": 4, "embed": 8, "mlp": 16, "seq": 5, "kv_seq": 5}
WORDS = (
    "resid_pre", "attn.in", "attn.q", "attn.k", "attn.v", "attn.pattern", "attn.z",
    "attn.out", "resid_mid", "mlp.in", "mlp.pre", "mlp.post", "mlp.out", "resid_post",
)  # fmt: skip
SITES = [f"blocks.{i}.{word}" for i in range(LAYERS) for word in WORDS] + ["embed", "final_norm"]
PADDING = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]])
GIVEN = np.array([1, 4, 2])


@frozen
class Step:
    """A pass, and what it does: activation, the other run's activation -> activation."""

    edit: Any
    site: str
    hook: Callable[[Array, Array], Array]


def axes(site: str) -> tuple[str, ...]:
    """The order in which the oracle holds a site's axes."""
    return roles_of(site)


@st.composite
def places(draw: Any, site: str) -> tuple[dict[str, Any], Array]:
    """Positions in words, and as booleans that broadcast against the oracle's array."""
    names = axes(site)
    chosen = draw(st.lists(st.sampled_from(names[1:]), max_size=2, unique=True))
    where: dict[str, Any] = {}
    holds = np.ones([3, *[1] * (len(names) - 1)], bool)
    for axis in chosen:
        size = SIZES[axis]
        along = np.zeros((3, size), bool)
        kinds = ["int", "list", "slice", "mask"]
        if axis in ("seq", "kv_seq"):
            kinds += ["last", "tokens", "given"]
        kind = draw(st.sampled_from(kinds))
        if kind == "int":
            where[axis] = draw(st.integers(-size, size - 1))
            along[:, where[axis]] = True
        elif kind == "list":
            where[axis] = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=3))
            along[:, where[axis]] = True
        elif kind == "slice":
            start = draw(st.integers(0, size - 1))
            where[axis] = slice(start, draw(st.integers(start + 1, size)))
            along[:, where[axis]] = True
        elif kind == "mask":
            mask = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)))
            mask[draw(st.integers(0, size - 1))] = True
            where[axis], along = p.Mask(mask), np.tile(mask, (3, 1))
        elif kind == "last":
            where[axis] = p.LastReal()
            along[range(3), [3, 4, 4]] = True
        elif kind == "tokens":
            where[axis] = p.Tokens([1, 2, 3, 4, 5])
            along = IDS < 6
        else:
            where[axis] = p.Positions("given")
            along[range(3), GIVEN] = True
        shape = [3, *(size if a == axis else 1 for a in names[1:])]
        holds = holds & along.reshape(shape)
    return where, holds


def oracle_site(site: str) -> str:
    """What a block starts with is what the one before it ends with."""
    return "blocks.0.resid_post" if site == "blocks.1.resid_pre" else site


@st.composite
def steps(draw: Any) -> Step:
    site = draw(st.sampled_from(SITES))
    where, holds = draw(places(site))
    last = axes(site)[-1]
    number = draw(st.sampled_from([-1.0, 0.5, 2.0]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    vector = rng.standard_normal(SIZES[last])
    rows = np.linalg.qr(rng.standard_normal((SIZES[last], 2)))[0].T
    options: list[tuple[Any, Callable[[Array, Array], Array]]] = [
        (p.Ablate(site, where), lambda x, y: 0 * x),
        (p.Ablate(site, where, mean=(last,)), lambda x, y: x.mean(-1, keepdims=True)),
        (p.Scale(site, number, where), lambda x, y: number * x),
        (
            p.Steer(site, gw.NamedArray(vector, (last,)), number, where),
            lambda x, y: x + number * vector,
        ),
        (p.Map(site, lambda x: ops.tanh(x) * 0.5, where), lambda x, y: np.tanh(x) * 0.5),
        (p.Patch(site, where, "clean"), lambda x, y: y),
        (p.Steer(site, None, number, where, source="clean"), lambda x, y: x + number * y),
        (p.Map(site, lambda x, y: x * y, where, source="clean"), lambda x, y: x * y),
    ]
    if last not in where:
        inside = {**where, last: p.Basis(rows)}
        options.append((p.Patch(site, inside, "clean"), lambda x, y: x + (y - x) @ rows.T @ rows))
    edit, new = draw(st.sampled_from(options))
    return Step(edit, oracle_site(site), lambda x, y: np.where(holds, new(x, y), x))


def expected(recipe: list[Step]) -> Array:
    other = hooked(OTHER)
    hooks: dict[str, list[Any]] = {}
    for step in recipe:
        hooks.setdefault(step.site, []).append(lambda x, s=step: s.hook(x, other[s.site]))
    return hooked(IDS, PADDING, hooks)["logits"]


def run(graph: gw.Graph, edits: Any, backend: str = "numpy") -> Array:
    new = graph.apply(*edits)
    given = {"clean": clean(OTHER), "second": clean(IDS), "given": GIVEN}
    words = {port.name.partition(".")[0] for port in new.inputs}
    options = {"mode": "eager"} if backend == "torch" else {}
    program = gw.compile(new, backend, **options)
    more = {name: value for name, value in given.items() if name in words}
    return np.asarray(program(input_ids=IDS, attention_mask=PADDING, **more)["logits"])


@pytest.mark.parametrize("graph", [torch_graph, jax_graph], ids=["torch", "jax"])
@given(recipe=st.lists(steps(), min_size=1, max_size=5))
@settings(max_examples=30)
def test_random_recipes_do_what_numpy_does_step_by_step(graph: Any, recipe: list[Step]) -> None:
    try:
        found = run(graph(), [step.edit for step in recipe])
    except UnreachableEditError:
        reject()
    wanted = expected(recipe)
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(found / scale, wanted / scale, rtol=1e-8, atol=1e-9)


RNG = np.random.default_rng(8)
W_E, W_D = RNG.standard_normal((8, 12)), RNG.standard_normal((12, 8))
ROWS = np.linalg.qr(RNG.standard_normal((8, 3)))[0].T
RECIPES: dict[str, list[Any]] = {
    "positions": [
        p.Scale("blocks.0.resid_mid", 2.0, {"seq": p.LastReal()}),
        p.Scale("blocks.0.mlp.out", 2.0, {"seq": p.Tokens([1, 2, 3], nth=-1)}),
        p.Ablate("blocks.1.attn.z", {"seq": p.Positions("given"), "heads": [1]}),
        p.Patch("blocks.0.resid_post", {"embed": p.Basis(ROWS), "seq": 2}, "clean"),
        p.Ablate("blocks.1.mlp.post", {"mlp": p.Mask(np.arange(16) % 3 == 0)}),
    ],
    "runs": [
        p.In("second", p.Patch("blocks.0.attn.z", source="clean", where={"heads": 0})),
        p.Patch(
            "blocks.1.resid_mid", {"seq": [1, 3]}, "second", source_site="blocks.0.resid_post",
            source_where={"seq": [2, 0]},
        ),
        p.Steer("blocks.0.mlp.out", source="clean", scale=-1.0, source_where={"seq": p.LastReal()}),
    ],
    "attention": [
        p.KnockOutHeads("blocks.0.attn.pattern", {"heads": 1}, keep=0.25),
        p.KnockOutEdges("blocks.1.attn.pattern", {"seq": 3, "kv_seq": [0, 1], "heads": 0}),
        p.KnockOutEdges("blocks.1.attn.scores", {"seq": 4, "kv_seq": 2}),
        p.Steer("embed", np.arange(8.0)),
        p.Freeze("blocks.0.attn.pattern"),
        p.FreezeNorms("blocks.1.attn.in"),
    ],
    "stretches": [
        p.Splice("blocks.0.resid_post", W_E, W_D, k=4, error=True, where={"seq": slice(1, 4)}),
        p.Ablate("blocks.0.resid_post.sae.latents", {"latents": [0, 3, 7]}),
        p.Skip("blocks.1.attn", {"seq": 1}),
        p.Linearize("blocks.1.mlp", at=lambda x: x * 0.5),
        p.RankOne("h.1.down.w", np.ones(16), np.ones(8)),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_mean_the_same_from_both_frameworks_through_disk(name: str, tmp_path: Any) -> None:
    recipe = [step for step in RECIPES[name] if not isinstance(step, p.RankOne)]  # names differ
    save_recipe(recipe, tmp_path / "recipe")
    back = load_recipe(tmp_path / "recipe")
    graphs = torch_graph(), jax_graph()
    found = [run(graph, steps) for graph in graphs for steps in (recipe, back)]
    for other in found[1:]:
        close(found[0], other)


@pytest.mark.parametrize("backend", ["jax", "torch", "onnx"])
@pytest.mark.parametrize("name", RECIPES)
def test_recipes_run_on_every_backend(name: str, backend: str) -> None:
    wanted = run(jax_graph(), RECIPES[name])
    found = run(jax_graph(), RECIPES[name], backend)
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8)


def test_worlds_run_on_every_backend() -> None:
    graph = jax_graph().apply(
        p.Worlds("input_ids", size=2),
        p.Rewire("blocks.0.resid_post", np.array([[1.0, 0.0], [0.5, 0.5]]), {"seq": 3}),
    )
    found = [
        np.asarray(
            gw.compile(graph, backend)(input_ids=np.stack([IDS, OTHER]), attention_mask=ONES)[
                "logits"
            ]
        )
        for backend in ("numpy", "jax", "onnx")
    ]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-8, atol=1e-8)
