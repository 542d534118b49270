"""Measuring the frontend: a program of JAX against its graph on every backend."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax._src import core

import graftwork as gw
from tests.frontends.jax_programs.program import Program
from tests.frontends.jax_support import named

Results = Mapping[str, np.ndarray[Any, Any]]

BACKENDS = ("numpy", "jax", "torch", "onnx")
PASSES = "passes"

QUICKLY = {"xla_backend_optimization_level": 0}

# Relative to the largest number: what roundings in another order come to.
CLOSE = {"float64": 1e-10, "float32": 1e-5, "bfloat16": 2e-2, "float16": 2e-3}


def every_primitive() -> dict[str, str]:
    """All primitives of the installed JAX: name -> the module that defines it."""
    for package in ("jax._src.lax", "jax._src.random", "jax._src.state", "jax._src.export"):
        root = importlib.import_module(package)
        for module in pkgutil.walk_packages(root.__path__, f"{package}."):
            importlib.import_module(module.name)
    found: dict[str, str] = {}
    for name, module in sorted(sys.modules.items()):
        if name.startswith("jax._src."):
            for value in vars(module).values():
                if isinstance(value, core.Primitive):
                    found.setdefault(value.name, name.removeprefix("jax._src."))
    return found


def used(jaxpr: Any) -> Iterator[str]:
    """The names of all primitives in a jaxpr and in those that it calls."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for inner in core.jaxprs_in_params(equation.params):
            yield from used(inner)


def measure(program: Program) -> dict[str, str]:
    """What became of a program: backend -> `PASSES`, or the words of a refusal or a failure."""
    with jax.enable_x64(program.is_wide):
        source = jax.jit(program.function, compiler_options=QUICKLY)
        expected = named(source(*program.args))
        try:
            graph = gw.from_jax(program.function, *program.args)
        except Exception as error:
            return dict.fromkeys(BACKENDS, _words(error))
    inputs = dict(zip([port.name for port in graph.inputs], program.args, strict=True))
    return {backend: _on(backend, graph, inputs, expected, program) for backend in BACKENDS}


def _on(
    backend: str, graph: gw.Graph, inputs: Mapping[str, Any], expected: Results, program: Program
) -> str:
    options = {"mode": "eager"} if backend == "torch" else {}
    try:
        found = gw.compile(graph, backend, **options)(**inputs)
        results = {name: np.asarray(found[name]) for name in found}
    except Exception as error:
        return _words(error)
    try:
        assert list(results) == list(expected)
        for name, wanted in expected.items():
            _same(results[name], wanted, program.keeps_zeros)
    except AssertionError as error:
        return "differs: " + " ".join(str(error).split())[:300]
    return PASSES


def _same(found: Any, wanted: Any, keeps_zeros: bool) -> None:
    assert found.dtype == wanted.dtype, f"{found.dtype} instead of {wanted.dtype}"
    assert found.shape == wanted.shape, f"{found.shape} instead of {wanted.shape}"
    if wanted.dtype.name not in CLOSE:
        np.testing.assert_array_equal(found, wanted)
        return
    near = CLOSE[wanted.dtype.name]
    found, wanted = (array.astype(np.float64) for array in (found, wanted))
    scale = float(np.max(np.abs(wanted[np.isfinite(wanted)]), initial=0.0))
    atol = near * (0.0 if keeps_zeros else scale)
    np.testing.assert_allclose(found, wanted, rtol=near, atol=atol)
    if keeps_zeros:
        zero = wanted == 0
        np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(wanted[zero]))


def _words(error: Exception) -> str:
    """The first line of a refusal; anything that is not our own exception is a failure."""
    words = " ".join(str(error).split())[:300]
    own = isinstance(error, gw.GraftworkError)
    return f"refused: {words}" if own else f"fails: {type(error).__name__}: {words}"
