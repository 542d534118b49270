"""Edits at single steps of recurrences, unrolled by PyTorch or scanned by JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork import passes as p
from graftwork.ir.errors import InputError, SelectionError

Array = np.ndarray[Any, Any]
WIDTH, STEPS = 4, 5
RNG = np.random.default_rng(0)
W, U = RNG.standard_normal((2, WIDTH, WIDTH))
X = RNG.standard_normal((3, STEPS, WIDTH))
VECTOR = np.arange(1.0, WIDTH + 1)
TANH = gw.Selector(op="tanh")


def recurrence(params: Any, x: Any) -> Any:
    def step(h: Any, row: Any) -> Any:
        h = jnp.tanh(row @ params["w"] + h @ params["u"])
        return h, h

    last, states = jax.lax.scan(step, jnp.zeros((x.shape[0], WIDTH)), jnp.swapaxes(x, 0, 1))
    return {"last": last, "states": jnp.swapaxes(states, 0, 1)}


def scanned() -> gw.Graph:
    with jax.enable_x64(True):
        return gw.from_jax(recurrence, X, params={"w": W, "u": U}, axes={0: "batch time width=4"})


def width(graph: gw.Graph) -> str:
    """The axis of the state."""
    return graph.select(op="tanh").found[0].axes[-1]


def hooked(hook: Callable[[int, Array], Array] = lambda t, h: h) -> Array:
    h = np.zeros((3, WIDTH))
    for t in range(STEPS):
        h = hook(t, np.tanh(X[:, t] @ W + h @ U))
    return h


def last(graph: gw.Graph, backend: str = "numpy", **more: Any) -> Array:
    options = {"mode": "eager"} if backend == "torch" else {}
    return np.asarray(gw.compile(graph, backend, **options)(x=X, **more)["last"])


def close(a: Array, b: Array) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", ["numpy", "jax", "torch", "onnx"])
def test_a_step_of_a_scan_is_edited_on_every_backend(backend: str) -> None:
    graph = scanned()
    close(last(graph), hooked())
    edits = [
        p.Steer(TANH, VECTOR, where={"steps": 3}),
        p.Ablate(TANH, where={"time": [0, -1], width(graph): 1}),
    ]

    def hook(t: int, h: Array) -> Array:
        h = h + VECTOR if t == 3 else h
        return np.where((np.arange(WIDTH) == 1) & (t in (0, STEPS - 1)), 0, h)

    close(last(graph.apply(*edits), backend), hooked(hook))


def test_steps_by_slice_by_example_and_all_of_them() -> None:
    graph = scanned()
    found = last(graph.apply(p.Scale(TANH, 2.0, where={"steps": slice(1, None, 2)})))
    close(found, hooked(lambda t, h: 2 * h if t % 2 else h))
    close(last(graph.apply(p.Scale(TANH, 2.0))), hooked(lambda t, h: 2 * h))
    given = np.array([0, 4, 2])
    found = last(graph.apply(p.Scale(TANH, 2.0, where={"steps": p.Positions("at")})), at=given)
    close(found, hooked(lambda t, h: np.where((given == t)[:, None], 2 * h, h)))


def test_an_edit_inside_a_scan_reads_arrays_from_outside() -> None:
    rows = np.linalg.qr(RNG.standard_normal((WIDTH, 2)))[0].T
    graph = scanned()
    edit = p.Patch(TANH, {"steps": 2, width(graph): p.Basis(rows)}, value=VECTOR)
    span = rows.T @ rows
    close(last(graph.apply(edit)), hooked(lambda t, h: h + (VECTOR - h) @ span if t == 2 else h))


def test_a_step_that_is_not_there_is_refused() -> None:
    graph = scanned()
    for where, words in (({"step": 1}, "'steps'"), ({"steps": p.LastReal("x")}, "by number")):
        with pytest.raises(SelectionError, match=words):
            graph.apply(p.Scale(TANH, 2.0, where=where))
    for edit in (p.Collect(TANH), p.Patch(TANH, source="clean")):
        with pytest.raises(SelectionError, match="inside a loop"):
            graph.apply(edit)
    with pytest.raises(InputError, match="time = 5 must be at least 8"):
        last(graph.apply(p.Scale(TANH, 2.0, where={"steps": 7})))


class Unrolled(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = torch.nn.RNNCell(WIDTH, WIDTH, bias=False)
        self.cell.weight_ih.data, self.cell.weight_hh.data = (torch.tensor(w.T) for w in (W, U))

    def forward(self, x: Any) -> Any:
        h = torch.zeros(x.shape[0], WIDTH, dtype=x.dtype)
        for t in range(STEPS):
            h = self.cell(x[:, t], h)
        return {"last": h}


@pytest.mark.parametrize("step", range(STEPS))
def test_a_step_of_an_unrolled_recurrence_is_the_place_of_that_number(step: int) -> None:
    graph = gw.from_torch(Unrolled(), torch.tensor(X), axes={0: f"batch time={STEPS} width=4"})
    found = last(graph.apply(p.Scale(gw.Selector(op="tanh", nth=step), 2.0)))
    close(found, hooked(lambda t, h: 2 * h if t == step else h))
