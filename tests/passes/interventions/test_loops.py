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
    with pytest.raises(InputError, match="time = 5 must be at least 8"):
        last(graph.apply(p.Scale(TANH, 2.0, where={"steps": 7})))


OTHER = RNG.standard_normal(X.shape)


def states(x: Array, hook: Callable[[int, Array], Array] = lambda t, h: h) -> Array:
    """The states of every step."""
    h, rows = np.zeros((3, WIDTH)), []
    for t in range(x.shape[1]):
        h = hook(t, np.tanh(x[:, t] @ W + h @ U))
        rows.append(h)
    return np.stack(rows)


@pytest.mark.parametrize("backend", ["numpy", "jax", "torch", "onnx"])
def test_values_of_all_steps_are_collected_and_patched(backend: str) -> None:
    graph = scanned()
    axis = width(graph)
    edits = [p.Collect(TANH), p.Patch(TANH, {"steps": [1, 3], axis: slice(0, 2)}, "clean")]
    options = {"mode": "eager"} if backend == "torch" else {}
    out = gw.compile(graph.apply(*edits), backend, **options)(x=X, clean={"x": OTHER})
    taken, chosen = states(OTHER), np.arange(WIDTH) < 2

    def hook(t: int, h: Array) -> Array:
        return np.where(chosen, taken[t], h) if t in (1, 3) else h

    (name,) = set(out) - {"last", "states"}
    assert out[name].axes == ("time", "batch", axis)
    close(np.asarray(out[name]), states(X, hook))
    close(np.asarray(out["last"]), states(X, hook)[-1])


def test_arrays_have_a_row_for_each_step() -> None:
    graph, rows = scanned(), RNG.standard_normal((STEPS, WIDTH))
    wanted = hooked(lambda t, h: h + rows[t])
    named = gw.NamedArray(rows.T, (width(graph), "time"))
    close(last(graph.apply(p.Steer(TANH, named))), wanted)
    close(last(graph.apply(p.Ablate(TANH, mean=named))), hooked(lambda t, h: 0 * h + rows[t]))
    steps = p.Mask(np.arange(STEPS) % 2 == 0)
    found = last(graph.apply(p.Scale(TANH, 2.0, where={"steps": steps})))
    close(found, hooked(lambda t, h: h if t % 2 else 2 * h))
    given = RNG.standard_normal((STEPS, 3, WIDTH))
    wanted = hooked(lambda t, h: given[t] if t in (2, 3) else h)
    close(last(graph.apply(p.Patch(TANH, {"steps": slice(2, 4)}, input="h")), h=given), wanted)
    close(last(graph.apply(p.Patch(TANH, {"steps": slice(2, 4)}, value=given))), wanted)


def test_a_clone_of_a_loop_is_not_edited_with_it() -> None:
    graph = scanned().apply(p.Patch(TANH, {"steps": 2}, "clean"), p.Scale(TANH, 2.0))
    taken = states(OTHER)
    found = last(graph, clean={"x": OTHER})  # what tanh gives is scaled, before it is replaced
    close(found, hooked(lambda t, h: taken[t] if t == 2 else 2 * h))


def nested(params: Any, x: Any) -> Any:
    """Two rounds of a loop, each of which goes along time."""

    def again(h: Any, scale: Any) -> Any:
        def step(h: Any, row: Any) -> Any:
            return jnp.tanh(row @ params["w"] * scale + h @ params["u"]), None

        return jax.lax.scan(step, h, jnp.swapaxes(x, 0, 1))[0], None

    start = jnp.zeros((x.shape[0], WIDTH))
    return {"last": jax.lax.scan(again, start, jnp.array([1.0, 0.5]))[0]}


def test_loops_in_loops_give_and_take_a_row_for_each_step_of_both() -> None:
    with jax.enable_x64(True):
        graph = gw.from_jax(nested, X, params={"w": W, "u": U}, axes={0: "batch time width=4"})

    def run(x: Array, hook: Callable[[int, int, Array], Array] = lambda n, t, h: h) -> Array:
        h, rows = np.zeros((3, WIDTH)), np.zeros((2, STEPS, 3, WIDTH))
        for n, t in np.ndindex(2, STEPS):
            h = rows[n, t] = hook(n, t, np.tanh(x[:, t] @ W * (1.0, 0.5)[n] + h @ U))
        return rows

    (found,) = graph.select(op="tanh")
    outer, inner = found.scanned
    edit = p.Patch(TANH, {outer: 1, inner: [0, 3]}, "clean")
    taken = run(OTHER)
    rows = run(X, lambda n, t, h: taken[n, t] if n == 1 and t in (0, 3) else h)
    out = gw.compile(graph.apply(p.Collect(TANH), edit), "onnx")(x=X, clean={"x": OTHER})
    (name,) = set(out) - {"last"}
    assert out[name].axes[:2] == (outer, inner)
    close(np.asarray(out[name]), rows)
    close(np.asarray(out["last"]), rows[-1, -1])
    each = RNG.standard_normal((2, STEPS, WIDTH))
    named = gw.NamedArray(each, (outer, inner, found.axes[-1]))
    close(last(graph.apply(p.Steer(TANH, named))), run(X, lambda n, t, h: h + each[n, t])[-1, -1])
    written = graph.apply(p.Unroll(), p.Scale(TANH, 0.5))
    close(last(written), run(X, lambda n, t, h: 0.5 * h)[-1, -1])


def choosing(x: Any) -> Any:
    def rounds(carry: Any) -> Any:
        return carry[0] + 1, jnp.tanh(carry[1])

    x = jax.lax.cond(x.sum() > 0, jnp.exp, jnp.sin, x)
    return {"last": jax.lax.while_loop(lambda c: c[0] < 3, rounds, (0, x))[1]}


@pytest.mark.parametrize("op", ["tanh", "exp"])
def test_what_need_not_run_is_edited_but_not_read(op: str) -> None:
    with jax.enable_x64(True):
        graph = gw.from_jax(choosing, X, axes={0: "batch time width=4"})
    where = gw.Selector(op=op)
    word = {"tanh": "while", "exp": "cond"}[op]
    for edit in (p.Collect(where), p.Patch(where, source="clean")):
        with pytest.raises(SelectionError, match=f"inside a '{word}'.*need not compute it"):
            graph.apply(edit)
    x = X + 3  # takes the first branch
    wanted = np.exp(x) * (2 if op == "exp" else 1)
    for _ in range(3):
        wanted = np.tanh(wanted) * (2 if op == "tanh" else 1)
    run = gw.compile(graph.apply(p.Scale(where, 2.0)), "numpy")
    close(np.asarray(run(x=x)["last"]), wanted)


def test_a_recurrent_layer_of_torch_by_steps_of_any_number() -> None:
    torch.manual_seed(0)
    layer = torch.nn.GRU(WIDTH, WIDTH, batch_first=True).double()
    graph = gw.from_torch(layer, torch.tensor(X), axes={0: "batch time width=4"})
    (found,) = graph.select(op="tanh")
    (axis,) = found.scanned
    longer = np.concatenate([X, OTHER], 1)
    edit = p.Patch(TANH, {axis: [4, 7]}, "clean")
    names = [port.name for port in graph.outputs]
    (entry,) = [port.name for port in graph.inputs]
    run = gw.compile(graph.apply(p.Collect(TANH), edit), "numpy")
    out = run(**{entry: longer, "clean": {entry: -longer}})
    (name,) = set(out) - set(names)

    w = {k: v.detach().numpy() for k, v in layer.named_parameters()}

    def new(x: Array, hook: Callable[[int, Array], Array]) -> tuple[Array, Array]:
        h, rows = np.zeros((3, WIDTH)), []
        for t in range(x.shape[1]):
            a = x[:, t] @ w["weight_ih_l0"].T + w["bias_ih_l0"]
            b = h @ w["weight_hh_l0"].T + w["bias_hh_l0"]
            r, z = (1 / (1 + np.exp(-(a + b)[:, i * WIDTH : (i + 1) * WIDTH])) for i in (0, 1))
            n = hook(t, np.tanh(a[:, 2 * WIDTH :] + r * b[:, 2 * WIDTH :]))
            rows.append(n)
            h = (1 - z) * n + z * h
        return np.stack(rows), h

    taken, _ = new(-longer, lambda t, n: n)
    rows, end = new(longer, lambda t, n: taken[t] if t in (4, 7) else n)
    order = [out[name].axes.index(a) for a in (axis, "batch")]
    close(np.moveaxis(np.asarray(out[name]), order, (0, 1)), rows)
    ends = [np.asarray(out[n]) for n in names if np.asarray(out[n]).size == end.size]
    close(ends[0].reshape(end.shape), end)


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
