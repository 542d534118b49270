"""Running graphs on backends as tests want it: without compilers that take seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from attrs import frozen

from graftwork.backends.program import Program
from graftwork.ir.errors import UnsupportedOpError
from graftwork.ir.graph import Graph
from graftwork.ir.store import as_numpy

Array = np.ndarray[Any, Any]
Inputs: TypeAlias = Mapping[str, Array]
Outputs: TypeAlias = "dict[str, Array]"


@frozen
class Refusal:
    """A backend's own word that it cannot compute a graph."""

    backend: str
    message: str


def run_on(backend: str, graph: Graph, inputs: Inputs) -> Outputs | Refusal:
    """The outputs of a graph on a backend in positional form, or its refusal.

    torch runs eagerly; for many graphs on JAX, `run_on_jax` compiles them at once.
    """
    if backend == "jax":
        return run_on_jax([(graph, inputs)])[0]
    try:
        found = _compiled(backend, graph)(**inputs)
    except UnsupportedOpError as error:
        return Refusal(backend, str(error))
    return {name: as_numpy(array.array) for name, array in found.items()}


def _compiled(backend: str, graph: Graph) -> Program:
    if backend == "torch":
        from graftwork.backends import torch

        return torch.compile(graph, "cpu", mode="eager")
    from graftwork import backends

    return backends.compile(graph, backend, "cpu")


def run_on_jax(cases: Sequence[tuple[Graph, Inputs]]) -> list[Outputs | Refusal]:
    """The outputs of many graphs, compiled by XLA as one program."""
    import jax

    from graftwork.backends.jax import to_jax

    results: list[Outputs | Refusal | None] = []
    functions = []
    arguments = []
    for graph, inputs in cases:
        function, params = to_jax(graph)
        try:
            with jax.enable_x64(True):
                jax.eval_shape(function, params, dict(inputs))
        except UnsupportedOpError as error:
            results.append(Refusal("jax", str(error)))
            continue
        results.append(None)
        functions.append(function)
        arguments.append((params, dict(inputs)))

    def everything(given: list[Any]) -> list[Any]:
        return [function(*pair) for function, pair in zip(functions, given, strict=True)]

    with jax.enable_x64(True):
        found = iter(jax.jit(everything)(arguments))
        return [
            {n: as_numpy(a) for n, a in next(found).items()} if result is None else result
            for result in results
        ]
