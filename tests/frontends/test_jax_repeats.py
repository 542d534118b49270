"""Layers that repeat are translated once, and become what each would have become by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import graftwork as gw
from graftwork.frontends.jax import translate
from graftwork.frontends.jax.repeats import Repetition, parts
from graftwork.frontends.jax.translate import Translator
from tests.frontends.jax_support import agree, normal

SIZE, HEADS, SEQ = 8, 2, 5
Arrays = dict[str, Any]


def layer(seed: int, wide: int = 12) -> Arrays:
    shapes = {"q": (SIZE, SIZE), "k": (SIZE, SIZE), "v": (SIZE, SIZE), "up": (SIZE, wide)}
    shapes |= {"down": (wide, SIZE), "scale": (SIZE,), "bias": (wide,)}
    return {name: normal(*shape, seed=seed, dtype=np.float32) / 4 for name, shape in shapes.items()}


def norm(x: Any, scale: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-5) * scale


def block(weights: Arrays, x: Any) -> Any:
    y = norm(x, weights["scale"])
    q, k, v = (
        (y @ weights[name]).reshape(*x.shape[:2], HEADS, SIZE // HEADS) for name in ("q", "k", "v")
    )
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / 2
    causal = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    pattern = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), axis=-1)
    x = x + jnp.einsum("bhqk,bkhd->bqhd", pattern, v).reshape(x.shape)
    return x + jax.nn.gelu(x @ weights["up"] + weights["bias"]) @ weights["down"]


def stack(layers: Sequence[Arrays], x: Any) -> Any:
    for weights in layers:
        x = block(weights, x)
    return x


def two_stacks(params: dict[str, Sequence[Arrays]], x: Any) -> Any:
    """Of different widths, with an odd layer inside of the second."""
    x = jnp.tanh(stack(params["first"], x))
    for number, weights in enumerate(params["second"]):
        x = block(weights, jnp.sin(x) if number == 2 else x)
    return x, stack(params["first"], x)


def tied(weights: Arrays, x: Any) -> Any:
    return stack([weights] * 4, x)


class Layer(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        y = nn.LayerNorm()(x)
        y = nn.MultiHeadDotProductAttention(HEADS)(y, y)
        return x + nn.Dense(SIZE)(nn.gelu(nn.Dense(12)(x + y)))


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        for _ in range(4):
            x = Layer()(x)
        return x


def linen() -> tuple[Any, Any]:
    module = Linen()
    return module.apply, module.init(jax.random.key(0), jnp.zeros((1, SEQ, SIZE)))


CASES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "equal layers": lambda: (stack, [layer(i) for i in range(4)]),
    "two stacks": lambda: (
        two_stacks,
        {"first": [layer(i) for i in range(3)], "second": [layer(i, 20) for i in range(5)]},
    ),
    "one layer several times": lambda: (tied, layer(0)),
    "a module": linen,
}


@pytest.mark.parametrize("case", CASES)
def test_a_graph_is_what_it_would_be_without_looking_for_repetitions(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, params = CASES[case]()
    x = normal(2, SEQ, SIZE, dtype=np.float32)
    graph = gw.from_jax(function, x, params=params, axes={0: "batch seq features=8"})
    agree(graph, {graph.inputs[0].name: x}, function(params, x), 1e-5)
    monkeypatch.setattr(translate, "parts", lambda jaxpr: iter(jaxpr.eqns))
    plain = gw.from_jax(function, x, params=params, axes={0: "batch seq features=8"})
    assert [(n.op, n.origin) for n in graph.nodes] == [(n.op, n.origin) for n in plain.nodes]
    assert list(graph.sites) == list(plain.sites)
    if len(graph.axes) == len(plain.axes):  # else no word was found for axes that layers share
        assert str(graph) == str(plain)
    else:
        assert case == "two stacks"


def test_as_many_equations_are_translated_at_any_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def counted(translator: Translator, equation: Any) -> None:
        nonlocal count
        count += 1
        plain(translator, equation)

    plain = Translator._equation
    monkeypatch.setattr(Translator, "_equation", counted)

    def needed(depth: int) -> int:
        nonlocal count
        count = 0
        x = normal(2, SEQ, SIZE, dtype=np.float32)
        gw.from_jax(
            stack, x, params=[layer(i) for i in range(depth)], axes={0: "batch seq features=8"}
        )
        return count

    assert needed(4) == needed(9)


def test_nodes_of_each_copy_say_which_module_they_are_of() -> None:
    module, params = linen()
    x = normal(2, SEQ, SIZE, dtype=np.float32)
    graph = gw.from_jax(module, x, params=params, axes={0: "batch seq features=8"})
    norms = [n.origin.module for n in graph.nodes if n.op.name == "layer_norm"]
    numbers = [re.findall(r"Layer_(\d)", path) for path in norms]
    assert numbers == [["0"], ["1"], ["2"], ["3"]]


def test_stretches_are_cut_between_layers() -> None:
    """All that goes from one to the next is the residual stream."""
    params = [layer(i) for i in range(4)]
    jaxpr = jax.make_jaxpr(stack)(params, normal(2, SEQ, SIZE, dtype=np.float32)).jaxpr
    whole = list(parts(jaxpr))
    (found,) = [part.stretches for part in whole if isinstance(part, Repetition)]
    assert len(found) >= 3
    assert len({part.form for part in found}) == 1
    assert {len(part.outputs) for part in found} == {1}
    plain = [part for part in whole if not isinstance(part, Repetition)]
    assert len(plain) + sum(len(part.equations) for part in found) == len(jaxpr.eqns)
