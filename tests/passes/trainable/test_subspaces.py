"""Interchange in subspaces against the formulas, in numpy with explicit matrices and hooks."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytest

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError, SelectionError
from graftwork.passes.recipe import load_recipe, save_recipe
from tests.passes.interventions.decoder import (
    EMBED,
    HEADS,
    IDS,
    ONES,
    OTHER,
    THIRD,
    WIDTH,
    Array,
    clean,
    close,
    hooked,
    jax_graph,
    logits,
    torch_graph,
)

SITE, Z = "blocks.0.resid_post", "blocks.1.attn.z"
RNG = np.random.default_rng(5)
MASK = RNG.standard_normal(EMBED)
MEAN, STD = RNG.standard_normal(EMBED), RNG.uniform(0.5, 2, EMBED)
COMPONENTS = np.linalg.qr(RNG.standard_normal((EMBED, EMBED)))[0][:5]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def rotation(reflections: Array) -> Array:
    """The product of reflections, as a matrix."""
    rows = reflections.reshape(len(reflections), -1)
    each = [np.eye(rows.shape[1]) - 2 * np.outer(v, v) / (v @ v) for v in rows]
    return np.asarray(reduce(np.matmul, each))


def swapped(b: Array, s: Array, r: Array, dims: Any) -> Array:
    """Coordinates of the rotated base replaced by those of the rotated source."""
    turned = b @ r
    turned[..., dims] = (s @ r)[..., dims]
    return np.asarray(turned @ r.T)


def run(*passes: Any, graph: gw.Graph | None = None) -> tuple[Array, dict[str, Array]]:
    """What an edited decoder gives, and its learned arrays by their last names."""
    edited = (graph or torch_graph()).apply(*passes)
    made = {name.rpartition(".")[2]: np.asarray(edited.params[name]) for name in edited.params
            if name.startswith("subspace.")}  # fmt: skip
    return logits(edited, clean=clean()), made


def expected(hook: Any, site: str = SITE) -> Array:
    source = hooked(OTHER)[site]
    return hooked(IDS, None, {site: lambda b: hook(b, source)})["logits"]


@pytest.mark.parametrize(("dims", "which"), [(3, [0, 1, 2]), ((5, 0), [5, 0])])
def test_rotated_coordinates_are_exchanged(dims: Any, which: list[int]) -> None:
    found, made = run(p.RotatedPatch(SITE, "clean", dims, key=3))
    r = rotation(made["reflections"])
    assert r.shape == (EMBED, EMBED)
    close(found, expected(lambda b, s: swapped(b, s, r, which)))


@pytest.mark.parametrize("dims", [None, (1,)])
def test_low_rank_directions_are_exchanged(dims: Any) -> None:
    found, made = run(p.LowRankPatch(SITE, "clean", 3, dims))
    r = rotation(made["reflections"])[:, list(dims or range(3))]
    np.testing.assert_allclose(r.T @ r, np.eye(r.shape[1]), atol=1e-13)
    close(found, expected(lambda b, s: b + (s @ r - b @ r) @ r.T))


def test_boundless_masks_by_the_boundary_and_the_temperature() -> None:
    found, made = run(p.BoundlessPatch(SITE, "clean", 1.7, start=0.4))
    r, i = rotation(made["reflections"]), np.arange(EMBED)
    mask = sigmoid(i / 1.7) * sigmoid((0.4 * EMBED - i) / 1.7)
    close(found, expected(lambda b, s: ((1 - mask) * (b @ r) + mask * (s @ r)) @ r.T))


@pytest.mark.parametrize("rotated", [False, True])
def test_sigmoid_masks_of_neurons_and_of_rotated_coordinates(rotated: bool) -> None:
    patch = p.MaskPatch(SITE, "clean", "temperature", rotated=rotated)
    graph = torch_graph().apply(patch, p.Learned({f"subspace.{SITE}.mask": MASK}))
    found = logits(graph, clean=clean(), temperature=np.float64(0.3))
    r = np.eye(EMBED)
    if rotated:
        r = rotation(np.asarray(graph.params[f"subspace.{SITE}.reflections"]))
    m = sigmoid(MASK / 0.3)
    close(found, expected(lambda b, s: ((1 - m) * (b @ r) + m * (s @ r)) @ r.T))


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("dims", [None, (0, 3)])
def test_principal_components_are_exchanged(residual: bool, dims: Any) -> None:
    found, _ = run(p.PCAPatch(SITE, "clean", COMPONENTS, MEAN, STD, dims, residual))

    def hook(b: Array, s: Array) -> Array:
        z, other = (((x - MEAN) / STD) @ COMPONENTS.T for x in (b, s))
        outside = b - ((z @ COMPONENTS) * STD + MEAN)
        which = list(dims or range(5))
        z[..., which] = other[..., which]
        return (z @ COMPONENTS) * STD + MEAN + (outside if residual else 0)

    close(found, expected(hook))


def test_several_axes_are_rotated_together_and_others_alike() -> None:
    found, made = run(p.RotatedPatch(Z, "clean", 5, axes=("heads", "head_dim")))
    r = rotation(made["reflections"])
    assert r.shape == (HEADS * WIDTH, HEADS * WIDTH)

    def jointly(b: Array, s: Array) -> Array:
        flat = [x.reshape(*x.shape[:2], -1) for x in (b, s)]
        return swapped(flat[0], flat[1], r, slice(5)).reshape(b.shape)

    close(found, expected(jointly, Z))
    found, made = run(p.RotatedPatch(Z, "clean", 2))
    r = rotation(made["reflections"])
    close(found, expected(lambda b, s: swapped(b, s, r, slice(2)), Z))


def test_positions_and_other_places_of_the_source() -> None:
    found, made = run(
        p.LowRankPatch(
            "blocks.1.resid_mid", "clean", 2, where={"seq": 3},
            source_site=SITE, source_where={"seq": 1},
        )
    )  # fmt: skip
    r, other = rotation(made["reflections"])[:, :2], hooked(OTHER)[SITE]

    def hook(b: Array, _: Array) -> Array:
        b[:, 3] += (other[:, 1] - b[:, 3]) @ r @ r.T
        return b

    close(found, expected(hook, "blocks.1.resid_mid"))


def test_passes_share_a_rotation_and_exchange_other_coordinates_from_other_runs() -> None:
    graph = torch_graph().apply(
        p.RotatedPatch(SITE, "clean", (0, 1), share="variables"),
        p.RotatedPatch(SITE, "third", (2, 3), share="variables"),
    )
    (name,) = [name for name in graph.params if "reflections" in name]
    assert name == "variables.reflections"
    found = logits(graph, clean=clean(), third=clean(THIRD))
    r, third = rotation(np.asarray(graph.params[name])), hooked(THIRD)[SITE]

    def both(b: Array, s: Array) -> Array:
        return swapped(swapped(b, s, r, [0, 1]), third, r, [2, 3])

    close(found, expected(both))
    with pytest.raises(InputError, match="cannot be shared"):
        graph.apply(p.LowRankPatch(SITE, "clean", 2, share="variables"))


def test_each_site_has_directions_of_its_own_unless_they_are_shared() -> None:
    sites = "blocks.*.resid_post"
    graph = torch_graph().apply(p.LowRankPatch(sites, "clean", 2))
    assert [name for name in graph.params if name.startswith("subspace.")] == [
        f"subspace.blocks.{i}.resid_post.reflections" for i in range(2)
    ]
    again = graph.apply(p.LowRankPatch(SITE, "clean", 2))
    assert f"subspace.{SITE}_2.reflections" in again.params
    linked = torch_graph().apply(p.LowRankPatch(sites, "clean", 2, share="tied"))
    assert [name for name in linked.params if name.startswith("tied.")] == ["tied.reflections"]


RECIPE = [
    p.RotatedPatch(SITE, "clean", (1, 4), where={"seq": slice(1, None)}, key=2),
    p.MaskPatch("blocks.1.mlp.post", "clean", 0.5, start=0.1),
    p.BoundlessPatch("blocks.1.resid_mid", "clean", "temperature", share="bound"),
    p.PCAPatch("embed", "clean", COMPONENTS, MEAN),
    p.Learned({"bound.boundary": np.array(0.3)}),
]


def test_one_saved_recipe_gives_the_same_numbers_in_two_frameworks(tmp_path: Any) -> None:
    save_recipe(RECIPE, tmp_path / "recipe")
    back = load_recipe(tmp_path / "recipe")
    assert back == RECIPE
    more = {"clean": clean(), "temperature": np.float64(2.0)}
    found = [logits(graph.apply(*back), **more) for graph in (torch_graph(), jax_graph())]
    close(found[0], found[1])
    edited = torch_graph().apply(*RECIPE)
    close(found[0], logits(edited, **more))
    gw.save(edited, tmp_path / "model")
    close(found[0], logits(gw.load(tmp_path / "model"), **more))


@pytest.mark.parametrize("backend", ["jax", "torch", "onnx"])
def test_all_of_them_run_on_every_backend(backend: str) -> None:
    edited = torch_graph().apply(*RECIPE)
    more = {"clean": clean(), "temperature": np.float64(2.0)}
    options = {"mode": "eager"} if backend == "torch" else {}
    run = gw.compile(edited, backend, **options)
    found = run(input_ids=IDS, attention_mask=ONES, **more)
    close(np.asarray(found["logits"]), logits(edited, **more))


@pytest.mark.parametrize(
    ("broken", "error", "words"),
    [
        (p.RotatedPatch(SITE, "clean", EMBED + 1), InputError, "no choice among the 8"),
        (p.RotatedPatch(SITE, "clean", 0), InputError, "no choice"),
        (p.RotatedPatch(SITE, "clean", (1, 1)), InputError, "no choice"),
        (p.LowRankPatch(SITE, "clean", 2, (2,)), InputError, "among the 2"),
        (p.RotatedPatch(SITE, "clean", 2, axes="seq"), InputError, "known size"),
        (p.RotatedPatch(SITE, "clean", 2, axes="heads"), SelectionError, "heads"),
        (p.MaskPatch(SITE, "clean", "input_ids"), InputError, "no temperature"),
        (p.PCAPatch(SITE, "clean", COMPONENTS[:, :5]), InputError, "5 along 'embed'"),
        (p.PCAPatch(SITE, "clean", COMPONENTS, dims=6), InputError, "among the 5"),
        (p.LowRankPatch("blocks.9.resid_post", "clean", 2), SelectionError, "nothing"),
        (p.LowRankPatch("blocks.*.resid_post", "clean", 2, count=3), SelectionError, "expected 3"),
    ],
)
def test_bad_subspaces_are_refused(broken: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        torch_graph().apply(broken)
