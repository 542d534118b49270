"""Interchange from several runs, in parallel and in series, at other places and positions."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError, PassError, RewriteError, SelectionError
from graftwork.passes.recipe import load_recipe, save_recipe
from tests.passes.interventions.decoder import (
    EMBED,
    IDS,
    OTHER,
    THIRD,
    VECTOR,
    Array,
    clean,
    close,
    hooked,
    jax_graph,
    logits,
    torch_graph,
)

EARLY, LATE = "blocks.0.resid_post", "blocks.1.resid_mid"
FIRST, SECOND = {"first": clean(OTHER)}, {"second": clean(THIRD)}


def put(value: Array, *at: Any) -> Any:
    def hook(x: Array) -> Array:
        x[at] = value[at]
        return x

    return hook


def run(*passes: Any, **more: Any) -> Array:
    return logits(torch_graph().apply(*passes), **more)


def test_several_sources_patch_one_base_in_parallel() -> None:
    found = run(
        p.Patch(EARLY, source="first", where={"seq": 1}),
        p.Patch("blocks.1.attn.z", source="second", where={"heads": 1, "seq": 4}),
        **FIRST, **SECOND,
    )  # fmt: skip
    hooks = {
        EARLY: put(hooked(OTHER)[EARLY], slice(None), 1),
        "blocks.1.attn.z": put(hooked(THIRD)["blocks.1.attn.z"], slice(None), 4, 1),
    }
    close(found, hooked(IDS, None, hooks)["logits"])


def test_sources_patch_one_another_in_series() -> None:
    recipe = [
        p.In("second", p.Patch(EARLY, source="first", where={"seq": 2})),
        p.Patch(LATE, source="second", where={"seq": 3}),
    ]
    second = hooked(THIRD, None, {EARLY: put(hooked(OTHER)[EARLY], slice(None), 2)})
    wanted = hooked(IDS, None, {LATE: put(second[LATE], slice(None), 3)})["logits"]
    for graph in (torch_graph(), jax_graph()):
        close(logits(graph.apply(*recipe), **FIRST, **SECOND), wanted)


def test_a_chain_of_three_and_a_run_that_is_read_twice() -> None:
    found = run(
        p.In("first", p.Steer("embed", VECTOR)),
        p.In("second", p.Patch(EARLY, source="first")),
        p.Patch(LATE, source="second", where={"seq": 3}),
        p.Patch("blocks.1.mlp.post", source="first", where={"mlp": [0, 5]}),
        **FIRST, **SECOND,
    )  # fmt: skip
    first = hooked(OTHER, None, {"embed": lambda x: x + VECTOR})
    second = hooked(THIRD, None, {EARLY: lambda x: first[EARLY]})
    hooks = {
        LATE: put(second[LATE], slice(None), 3),
        "blocks.1.mlp.post": put(first["blocks.1.mlp.post"], ..., [0, 5]),
    }
    close(found, hooked(IDS, None, hooks)["logits"])


def test_an_edited_run_of_the_same_inputs_and_of_its_own_positions() -> None:
    edits = p.In("cut", p.Ablate("blocks.0.attn.out"), same_inputs=True)
    cut = hooked(IDS, None, {"blocks.0.attn.out": lambda x: x * 0})
    found = run(edits, p.Patch("blocks.1.attn.pattern", source="cut"))
    put_pattern = {"blocks.1.attn.pattern": lambda _: cut["blocks.1.attn.pattern"]}
    close(found, hooked(IDS, None, put_pattern)["logits"])
    given = p.In("first", p.Ablate("embed", where={"seq": p.Positions("gone")}))
    graph = torch_graph().apply(given, p.Patch(LATE, source="first"))
    assert "first.gone" in [port.name for port in graph.inputs]
    gone = np.array([0, 3, 1])

    def zero(x: Array) -> Array:
        x[range(3), gone] = 0
        return x

    first = hooked(OTHER, None, {"embed": zero})
    found = logits(graph, first={**clean(OTHER), "gone": gone})
    close(found, hooked(IDS, None, {LATE: lambda _: first[LATE]})["logits"])


def test_other_layers_and_positions() -> None:
    other = hooked(OTHER)

    def moved(x: Array) -> Array:
        x[:, [1, 3]] = other[EARLY][:, [4, 0]]
        return x

    found = run(
        p.Patch(
            LATE, where={"seq": [1, 3]}, source="first", source_site=EARLY,
            source_where={"seq": [4, 0]},
        ), **FIRST,
    )  # fmt: skip
    close(found, hooked(IDS, None, {LATE: moved})["logits"])

    def shifted(x: Array) -> Array:
        x[:, 2:5] = other[LATE][:, 0:3]
        return x

    where, there = {"seq": slice(2, 5)}, {"seq": slice(0, 3)}
    found = run(p.Patch(LATE, where=where, source="first", source_where=there), **FIRST)
    close(found, hooked(IDS, None, {LATE: shifted})["logits"])


def test_the_last_real_token_of_the_source_goes_to_a_position_of_the_base() -> None:
    padding = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0]])
    last = [1, 4, 3]
    other = hooked(OTHER, padding)[EARLY]

    def patch(x: Array) -> Array:
        x[range(3), [0, 2, 2]] = other[range(3), last]
        return x

    found = run(
        p.Patch(
            EARLY, where={"seq": p.Positions("at")}, source="first",
            source_where={"seq": p.LastReal()},
        ),
        first=clean(OTHER, padding), at=np.array([0, 2, 2]),
    )  # fmt: skip
    close(found, hooked(IDS, None, {EARLY: patch})["logits"])


def test_addition_subtraction_and_functions_of_two_runs() -> None:
    other = hooked(OTHER)[EARLY]
    for edit, hook in (
        (p.Steer(EARLY, source="first"), lambda x: x + other),
        (p.Steer(EARLY, source="first", scale=-1.0), lambda x: x - other),
        (p.Map(EARLY, lambda x, y: x * y + y.mean("seq"), source="first"),
         lambda x: x * other + other.mean(1, keepdims=True)),
    ):  # fmt: skip
        close(run(edit, **FIRST), hooked(IDS, None, {EARLY: hook})["logits"])


def test_functions_of_torch_and_of_jax_are_maps() -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(EMBED, EMBED), torch.nn.Tanh()).double()
    sample = torch.zeros(3, 4, EMBED, dtype=torch.float64)
    named = {0: f"batch seq embed={EMBED}"}
    traced = gw.from_torch(module, sample, axes=named)
    weight, bias = (q.detach().numpy() for q in module.parameters())
    hooks = {EARLY: lambda x: np.tanh(x @ weight.T + bias)}
    graph = torch_graph().apply(p.Map(EARLY, traced))
    close(logits(graph), hooked(IDS, None, hooks)["logits"])
    assert any(q.trainable for q in graph.parameters if q.name.startswith("map."))
    plain = gw.from_torch(lambda x: torch.sin(x) * x.mean(1, keepdim=True), sample, axes=named)
    hooks = {EARLY: lambda x: np.sin(x) * x.mean(1, keepdims=True)}
    close(run(p.Map(EARLY, plain)), hooked(IDS, None, hooks)["logits"])
    mixed = gw.from_jax(
        lambda x, y: jnp.where(x > y, x, 2 * y), *[np.zeros((3, 4, EMBED), np.float32)] * 2,
        axes={0: f"batch seq embed={EMBED}", 1: f"batch seq embed={EMBED}"},
    )  # fmt: skip
    other = hooked(OTHER)[EARLY]
    hooks = {EARLY: lambda x: np.where(x > other, x, 2 * other)}
    found = run(p.Map(EARLY, mixed, source="first"), **FIRST)
    close(found, hooked(IDS, None, hooks)["logits"])


def test_one_traced_module_at_many_sites_has_one_set_of_parameters() -> None:
    module = torch.nn.Linear(EMBED, EMBED).double()
    sample = torch.zeros(3, 4, EMBED, dtype=torch.float64)
    traced = gw.from_torch(module, sample, axes={0: f"batch seq embed={EMBED}"})
    graph = torch_graph().apply(p.Map("blocks.*.resid_post", traced))
    made = [q.name for q in graph.parameters if q.name.startswith("map.")]
    assert made == ["map.weight", "map.bias"]
    with pytest.raises(InputError, match="size 8, but here it is 16"):
        torch_graph().apply(p.Map("blocks.0.mlp.post", _called(traced, embed="mlp")))


def _called(graph: gw.Graph, **names: str) -> gw.Graph:
    from graftwork.ir.rename import rename_axes

    return rename_axes(graph, names)


def test_recipes_hold_runs_and_modules(tmp_path: Any) -> None:
    module = torch.nn.Linear(EMBED, EMBED).double()
    sample = torch.zeros(3, 4, EMBED, dtype=torch.float64)
    traced = gw.from_torch(module, sample, axes={0: f"batch seq embed={EMBED}"})
    recipe = [
        p.In("second", p.Patch(EARLY, source="first", where={"seq": 2}), p.Map(EARLY, traced)),
        p.Patch(LATE, source="second", where={"seq": (1, 2)}, source_where={"seq": (2, 3)}),
        p.Map(LATE, lambda x, y: x - y, source="first", source_site=EARLY),
    ]
    save_recipe(recipe, tmp_path / "recipe")
    back = load_recipe(tmp_path / "recipe")
    found = [
        logits(graph.apply(*steps), **FIRST, **SECOND)
        for graph, steps in ((torch_graph(), recipe), (torch_graph(), back), (jax_graph(), back))
    ]
    close(found[0], found[1])
    close(found[0], found[2])


def test_bad_runs_are_refused() -> None:
    reads = p.Patch(EARLY, source="first")
    for passes, error, words in (
        ([p.In("first", p.Ablate(EARLY))], PassError, "nothing reads the source run 'first'"),
        ([reads, p.In("first", p.Ablate(EARLY))], RewriteError, "made already"),
        ([p.In("unedited", p.Ablate(EARLY)), reads], RewriteError, "made already"),
        ([p.Patch(EARLY, source="first", source_site="blocks.0.mlp.post")], SelectionError,
         "has axes .*mlp"),
        ([p.Patch("blocks.*.resid_post", source="first", source_site="blocks.*.attn.z")],
         SelectionError, "has axes"),
        ([p.Patch("blocks.*.resid_*", source="first", source_site="blocks.*.resid_post")],
         SelectionError, "6 places are edited"),
        ([p.Patch(EARLY, where={"seq": [1, 2]}, source="first", source_where={"seq": [1]})],
         SelectionError, "do not pair"),
        ([p.Patch(EARLY, value=VECTOR, source_site=EARLY)], InputError, "with source="),
        ([p.Steer(EARLY)], InputError, "exactly one"),
    ):  # fmt: skip
        with pytest.raises(error, match=words):
            torch_graph().apply(*passes)
    with pytest.raises(RewriteError, match=r"graph\.apply"):
        p.In("first", p.Ablate(EARLY))(torch_graph())


def _metric(out: Any) -> Any:
    return out["logits"][{"seq": -1, "vocab": 3}] - out["logits"][{"seq": -1, "vocab": 1}]


@pytest.mark.parametrize(
    "step",
    [
        p.AttributionPatching(_metric, EARLY, "clean"),
        p.IntegratedGradients(_metric, EARLY, "clean"),
        p.JVP(LATE, "embed", source="clean"),
        p.PathPatch("blocks.0.attn.z", LATE, "clean"),
        p.EdgeAttribution(_metric, "clean"),
        p.PatchEdges((("blocks.0.attn.result.0", "blocks.1.mlp.in"),), "clean"),
        p.Linearize("blocks.0.attn"),
        p.Linearize("blocks.0.mlp", at="clean", evaluate="clean"),
    ],
)
def test_a_run_of_a_model_that_was_cast_since_takes_its_dtype(step: p.Pass) -> None:
    def found(*steps: p.Pass) -> dict[str, Array]:
        program = gw.compile(torch_graph().apply(*steps), "numpy")
        names = {port.name for port in program.graph.inputs}
        source = {"clean": clean(OTHER)} if "clean.input_ids" in names else {}
        return {name: np.asarray(array) for name, array in program(**clean(IDS), **source).items()}

    cast, plain = found(p.Cast("f32"), step), found(step)
    assert cast.keys() == plain.keys()
    for name, array in cast.items():
        np.testing.assert_allclose(array, plain[name], rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("step", [p.Linearize("blocks.0.attn"), p.Freeze("blocks.0.attn.z")])
def test_the_unedited_run_takes_the_worlds_of_its_inputs(step: p.Pass) -> None:
    edits = p.Scale("blocks.0.resid_pre", 2.0), step
    together = torch_graph().apply(p.Worlds("input_ids", size=2), *edits)
    found = gw.compile(together, "numpy")(
        input_ids=np.stack([IDS, OTHER]), attention_mask=np.ones_like(IDS)
    )
    for ids, each in zip((IDS, OTHER), np.asarray(found["logits"]), strict=True):
        close(each, logits(torch_graph().apply(*edits), ids))
