"""Random recipes over all passes, in any order, compose: on models of every shape and backend.

A pass may refuse what a model or the passes before it do not allow, by one of the errors that tell
a user so. Whatever it accepts verifies, keeps what it promises to keep, and means the same on numpy
and a compiled backend, from PyTorch and from JAX, and through a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import (
    AxisError,
    InputError,
    RewriteError,
    SelectionError,
    UnreachableEditError,
    UnsupportedOpError,
)
from graftwork.ir.size_values import evaluate
from tests.passes.interventions.decoder import jax_graph, torch_graph
from tests.passes.weights.models import converted
from tests.property.recipes import APART, CATALOGUE, drawn

REFUSALS = (InputError, RewriteError, SelectionError, UnreachableEditError, UnsupportedOpError)
RESHAPE = (p.PruneHeads, p.PruneNeurons, p.PruneDead, p.SoftPrompt)
"""Behind these a source run of the model as it was may not fit the graph as it is."""
Outputs = Mapping[str, np.ndarray]


@cache
def in_doubles(family: str) -> gw.Graph:
    return converted(family).apply(p.Cast("f64"))


MODELS: Mapping[str, Callable[[], gw.Graph]] = {
    "torch": torch_graph,
    "jax": jax_graph,
    "gpt2": lambda: in_doubles("gpt2"),
    "llama": lambda: in_doubles("llama"),
    "t5": lambda: in_doubles("t5"),
}
SYMBOLS = {"batch": 3, "seq": 5, "decoder_seq": 4, "worlds": 2}


def inputs_of(graph: gw.Graph) -> dict[str, Any]:
    """An array for every input, the same for the same name."""
    given = {}
    for port in graph.inputs:
        rng = np.random.default_rng(sum(port.name.encode()))
        shape = [1 if a is None else evaluate(graph.axes[a], SYMBOLS) for a in port.layout]
        dtype = port.value.type.dtype
        word = port.name.rpartition(".")[2]
        if word == "attention_mask":
            array = np.ones(shape, np.int64)
            array[..., 0, -1] = 0
        elif dtype.is_float:
            array = rng.random(shape)
        else:
            array = rng.integers(1, 9, shape)
        given[port.name] = array.astype(dtype.numpy)
    return given


def run(graph: gw.Graph, backend: str = "numpy") -> Outputs:
    options = {"mode": "eager"} if backend == "torch" else {}
    out = gw.compile(graph, backend, **options)(**inputs_of(graph))
    return {name: np.asarray(array) for name, array in out.items()}


def assert_same(found: Outputs, wanted: Outputs, names: Sequence[str], close: float) -> None:
    for name in names:
        scale = max(1.0, float(np.nan_to_num(np.abs(wanted[name])).max(initial=0)))
        np.testing.assert_allclose(
            found[name] / scale, wanted[name] / scale, rtol=0, atol=close, err_msg=name
        )


def tolerance(steps: Sequence[p.Pass]) -> float:
    """Outputs and some weights may be in single precision."""
    return 3e-5 if any(isinstance(s, p.Cast | p.CastWeights) for s in steps) else 3e-6


def accepted(data: Any, graph: gw.Graph, length: int, kinds: Sequence[Any]) -> list[p.Pass]:
    """A recipe that composes, each step held to what it promises."""
    recipe: list[p.Pass] = []
    before, numbers = graph, run(graph)
    for _ in range(length):
        steps = drawn(data.draw, graph, kinds)
        try:
            after = graph.apply(*recipe, *steps)
        except REFUSALS:
            continue
        except AxisError:
            assert any(isinstance(step, RESHAPE) for step in recipe)
            continue
        recipe += steps
        results = run(after)
        if len(steps) == 1 and steps[0].promise != "changes":
            kept = [o.name for o in before.outputs if o.name in results]
            assert len(kept) == len(before.outputs) or isinstance(steps[0], p.Keep)
            assert_same(results, numbers, kept, tolerance(recipe))
        before, numbers = after, results
    return recipe


def test_no_public_pass_is_forgotten() -> None:
    public = {c for c in vars(p).values() if isinstance(c, type) and issubclass(c, p.Pass)}
    assert public == {*CATALOGUE, *APART}


def check(data: Any, name: str, backend: str) -> None:
    graph = MODELS[name]()
    recipe = accepted(data, graph, 4, list(CATALOGUE))
    new = graph.apply(*recipe)
    assert_same(run(new, backend), run(new), [o.name for o in new.outputs], tolerance(recipe))


QUICK = settings(
    max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)


@pytest.mark.parametrize("name", ["torch", "jax", "llama"])
@given(data=st.data())
@QUICK
def test_random_recipes_compose(name: str, data: Any) -> None:
    check(data, name, "onnx")


@pytest.mark.all
@pytest.mark.parametrize("backend", ["jax", "torch", "onnx"])
@pytest.mark.parametrize("name", MODELS)
@given(data=st.data())
@settings(QUICK, max_examples=100)
def test_many_random_recipes_compose(name: str, backend: str, data: Any) -> None:
    check(data, name, backend)


NAMED = (p.AsInputs, p.Learned, p.RankOne)  # parameters are called otherwise in the other framework


@given(data=st.data())
@settings(QUICK, max_examples=5)
def test_one_recipe_means_the_same_from_both_frameworks_through_a_file(
    data: Any, tmp_path_factory: Any
) -> None:
    kinds = [kind for kind in CATALOGUE if kind not in NAMED]
    recipe = accepted(data, torch_graph(), 3, kinds)
    folder = tmp_path_factory.mktemp("recipe") / "recipe"
    gw.save_recipe(recipe, folder)
    again = gw.load_recipe(folder)
    graphs = [torch_graph().apply(*again), jax_graph().apply(*again)]
    wanted = run(torch_graph().apply(*recipe))
    names = [o.name for o in graphs[0].outputs]
    assert names == [o.name for o in graphs[1].outputs]
    for graph in graphs:
        assert_same(run(graph), wanted, names, tolerance(recipe))
