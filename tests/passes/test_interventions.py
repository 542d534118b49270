"""Every intervention against the same model in numpy with hooks, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from scipy import special
from small_model import VECTOR, X, Y, block, hooked, model, run

from graftwork import passes as p
from graftwork.backends import compile
from graftwork.ir import ops
from graftwork.ir.array import NamedArray
from graftwork.ir.errors import (
    InputError,
    PassError,
    RewriteError,
    SelectionError,
    StorageError,
    UnreachableEditError,
)
from graftwork.ir.graph import Graph, Port, Value
from graftwork.ir.sites import Place, Site, Sites
from graftwork.passes.recipe import load_recipe, save_recipe


def close(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def with_positions(at: tuple, value: object):
    def hook(a: np.ndarray) -> np.ndarray:
        a = a.copy()
        a[at] = value if not callable(value) else value(a)[at]
        return a

    return hook


@pytest.mark.parametrize(
    ("where", "at"),
    [
        (None, (...,)),
        ({"mlp": 3}, (..., 3)),
        ({"mlp": -1, "seq": 1}, (slice(None), 1, -1)),
        ({"mlp": slice(2, -3, 2)}, (..., slice(2, -3, 2))),
        ({"seq": slice(-2, None)}, (slice(None), slice(-2, None))),
        ({"mlp": [0, 5, 7]}, (..., [0, 5, 7])),
    ],
)
def test_ablate_at_positions(where: dict | None, at: tuple) -> None:
    graph = model().apply(p.Ablate("blocks.0.mlp.post", where=where))
    close(run(graph, x=X), hooked(X, {"post": with_positions(at, 0.0)}))


def test_ablate_by_mean_over_axes_and_by_a_given_mean() -> None:
    over = model().apply(p.Ablate("blocks.0.mlp.post", mean=("batch", "seq"), where={"mlp": 2}))
    averaged = with_positions((..., 2), lambda a: np.broadcast_to(a.mean((0, 1)), a.shape))
    close(run(over, x=X), hooked(X, {"post": averaged}))
    mean = np.arange(16.0)
    given = model().apply(p.Ablate("blocks.0.mlp.post", mean=mean))
    close(run(given, x=X), hooked(X, {"post": lambda a: np.broadcast_to(mean, a.shape)}))


def test_ablate_by_resampling_shuffles_another_run() -> None:
    graph = model().apply(p.Ablate("blocks.0.mlp.out", resample="other", key=1))
    found = run(graph, x=X, other={"x": Y})
    options = [hooked(X, {"out": lambda a, o=o: block(Y * 1.5, {})[o]}) for o in ([0, 1], [1, 0])]
    assert min(np.abs(found - option).max() for option in options) < 1e-11


def test_steer_scale_and_map() -> None:
    steered = model().apply(p.Steer("blocks.*.resid_pre", VECTOR, scale=4.0))
    close(run(steered, x=X), hooked(X, {"pre": lambda a: a + 4 * VECTOR}))
    one = model().apply(p.Steer("blocks.0.resid_pre", VECTOR, where={"seq": 0}))
    moved = with_positions((slice(None), 0), lambda a: a + VECTOR)
    close(run(one, x=X), hooked(X, {"pre": moved}))
    scaled = model().apply(p.Scale("blocks.0.mlp.out", -0.5))
    close(run(scaled, x=X), hooked(X, {"out": lambda a: -0.5 * a}))
    mapped = model().apply(p.Map("blocks.0.mlp.post", lambda x: ops.relu(x) * 0.3))
    close(run(mapped, x=X), hooked(X, {"post": lambda a: np.maximum(a, 0) * 0.3}))


def test_noise_has_its_scale_and_depends_on_its_key_alone() -> None:
    def noisy(key: int) -> np.ndarray:
        graph = model().apply(
            p.Noise("blocks.0.mlp.post", 0.1, key=key), p.Collect("blocks.0.mlp.post")
        )
        long = np.tile(X, (1, 40, 1))
        clean = compile(model().apply(p.Collect("blocks.0.mlp.post")), "numpy")(x=long)
        return np.asarray(compile(graph, "numpy")(x=long)["blocks.0.mlp.post"]) - np.asarray(
            clean["blocks.0.mlp.post"]
        )

    first = noisy(3)
    assert abs(first.std() - 0.1) < 0.01
    assert abs(first.mean()) < 0.01
    np.testing.assert_array_equal(first, noisy(3))
    assert np.abs(first - noisy(4)).max() > 0.01


def test_patch_from_a_source_run_an_array_and_an_input() -> None:
    at = (slice(None), 2)
    expected = hooked(X, {"pre": with_positions(at, (Y * 1.5)[at])})
    source = model().apply(p.Patch("blocks.0.resid_pre", where={"seq": 2}, source="clean"))
    close(run(source, x=X, clean={"x": Y}), expected)
    array = model().apply(p.Patch("blocks.0.resid_pre", where={"seq": 2}, value=(Y * 1.5)[0, 2]))
    only = with_positions(at, (Y * 1.5)[0, 2])
    close(run(array, x=X), hooked(X, {"pre": only}))
    taken = model().apply(p.Patch("blocks.0.resid_pre", where={"seq": 2}, input="given"))
    close(run(taken, x=X, given=(Y * 1.5)[at]), expected)


def test_a_source_run_may_be_given_all_inputs_of_the_model() -> None:
    graph = model()
    x = graph.inputs[0]
    unused = Port("mask", Value(x.value.type, "mask"), x.layout)
    graph = graph.evolve(inputs=(x, unused)).apply(p.Patch("blocks.0.mlp.post", source="same"))
    assert [port.name for port in graph.inputs] == ["x", "mask", "same.x"]
    given = {"x": X, "mask": X}
    close(run(graph, **given, same=given), hooked(X))
    with pytest.raises(InputError, match=r"no input 'same\.y'"):
        run(graph, **given, same={**given, "y": X})


def test_a_patch_of_a_run_by_itself_changes_nothing() -> None:
    graph = model().apply(p.Patch("blocks.0.mlp.post", source="same"))
    np.testing.assert_array_equal(run(graph, x=X, same={"x": X}), run(model(), x=X))


def test_source_runs_are_of_the_unedited_model_and_are_shared() -> None:
    graph = model().apply(
        p.Steer("blocks.0.resid_pre", VECTOR),
        p.Patch("blocks.0.mlp.out", source="clean"),
        p.Patch("blocks.0.resid_post", where={"seq": 0}, source="clean"),
    )
    clean = Y * 1.5 + block(Y * 1.5, {})
    hooks = {
        "pre": lambda a: a + VECTOR,
        "out": lambda a: block(Y * 1.5, {}),
        "resid_post": with_positions((slice(None), 0), clean[:, 0]),
    }
    close(run(graph, x=X, clean={"x": Y}), hooked(X, hooks))
    gelus = [n for n in graph.nodes if n.op.name == "gelu"]
    assert len(gelus) == 2


def test_source_nodes_are_not_selected_unless_asked() -> None:
    graph = model().apply(p.Patch("blocks.0.mlp.post", source="clean"))
    assert len(graph.select(op="gelu")) == 1
    assert all("/" not in found.module for found in graph.select())


def test_linearize_is_the_expansion_at_the_unedited_run() -> None:
    def slope(stream: np.ndarray, step: np.ndarray, h: float = 1e-6) -> np.ndarray:
        return (block(stream + h * step, {}) - block(stream - h * step, {})) / (2 * h)

    steer, line = p.Steer("blocks.0.resid_pre", VECTOR), p.Linearize("blocks.0.mlp")
    base = X * 1.5
    step = np.broadcast_to(VECTOR, base.shape)
    expansion = base + step + block(base, {}) + slope(base, step)
    expected = expansion @ np.asarray(model().params["head"]).T
    for order in ([steer, line], [line, steer]):
        found = run(model().apply(*order), x=X)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)
    assert np.abs(run(model().apply(steer), x=X) - expected).max() > 0.1
    close(run(model().apply(line), x=X), hooked(X))


def test_linearize_at_another_run_and_of_a_module() -> None:
    graph = model().apply(p.Linearize("model.mlp", at="point"))
    h = 1e-6
    point, step = Y * 1.5, X * 1.5 - Y * 1.5
    slope = (block(point + h * step, {}) - block(point - h * step, {})) / (2 * h)
    expected = (X * 1.5 + block(point, {}) + slope) @ np.asarray(model().params["head"]).T
    found = run(graph, x=X, point={"x": Y})
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


def test_lora_is_silent_until_trained_and_then_adds_its_product() -> None:
    graph = model().apply(p.LoRA("**.up", rank=2, key=0, alpha=1.0))
    np.testing.assert_array_equal(run(graph, x=X), run(model(), x=X))
    a, b = (np.asarray(graph.params[f"model.mlp.up.lora_{w}"]) for w in "ab")
    assert a.shape == (2, 8)
    assert b.shape == (16, 2)
    trained = np.random.default_rng(1).normal(size=b.shape)
    store = graph.store.over({"model.mlp.up.lora_b": trained})
    weight = np.asarray(graph.params["up"]) + 0.5 * trained @ a
    merged = graph.evolve(store=model().store.over({"up": weight}))
    merged = model().evolve(store=merged.store)
    close(run(graph.evolve(store=store), x=X), run(merged, x=X))


def test_collect_names_outputs_by_site() -> None:
    graph = model().apply(p.Collect("blocks.*.resid_*", "model.mlp.act"))
    out = compile(graph, "numpy")(x=X)
    assert list(out) == ["logits", "blocks.0.resid_pre", "blocks.0.resid_post", "model.mlp.act"]
    close(np.asarray(out["blocks.0.resid_pre"]), X * 1.5)


def test_collect_takes_several_values_from_inside_one_composite() -> None:
    graph = model()
    post = graph.sites["blocks.0.mlp.post"]
    inside = {f"blocks.0.mlp.{at}": Site(Place(post.place.value, (at,)), post.roles)
              for at in ("3:0", "4:0")}  # fmt: skip
    graph = graph.evolve(sites=Sites({**graph.sites, **inside}))
    out = compile(graph.apply(p.Collect(*inside)), "numpy")(x=X)
    scaled, erf = (np.asarray(out[name]) for name in inside)
    close(erf, special.erf(scaled))


def test_edits_inside_a_composite_open_it_alone() -> None:
    graph = model().apply(p.Map(p_selector("erf"), lambda x: x * 0.0))
    close(run(graph, x=X), hooked(X, {"post": lambda a: X @ model_up() * 0.5 * 1.5}))
    assert [n.op.name for n in graph.nodes].count("gelu") == 0
    assert [n.op.name for n in graph.nodes].count("linear") == 3


def model_up() -> np.ndarray:
    return np.asarray(model().params["up"]).T


def p_selector(op: str):
    from graftwork.ir.selector import Selector

    return Selector(op=op)


def test_sites_inside_a_composite_survive_edits_of_what_it_gives() -> None:
    graph = model()
    inner = Site(graph.select(op="erf").found[0].place, {"mlp": "mlp"})
    graph = graph.evolve(sites=evolve(graph.sites, table={**graph.sites.table, "inside": inner}))
    edited = graph.apply(p.Scale("blocks.0.mlp.post", 2.0), p.Scale("inside", 1.0))
    close(run(edited, x=X), hooked(X, {"post": lambda a: a * 2.0}))


@pytest.mark.parametrize(
    ("broken", "error", "words"),
    [
        (p.Ablate("blocks.0.mlp.pst"), SelectionError, "'blocks.0.mlp.post'"),
        (p.Ablate("blocks.0.mlp.post", where={"hed": 3}), SelectionError, "'hed'"),
        (p.Ablate("blocks.0.mlp.post", where={"mlp": 33}), SelectionError, "size 16"),
        (p.Ablate("blocks.*.mlp.post", count=2), SelectionError, "expected 2"),
        (p.Steer("blocks.0.resid_pre", np.zeros(7)), InputError, "7 along 'embed'"),
        (p.Patch("blocks.0.resid_pre"), InputError, "exactly one"),
        (p.LoRA("**.q_proj", rank=2, key=0), SelectionError, "q_proj"),
        (p.Map("blocks.0.mlp.post", lambda x: None), RewriteError, "NoneType"),
        (lambda graph: 3, PassError, "int"),
    ],
)
def test_bad_edits_say_what_is_wrong(broken: object, error: type, words: str) -> None:
    with pytest.raises(error, match=words.replace("*", r"\*")):
        model().apply(broken)  # type: ignore[arg-type]


def test_an_edit_that_no_output_sees_is_refused() -> None:
    graph = model()
    blind = graph.evolve(outputs=(graph.outputs[0].__class__(
        "early", graph.sites["blocks.0.resid_pre"].place.value, ("batch", "seq", "embed")
    ),))  # fmt: skip
    with pytest.raises(UnreachableEditError, match="do nothing"):
        blind.apply(p.Ablate("blocks.0.mlp.post"))


def test_a_failing_pass_names_those_before_it() -> None:
    with pytest.raises(SelectionError, match=r"in pass Ablate.*after Scale"):
        model().apply(p.Scale("blocks.0.mlp.out", 2.0), p.Ablate("nowhere"))


def test_recipes_come_back_equal_and_mean_the_same(tmp_path) -> None:
    recipe = [
        p.Ablate("blocks.0.mlp.post", where={"mlp": 3, "seq": slice(1, None)}),
        p.Steer("blocks.*.resid_pre", NamedArray(VECTOR, ("embed",)), scale=4.0),
        p.Map("blocks.0.mlp.post", lambda x: ops.relu(x) * 0.3 + x.mean("mlp")),
        p.Collect("blocks.*.resid_pre"),
        p.LoRA("**.up", rank=2, key=0),
    ]
    save_recipe(recipe, tmp_path / "recipe")
    back = load_recipe(tmp_path / "recipe")
    assert [back[i] for i in (0, 1, 3, 4)] == [recipe[i] for i in (0, 1, 3, 4)]
    assert isinstance(back[2].function, Graph)
    np.testing.assert_array_equal(run(model().apply(*recipe), x=X), run(model().apply(*back), x=X))


def test_recipes_refuse_what_they_cannot_hold_and_keep_the_old_one(tmp_path) -> None:
    path = tmp_path / "recipe"
    save_recipe([p.Scale("blocks.0.mlp.out", 2.0)], path)
    with pytest.raises(StorageError, match="cannot hold"):
        save_recipe([p.Scale("blocks.0.mlp.out", object())], path)
    with pytest.raises(StorageError, match="cannot be saved"):
        save_recipe([p.Map("model.mlp", lambda x: x.sum("embed"))], path)
    assert load_recipe(path) == [p.Scale("blocks.0.mlp.out", 2.0)]
    text = (path / "recipe.json").read_text()
    (path / "recipe.json").write_text(text[: len(text) // 2])
    with pytest.raises(StorageError, match="not a whole recipe"):
        load_recipe(path)


def test_the_old_graph_stays_valid() -> None:
    graph = model()
    before = run(graph, x=X)
    graph.apply(p.Ablate("blocks.0.mlp.post"), p.Steer("blocks.0.resid_pre", VECTOR))
    np.testing.assert_array_equal(run(graph, x=X), before)
