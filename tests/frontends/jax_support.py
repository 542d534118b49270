"""Differential checks of converted JAX programs: the graph on numpy against the program itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

import graftwork as gw
from graftwork.backends.reference import compile
from graftwork.frontends.jax import read
from graftwork.ir.binding import flatten
from graftwork.ir.graph import Graph
from graftwork.ir.verify import verify


def normal(*shape: int, seed: int = 0, dtype: Any = np.float64) -> np.ndarray[Any, Any]:
    """Random numbers that do not depend on the order of tests."""
    rng = np.random.default_rng([seed, *shape])
    return rng.standard_normal(shape).astype(dtype)


def from_jax(model: Any, *args: Any, **options: Any) -> Graph:
    """The graph in raw form."""
    return read(model, *args, **options).graph()


def named(result: Any) -> dict[str, np.ndarray[Any, Any]]:
    """What a JAX function returns, as the outputs of its graph are called."""
    found = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(result)[0]:
        words = jax.tree_util.keystr(path, simple=True, separator=".")
        name = re.sub(r"^(\d+|$)", r"output_\1", words).rstrip("_")
        data = (
            jax.random.key_data(leaf)
            if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            else leaf
        )
        found[name] = np.asarray(data)
    return found


def agree(graph: Graph, inputs: Mapping[str, Any], expected: Any, tolerance: float) -> None:
    """The graph gives what the program gave: names, shapes, dtypes, numbers."""
    results = compile(graph)(**inputs)
    wanted = named(expected)
    assert list(results) == list(wanted)
    for name, array in wanted.items():
        got = np.asarray(results[name].array)
        assert got.dtype == array.dtype, name
        assert got.shape == array.shape, name
        if array.dtype.kind in "fV":
            scale = max(1.0, float(np.max(np.abs(array[np.isfinite(array)]), initial=0.0)))
            np.testing.assert_allclose(
                got.astype(np.float64), array.astype(np.float64), rtol=tolerance,
                atol=tolerance * scale, err_msg=name,
            )  # fmt: skip
        else:
            np.testing.assert_array_equal(got, array, err_msg=name)


def check(
    function: Any,
    *args: Any,
    params: Any = None,
    axes: Mapping[Any, str] | None = None,
    others: Sequence[Sequence[Any]] = (),
    tolerance: float = 1e-9,
    run: Any = None,
) -> Graph:
    """Convert at `args`, and compare there and at `others`."""
    graph = from_jax(function, *args, params=params, axes=axes)
    verify(graph)
    call = run or (function if params is None else lambda *given: function(params, *given))
    call = jax.jit(call, compiler_options={"xla_backend_optimization_level": 0})
    names = list(dict.fromkeys(port.name.split(".")[0] for port in graph.inputs))
    for given in (args, *others):
        arrays = [arg for arg in given if jax.tree_util.tree_leaves(arg)]
        inputs = dict(flatten(dict(zip(names, arrays, strict=True))))
        agree(graph, inputs, call(*given), tolerance)
    return graph


NEAR = 2e-5


def everywhere(function: Any, *args: Any, axes: Any = None, others: Any = ()) -> gw.Graph:
    """Convert at `args`, and compare on every backend there and at `others`."""
    graph = gw.from_jax(function, *args, axes=axes)
    names = [port.name for port in graph.inputs]
    for backend in ("numpy", "jax", "torch", "onnx"):
        program = gw.compile(graph, backend, **({"mode": "eager"} if backend == "torch" else {}))
        for given in (args, *others):
            wanted = named(jax.jit(function)(*given))
            inputs = dict(zip(names, map(words, jax.tree_util.tree_leaves(given)), strict=True))
            found = program(**inputs)
            assert set(found) == set(wanted)
            for name, array in wanted.items():
                scale = max(1.0, float(np.abs(array).max(initial=0.0)))
                np.testing.assert_allclose(
                    np.asarray(found[name]), array, NEAR, NEAR * scale, err_msg=f"{backend} {name}"
                )
    return graph


def words(leaf: Any) -> Any:
    is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)
