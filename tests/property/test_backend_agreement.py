"""Every backend against numpy: on samples of every op, and on random graphs.

What a backend refuses must be listed here; what is listed must be refused.
"""

from collections import defaultdict
from functools import cache
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graftwork.ir import ops
from graftwork.ir.errors import InputError
from graftwork.ir.graph import Graph
from graftwork.ir.op import REGISTRY
from graftwork.testing import graphs
from graftwork.testing.contracts import check_backends
from graftwork.testing.equivalence import Expected, told, typical_inputs
from graftwork.testing.running import Inputs, Refusal, run_on, run_on_jax
from graftwork.testing.strategies import drawn_sample

assert ops
SAMPLES = 4
REFUSED: dict[str, set[str]] = {"torch": set(), "jax": set(), "onnx": set()}
WRONG = {  # what the runtime itself gets wrong on some sample
    ("onnx", "prod"): "ReduceProd multiplies integers as floats, which do not wrap around",
}
Case = tuple[Graph, Inputs]


@cache
def cases(name: str) -> list[Case]:
    """Samples of an op, the first the simplest, each on other inputs."""
    found = []
    for seed in range(SAMPLES):
        rng = Random(f"{name} {seed}")
        numbers = [rng.randrange(256) for _ in range(40)] if seed else []
        graph = drawn_sample(REGISTRY[name], numbers).graph
        found.append((graph, list(typical_inputs(graph, SAMPLES))[seed]))
    return found


def check(name: str, backend: str, found: list[dict[str, np.ndarray] | Refusal]) -> None:
    refusals = [result for result in found if isinstance(result, Refusal)]
    assert bool(refusals) == (name in REFUSED[backend]), refusals
    for (graph, inputs), result in zip(cases(name), found, strict=True):
        if not isinstance(result, Refusal):
            try:
                Expected.of(graph, inputs).check(result, backend)
            except AssertionError as error:
                raise AssertionError(f"{error}\non {told(inputs)}\n{graph}") from error


@pytest.mark.parametrize("backend", ["torch", "onnx"])
@pytest.mark.parametrize("name", REGISTRY)
def test_an_op_is_computed_as_numpy_does(name: str, backend: str) -> None:
    if (backend, name) in WRONG:
        with pytest.raises((AssertionError, InputError)):
            check(name, backend, [run_on(backend, *case) for case in cases(name)])
    else:
        check(name, backend, [run_on(backend, *case) for case in cases(name)])


def families() -> dict[str, list[str]]:
    """Ops by the module that defines them, a few at a time: one XLA program each."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for place, name in enumerate(REGISTRY):
        found[f"{place // 12:02}"].append(name)
    return found


@pytest.mark.parametrize("family", families())
def test_ops_are_computed_as_numpy_does_by_jax(family: str) -> None:
    names = families()[family]
    every = [case for name in names for case in cases(name)]
    found = run_on_jax(every)
    for place, name in enumerate(names):
        check(name, "jax", found[place * SAMPLES : (place + 1) * SAMPLES])


SOUND = [op for name, op in REGISTRY.items() if ("onnx", name) not in WRONG]


@settings(max_examples=25)
@given(graphs(ops=SOUND, max_nodes=8))
def test_random_graphs_run_alike(graph: Graph) -> None:
    assert check_backends(graph, backends=("torch", "onnx")) == []


@settings(max_examples=2)
@given(st.lists(graphs(max_nodes=6), min_size=12, max_size=12))
def test_random_graphs_run_alike_on_jax(many: list[Graph]) -> None:
    cases = [(graph, next(typical_inputs(graph))) for graph in many]
    for (graph, inputs), found in zip(cases, run_on_jax(cases), strict=True):
        assert not isinstance(found, Refusal)
        try:
            Expected.of(graph, inputs).check(found, "jax")
        except AssertionError as error:
            raise AssertionError(f"{error}\non {told(inputs)}\n{graph}") from error
