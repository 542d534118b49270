"""A sweep gives the numbers of one run for every edit, on every backend, and does less for it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attrs import frozen

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.build import Term
from graftwork.passes.sweeps.cost import cost
from graftwork.passes.sweeps.share import share
from graftwork.passes.sweeps.worlds import narrowed
from graftwork.sweep import Effect, Sweep
from tests.models.zoo import EXACT, axes, build, inputs, tolerance

SEQ, WIDTH = 6, 32
BACKENDS = ("numpy", "jax", "torch", "onnx")
CLEAN = "clean"


def metric(out: Mapping[str, Term]) -> Term:
    return out["logits"][{"seq": -1, "vocab": 3}] - out["logits"][{"seq": -1, "vocab": 5}]


@frozen(eq=False)
class Model:
    """A graph, its inputs, those of a clean run that differ at one token; and how exact it is."""

    graph: gw.Graph
    given: Mapping[str, Any]
    clean: Mapping[str, Any]
    tolerance: float

    def same(self, found: Any, expected: Any) -> None:
        close = self.tolerance
        np.testing.assert_allclose(np.asarray(found), expected, rtol=close, atol=close / 10)


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def model(request: pytest.FixtureRequest) -> Model:
    name = request.param
    close = tolerance(name, "sdpa")
    built = build(name, "sdpa").to(torch.float64 if close == EXACT else torch.float32)
    given = inputs(name, (2, SEQ))
    given["attention_mask"] = torch.ones_like(given["attention_mask"])
    clean = dict(given, input_ids=given["input_ids"].clone())
    clean["input_ids"][:, 2] = (clean["input_ids"][:, 2] + 7) % 99
    graph = gw.from_torch(built, kwargs=given, axes=axes(name))
    return Model(graph, given, clean, close)


def one_by_one(graph: gw.Graph, effect: Effect, given: Mapping[str, Any]) -> np.ndarray:
    """The metric of one run of the edited model for each cell."""
    cells = list(product(*effect.labels.values()))
    found = []
    for cell in cells:
        edited = graph.apply(effect.edit(**dict(zip(effect.labels, cell, strict=True))))
        logits = gw.compile(edited, "numpy")(**given)["logits"]
        at = logits[{"seq": -1}].numpy()
        found.append(np.asarray(at[{"vocab": 3}]) - np.asarray(at[{"vocab": 5}]))
    return np.reshape(found, effect.shape)


DIRECTIONS = tuple(np.random.default_rng(5).normal(size=(3, WIDTH)))
EDITS: Mapping[str, tuple[p.Pass, bool]] = {
    "patch a stream": (
        p.Patch("blocks.{layer}.resid_pre", where={"seq": gw.each}, source=CLEAN), True,
    ),
    "patch heads": (
        p.Patch("blocks.{layer}.attn.z", where={"heads": gw.each}, source=CLEAN), True,
    ),
    "patch queries of heads at positions": (
        p.Patch("blocks.{layer}.attn.q", where={"heads": gw.each((0, 2)), "seq": gw.each},
                source=CLEAN), True,
    ),
    "ablate two kinds of sub-layers": (
        p.Ablate("blocks.{layer}.{part}.out", where={"seq": gw.each((0, 3, -1))}), False,
    ),
    "patterns": (p.Ablate("blocks.{layer}.attn.pattern", where={"heads": gw.each}), False),
    "scales": (p.Scale("blocks.{layer}.mlp.out", gw.each("scale", (0.0, 2.0))), False),
    "neurons": (p.Ablate("blocks.1.mlp.post", where={"mlp": gw.each((3, 7)), "seq": -1}), False),
    "directions": (
        p.Steer("blocks.{layer}.resid_post", gw.each("direction", DIRECTIONS), where={"seq": -1}),
        False,
    ),
    "directions at positions": (
        p.Patch("blocks.{layer}.resid_pre", value=gw.each("direction", DIRECTIONS),
                where={"seq": gw.each((1, 4))}), False,
    ),
    "zeros": (p.Ablate("blocks.{layer}.attn.z"), False),
    "zeros in blocks": (p.Ablate("blocks.{layer}.attn.out"), False),
    "means": (p.Ablate("blocks.{layer}.resid_post", mean=("seq",)), False),
    "whole layers": (p.Skip("blocks.{layer}.mlp"), False),
    "embeddings": (p.Patch("embed", where={"seq": gw.each}, source=CLEAN), True),
    "the final stream": (
        p.Patch("blocks.1.resid_post", where={"seq": gw.each}, source=CLEAN), True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_equals_one_run_for_every_edit(model: Model, name: str) -> None:
    graph, given, clean = model.graph, model.given, model.clean
    applied, patches = EDITS[name]
    run = {**given, CLEAN: clean} if patches else given
    effect = Sweep(graph, applied, metric=metric, backend="numpy").run(**run)
    assert effect.axes == (*effect.labels, "batch")
    expected = one_by_one(graph, effect, run)
    assert np.ptp(expected) > 1e-6
    model.same(effect, expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", ["gpt2"], indirect=True)
def test_every_backend_gives_these_numbers(model: Model, backend: str) -> None:
    graph, given, clean = model.graph, model.given, model.clean
    applied = EDITS["patch a stream"][0]
    run = {**given, CLEAN: clean}
    expected = Sweep(graph, applied, metric=metric, backend="numpy").run(**run)
    found = Sweep(graph, applied, metric=metric, backend=backend).run(**run)
    model.same(found, np.asarray(expected))


def test_each_optimisation_alone_keeps_the_numbers(
    model: Model,
) -> None:
    """All worlds side by side; the same narrowed; worlds that enter where they differ."""
    graph, given, clean = model.graph, model.given, model.clean
    sweep = Sweep(graph, EDITS["patch a stream"][0], metric=metric, backend="numpy")
    expected = np.asarray(sweep.run(**given, clean=clean)).reshape(-1, 2)
    told = {
        "worlds.entry": np.repeat(np.arange(2), SEQ), "worlds.seq": np.tile(np.arange(SEQ), 2),
    }  # fmt: skip
    for step in (sweep.worlds, narrowed(sweep.worlds)):
        found = gw.compile(step, "numpy")(**given, clean=clean, **told)["metric"]
        model.same(found.order("worlds", "batch"), expected)
    apart = share(narrowed(sweep.worlds), 2)
    places = {f"worlds.seq.{entry}": np.arange(SEQ) for entry in range(2)}
    out = gw.compile(apart.graph, "numpy")(**given, clean=clean, **places)
    model.same(out["metric"], expected)


def test_chunks_and_resumption(model: Model, tmp_path: Path) -> None:
    graph, given, clean = model.graph, model.given, model.clean
    run = {**given, CLEAN: clean}
    applied = EDITS["patch a stream"][0]
    whole = Sweep(graph, applied, metric=metric, backend="numpy")
    small = Sweep(graph, applied, metric=metric, backend="numpy", memory=1)
    assert small.plan(**run).chunks == SEQ
    expected = np.asarray(whole.run(**run))
    model.same(small.run(resume=tmp_path / "sweep", progress=False, **run), expected)
    results = sorted((tmp_path / "sweep").glob("*.safetensors"))
    assert len(results) == SEQ - 2  # before the token that differs nothing changes
    results[1].unlink()
    kept = results[0].stat().st_mtime_ns
    again = small.run(resume=tmp_path / "sweep", progress=False, **run)
    model.same(again, expected)
    assert results[1].exists()
    assert results[0].stat().st_mtime_ns == kept
    with pytest.raises(gw.GraftworkError, match="another sweep"):
        small.run(resume=tmp_path / "sweep", **given, clean=given)


def test_nothing_runs_that_changes_nothing(
    model: Model,
) -> None:
    graph, given = model.graph, model.given
    sweep = Sweep(graph, EDITS["patch a stream"][0], metric=metric, backend="numpy")
    effect = sweep.run(**given, clean=given)
    plain = np.broadcast_to(np.asarray(effect.plain), effect.shape)
    np.testing.assert_array_equal(np.asarray(effect), plain)


def test_the_plan_counts_what_is_saved(
    model: Model,
) -> None:
    graph, given, clean = model.graph, model.given, model.clean
    sweep = Sweep(graph, EDITS["patch a stream"][0], metric=metric, backend="numpy")
    plan = sweep.plan(**given, clean=clean)
    flops = [step.flops for step in plan.steps.values()]
    assert len(flops) == 4
    assert flops == sorted(flops, reverse=True)
    assert "GFLOP" in str(plan)
    assert plan.worlds == 2 * SEQ


@pytest.mark.parametrize(
    ("name", "start"), [("patch heads", 2), ("directions", SEQ - 1), ("scales", 0)]
)
def test_nothing_is_computed_before_the_first_change(model: Model, name: str, start: int) -> None:
    """The prompts differ from their third token on; what edits the last position alone is less."""
    applied, patches = EDITS[name]
    run = {**model.given, CLEAN: model.clean} if patches else model.given
    sweep = Sweep(model.graph, applied, metric=metric, backend="numpy")
    assert sweep.along is None
    assert sweep.axis == "seq"
    found = sweep._looked(sweep._job(run)).cells.starts[0]
    assert set(found.tolist()) == {start}
    *_, whole, bounded = sweep.plan(**run).steps.values()
    assert start == 0 or bounded.flops < whole.flops


def test_rows_are_used_only_behind_causal_attention() -> None:
    built = build("bert", "sdpa").double()
    given = inputs("bert", (2, SEQ))
    graph = gw.from_torch(built, kwargs=given, axes=axes("bert"))
    sweep = Sweep(
        graph, p.Ablate("blocks.{layer}.resid_pre", where={"seq": gw.each}), metric=metric,
        backend="numpy",
    )  # fmt: skip
    assert sweep.along is None
    assert sweep.axis is None
    effect = sweep.run(**given)
    np.testing.assert_allclose(np.asarray(effect), one_by_one(graph, effect, given), rtol=1e-9)


def test_the_cost_of_a_product() -> None:
    graph = gw.from_torch(torch.nn.Linear(8, 4), torch.zeros(3, 8), axes={0: "batch features=8"})
    counted = cost(graph, {"batch": 5})
    assert counted.flops == 2 * 5 * 8 * 4 + 5 * 4


@pytest.mark.parametrize(
    ("applied", "message"),
    [
        (p.Ablate("blocks.0.mlp.out"), "nothing open"),
        (p.Ablate("blocks.{layer}.nowhere"), "nothing fits"),
        (p.Ablate("blocks.{layer}.mlp.out", where={"seq": gw.each((9,))}), "outside of 'seq'"),
        (p.Ablate("blocks.{layer}.mlp.out", where={"tokens": gw.each}), "no axis 'tokens'"),
        (p.Scale("blocks.{layer}.mlp.out", gw.each), "each takes a name and values"),
    ],
)
def test_what_cannot_be_swept(model: Model, applied: p.Pass, message: str) -> None:
    graph, given = model.graph, model.given
    with pytest.raises(gw.GraftworkError, match=message):
        Sweep(graph, applied, metric=metric, backend="numpy").run(**given)


@pytest.mark.parametrize(
    "applied",
    [
        p.PruneHeads("blocks.{layer}.attn.z", (1,)),
        p.CastWeights("f16", "**.h.{layer}.mlp.c_fc.weight"),
    ],
)
@pytest.mark.parametrize("model", ["gpt2"], indirect=True)
def test_what_changes_every_run_is_refused(model: Model, applied: p.Pass) -> None:
    """Worlds would see one another's edits."""
    with pytest.raises(gw.GraftworkError, match="cannot be swept"):
        Sweep(model.graph, applied, metric=metric, backend="numpy").run(**model.given)


@pytest.mark.parametrize("model", ["gpt2"], indirect=True)
def test_arrays_are_one_axis_of_worlds(model: Model) -> None:
    """More directions make no larger graph, and are labelled by their numbers."""
    sweeps = [
        Sweep(model.graph, p.Steer("blocks.{layer}.mlp.out", gw.each("direction", arrays)),
              metric=metric, backend="numpy")
        for arrays in (DIRECTIONS[:1], DIRECTIONS)
    ]  # fmt: skip
    few, many = (len(sweep.shared.graph.nodes) for sweep in sweeps)
    assert few == many
    effect = sweeps[1].run(**model.given)
    assert effect.labels == {"layer": (0, 1), "direction": (0, 1, 2)}
    edit = effect.edit(layer=1, direction=2)
    assert edit == p.Steer("blocks.1.mlp.out", DIRECTIONS[2])
    ragged = gw.each("direction", (DIRECTIONS[0], DIRECTIONS[0][1:]))
    with pytest.raises(gw.GraftworkError, match="several shapes"):
        Sweep(model.graph, p.Steer("embed", ragged), metric=metric).run(**model.given)


@pytest.mark.parametrize("model", ["gpt2"], indirect=True)
def test_open_words_stand_beside_globs(model: Model) -> None:
    """Both outputs of a layer are scaled in one world."""
    edit = p.Scale("blocks.{layer}.{attn,mlp}.out", 0.5)
    effect = Sweep(model.graph, edit, metric=metric, backend="numpy").run(**model.given)
    assert effect.labels == {"layer": (0, 1)}
    model.same(effect, one_by_one(model.graph, effect, model.given))
    starred = p.Scale("blocks.{layer}.*.out", 0.5)
    again = Sweep(model.graph, starred, metric=metric, backend="numpy").run(**model.given)
    model.same(again, np.asarray(effect))


def test_cells_are_asked_for_by_their_labels(
    model: Model,
) -> None:
    graph, given = model.graph, model.given
    effect = Sweep(graph, EDITS["neurons"][0], metric=metric, backend="numpy").run(**given)
    assert effect.labels == {"mlp": (3, 7)}
    assert effect.edit(mlp=7) == p.Ablate("blocks.1.mlp.post", where={"mlp": 7, "seq": -1})
    with pytest.raises(gw.GraftworkError, match="is one of"):
        effect.edit(mlp=4)
