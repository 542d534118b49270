"""Layers in a scan, rematerialised, with dropout from keys: run and trained, in every library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.frontends.jax_support import everywhere, normal

LAYERS, WIDTH = 3, 4


class LinenLayer(nn.Module):
    @nn.compact
    def __call__(self, x: Any, _: None) -> Any:
        y = nn.Dense(WIDTH)(nn.LayerNorm()(x))
        return x + nn.Dropout(0.3, deterministic=False)(jnp.tanh(y)), None


class LinenStack(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        scanned = nn.scan(
            nn.remat(LinenLayer),
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            length=LAYERS,
        )
        return scanned()(x, None)[0]


def linen() -> tuple[Any, Callable[..., Any]]:
    module = LinenStack()
    rngs = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    params = module.init(rngs, jnp.zeros((2, WIDTH)))
    return params, lambda params, x, key: module.apply(params, x, rngs={"dropout": key})


class NnxLayer(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.norm = nnx.LayerNorm(WIDTH, rngs=rngs)
        self.dense = nnx.Linear(WIDTH, WIDTH, rngs=rngs)
        self.dropout = nnx.Dropout(0.3)

    def __call__(self, x: Any, key: Any) -> Any:
        return x + self.dropout(jnp.tanh(self.dense(self.norm(x))), rngs=key)


def linked() -> tuple[Any, Callable[..., Any]]:
    make = nnx.vmap(lambda key: NnxLayer(nnx.Rngs(key)), in_axes=0, out_axes=0)
    definition, state = nnx.split(make(jax.random.split(jax.random.key(0), LAYERS)))

    @nnx.scan(in_axes=(0, nnx.Carry, 0), out_axes=nnx.Carry)
    @nnx.remat
    def layers(layer: Any, x: Any, key: Any) -> Any:
        return layer(x, key)

    def run(state: Any, x: Any, key: Any) -> Any:
        return layers(nnx.merge(definition, state, copy=True), x, jax.random.split(key, LAYERS))

    return state, run


class EquinoxLayer(eqx.Module):
    norm: eqx.nn.LayerNorm
    dense: eqx.nn.Linear
    dropout: eqx.nn.Dropout

    def __init__(self, key: Any) -> None:
        self.norm = eqx.nn.LayerNorm(WIDTH)
        self.dense = eqx.nn.Linear(WIDTH, WIDTH, key=key)
        self.dropout = eqx.nn.Dropout(0.3)

    def __call__(self, x: Any, key: Any) -> Any:
        y = jax.vmap(lambda row: jnp.tanh(self.dense(self.norm(row))))(x)
        return x + self.dropout(y, key=key)


def equinox() -> tuple[Any, Callable[..., Any]]:
    made = eqx.filter_vmap(EquinoxLayer)(jax.random.split(jax.random.key(0), LAYERS))
    arrays, static = eqx.partition(made, eqx.is_array)

    def run(arrays: Any, x: Any, key: Any) -> Any:
        @eqx.filter_checkpoint
        def layer(x: Any, step: Any) -> Any:
            return eqx.combine(step[0], static)(x, step[1]), None

        return jax.lax.scan(layer, x, (arrays, jax.random.split(key, LAYERS)))[0]

    return arrays, run


LIBRARIES = pytest.mark.parametrize("library", [linen, linked, equinox], ids=lambda f: f.__name__)


@LIBRARIES
def test_equal_keys_drop_the_same_in_scanned_layers(library: Any) -> None:
    params, run = library()
    x, other = normal(3, WIDTH, dtype=np.float32), normal(5, WIDTH, dtype=np.float32)
    graph = everywhere(
        lambda x, key: run(params, x, key),
        x,
        jax.random.key(7),
        axes={"x": "batch _"},
        others=[(other, jax.random.key(8))],
    )
    assert [node.op.name for node in graph.nodes].count("scan") == 1


@LIBRARIES
def test_a_training_step_through_scanned_and_rematerialised_layers(library: Any) -> None:
    params, run = library()

    def step(params: Any, x: Any, key: Any) -> Any:
        def loss(params: Any) -> Any:
            return jnp.mean(run(params, x, key) ** 2)

        value, grads = jax.value_and_grad(loss)(params)
        new = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
        return {"loss": value, "new": jax.tree.leaves(new)}

    x = normal(3, WIDTH, dtype=np.float32)
    everywhere(step, params, x, jax.random.key(7), axes={"x": "batch _"})
