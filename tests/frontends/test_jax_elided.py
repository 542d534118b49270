"""Layers between the second and the last are left out, and what comes back is the whole model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attrs import evolve

import graftwork as gw
from graftwork.frontends.jax import Program, read
from graftwork.ir.digest import equal
from graftwork.ir.elided import restored
from graftwork.ir.verify import verify
from graftwork.passes.importing import imported, simplified
from tests.frontends.jax_support import agree, normal
from tests.frontends.test_jax_repeats import SEQ, SIZE, Layer, block, layer, norm, stack

X = normal(2, SEQ, SIZE, dtype=np.float32)
AXES = {0: "batch seq features=8"}
Arrays = dict[str, Any]


def layers(count: int, **options: int) -> list[Arrays]:
    return [layer(i, **options) for i in range(count)]


def decoder(params: Arrays, x: Any) -> Any:
    x = stack(params["layers"], x + params["embed"])
    return norm(x, params["scale"]) @ params["head"]


def head(count: int) -> Arrays:
    weights = {"embed": (SIZE,), "scale": (SIZE,), "head": (SIZE, 11)}
    arrays = {name: normal(*shape, dtype=np.float32) for name, shape in weights.items()}
    return {"layers": layers(count), **arrays}


def alternating(params: list[Arrays], x: Any) -> Any:
    """Every other layer does not attend."""
    for number, weights in enumerate(params):
        x = without_attention([weights], x) if number % 2 else block(weights, x)
    return x


def two_stacks(params: Arrays, x: Any) -> Any:
    return stack(params["second"], jnp.tanh(stack(params["first"], x)))


def states(params: list[Arrays], x: Any) -> Any:
    found = []
    for weights in params:
        x = block(weights, x)
        found.append(x)
    return found


def first_value(params: list[Arrays], x: Any) -> Any:
    """Every layer reads what the first one gave."""
    kept = None
    for weights in params:
        x = block(weights, x)
        kept = x if kept is None else kept
        x = x + kept * weights["scale"]
    return x


def read_again(params: list[Arrays], x: Any) -> Any:
    """Something after the layers reads what one in the middle has."""
    return stack(params, x) * params[3]["scale"]


def without_attention(params: list[Arrays], x: Any) -> Any:
    """No block is recognised, nor has any site."""
    for weights in params:
        x = x + jax.nn.gelu(norm(x, weights["scale"]) @ weights["up"]) @ weights["down"]
    return x


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        for _ in range(6):
            x = Layer()(x)
        return nn.Dense(3)(x)


def linen() -> tuple[Any, Any]:
    module = Linen()
    return module.apply, module.init(jax.random.key(0), jnp.zeros((1, SEQ, SIZE)))


# What is left out of each model, and whether the rest shows what that is.
CASES: dict[str, tuple[Callable[[], tuple[Any, Any]], list[int]]] = {
    "a stack": (lambda: (stack, layers(6)), [3]),
    "with a beginning and an end": (lambda: (decoder, head(5)), [2]),
    "two layers at a time": (lambda: (alternating, layers(10)), [2]),
    "a module": (linen, [3]),
    "no attention": (lambda: (without_attention, layers(7)), [4]),
    "two stacks": (
        lambda: (two_stacks, {"first": layers(5), "second": layers(6, wide=20)}),
        [2, 3],
    ),
    "all states are outputs": (lambda: (states, layers(6)), []),
    "all read what the first gave": (lambda: (first_value, layers(6)), []),
    "a weight is read again": (lambda: (read_again, layers(6)), []),
    "few": (lambda: (stack, layers(3)), []),
}


def program(case: str) -> Program:
    function, params = CASES[case][0]()
    return read(function, X, params=params, axes=AXES, simplify=simplified)


@pytest.mark.parametrize("case", CASES)
def test_what_is_left_out_comes_back(case: str) -> None:
    found = program(case)
    short, elided = found.short()
    assert [len(each.layers) for each in elided] == CASES[case][1]
    graph, whole = restored(imported(short), elided), imported(found.graph())
    assert graph is not None
    verify(graph)
    assert equal(graph, whole, origins=True)
    assert list(graph.sites) == list(whole.sites)
    assert {name: id(array) for name, array in graph.store.items()} == {
        name: id(array) for name, array in whole.store.items()
    }


@pytest.mark.parametrize("case", CASES)
def test_the_graph_computes_what_the_model_does(case: str) -> None:
    function, params = CASES[case][0]()
    graph = gw.from_jax(function, X, params=params, axes=AXES)
    agree(graph, {graph.inputs[0].name: X}, function(params, X), 1e-5)


# Ways to say the same as `decoder`.
JITTED: dict[str, Callable[..., Any]] = {
    "once": jax.jit(decoder),
    "twice": jax.jit(jax.jit(decoder)),
    "with an argument that it does not read": jax.jit(lambda params, x, y: decoder(params, x)),
}


@pytest.mark.parametrize("way", JITTED)
def test_a_jitted_model_is_the_model(way: str) -> None:
    params = head(5)
    more = (X,) if "argument" in way else ()
    graph = gw.from_jax(JITTED[way], X, *more, params=params, axes=AXES)
    plain = gw.from_jax(decoder, X, params=params, axes=AXES)
    assert list(graph.sites) == list(plain.sites)
    assert [node.op for node in graph.nodes] == [node.op for node in plain.nodes]
    inputs = {port.name: X for port in graph.inputs}
    agree(graph, inputs, decoder(params, X), 1e-5)


def linear(params: list[Arrays], x: Any) -> Any:
    """Blocks whose MLP does not bend, which no site can be told of."""
    for weights in params:
        x = stack([weights], x)
        x = x + norm(x, weights["scale"]) @ weights["up"] @ weights["down"]
    return x


def test_what_the_rest_does_not_show_is_imported_as_a_whole() -> None:
    params = layers(6)
    found = read(linear, X, params=params, axes=AXES, simplify=simplified)
    short, elided = found.short()
    assert elided
    assert restored(imported(short), elided) is None
    graph = gw.from_jax(linear, X, params=params, axes=AXES)
    assert equal(graph, imported(found.graph()), origins=True)
    agree(graph, {"x": X}, linear(params, X), 1e-5)


def test_as_many_nodes_are_worked_on_at_any_depth() -> None:
    def worked_on(depth: int) -> int:
        found = read(stack, X, params=layers(depth), axes=AXES, simplify=simplified)
        return len(found.short()[0].nodes)

    assert worked_on(5) == worked_on(20)


def test_an_edit_of_one_layer_lets_it_be_shown_no_more() -> None:
    """Then the whole model is to be imported."""
    short, elided = program("with a beginning and an end").short()
    graph = imported(short)
    second = graph.sites["blocks.1.mlp.post"].place.value
    at = next(i for i, node in enumerate(graph.nodes) if second in node.inputs)
    nodes = list(graph.nodes)
    nodes[at] = evolve(nodes[at], inputs=nodes[at].inputs[::-1])
    assert restored(graph, elided) is not None
    assert restored(graph.evolve(nodes=tuple(nodes)), elided) is None


def test_sites_that_are_not_recognised_are_told_of_every_layer() -> None:
    short, elided = program("with a beginning and an end").short()
    graph = imported(short)
    sites = evolve(graph.sites, unrecognised={"blocks.1": "a reason"})
    assert restored(graph.evolve(sites=sites), elided) is None
