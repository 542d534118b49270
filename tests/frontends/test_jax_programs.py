"""Whole programs of the JAX world on every backend: training steps, states, keys, recurrences."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from penzai import pz
from penzai.models.transformer.variants import llamalike_common as llamalike

import graftwork as gw
from tests.frontends.jax_support import NEAR, everywhere, normal
from tests.models.jax_decoders import LinenGPT2, linen


@pytest.mark.all
def test_a_training_step_of_a_transformer_is_one_graph() -> None:
    """Loss, gradients and an update of all weights, for any batch and length."""
    model, params = linen(LinenGPT2())

    def step(params: Any, ids: Any) -> Any:
        def loss(params: Any) -> Any:
            logs = jax.nn.log_softmax(model.apply(params, ids)["logits"][:, :-1])
            return -jnp.take_along_axis(logs, ids[:, 1:, None], 2).mean()

        value, grads = jax.value_and_grad(loss)(params)
        return {"loss": value, "params": jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)}

    ids = np.random.default_rng(0).integers(0, 99, (2, 6)).astype(np.int32)
    everywhere(step, params, ids, axes={"ids": "batch seq"}, others=[(params, ids[:1, :4])])


class Trained(nn.Module):
    """Dropout and batch norm as they are in training."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.relu(nn.BatchNorm(use_running_average=False)(nn.Dense(6)(x)))
        return nn.Dense(2)(nn.Dropout(0.4, deterministic=False)(x))


def test_keys_are_inputs_and_states_are_outputs() -> None:
    module, x = Trained(), normal(4, 3, dtype=np.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    variables = jax.tree.map(lambda s: jnp.full(s.shape, 0.5, s.dtype), shapes)

    def run(x: Any, key: Any) -> Any:
        out, state = module.apply(variables, x, rngs={"dropout": key}, mutable=["batch_stats"])
        return {"out": out, "state": state}

    graph = everywhere(
        run, x, jax.random.key(3), axes={"x": "batch _"}, others=[(x[:2], jax.random.key(4))]
    )
    assert any(port.name.startswith("state.") for port in graph.outputs)


class Recurrent(nn.Module):
    cell: Any

    @nn.compact
    def __call__(self, x: Any) -> Any:
        return nn.RNN(self.cell)(x)


@pytest.mark.parametrize("cell", [nn.OptimizedLSTMCell, nn.LSTMCell, nn.GRUCell, nn.SimpleCell])
def test_recurrences_of_linen_keep_their_length_dynamic(cell: Any) -> None:
    module, x = Recurrent(cell(4)), normal(2, 5, 3, dtype=np.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda s: rng.standard_normal(s.shape).astype(s.dtype), shapes)
    graph = everywhere(
        lambda x: module.apply(variables, x), x, axes={"x": "batch time _"},
        others=[(normal(1, 7, 3, dtype=np.float32),), (x[:, :1],)],
    )  # fmt: skip
    assert [node.op.name for node in graph.nodes].count("scan") == 1


class Stateful(nnx.Module):
    """Counts of dropout keys, running statistics: all state goes in and comes out."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.linear = nnx.Linear(3, 4, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.dropout(self.norm(self.linear(x)))


def test_the_state_of_an_nnx_module_is_threaded_through() -> None:
    definition, state = nnx.split(Stateful(nnx.Rngs(0)))

    def run(x: Any) -> Any:
        model = nnx.merge(definition, state, copy=True)
        out = model(x)
        kept = nnx.state(model, nnx.BatchStat)
        return {"out": out, "mean": kept["norm"]["mean"][...], "var": kept["norm"]["var"][...]}

    everywhere(run, normal(4, 3, dtype=np.float32), axes={"x": "batch _"})


def test_a_training_step_of_an_equinox_module() -> None:
    model = eqx.nn.MLP(3, 2, 8, 2, activation=jax.nn.gelu, key=jax.random.key(0))
    arrays, static = eqx.partition(model, eqx.is_array)

    def step(arrays: Any, x: Any, y: Any) -> Any:
        def loss(arrays: Any) -> Any:
            return ((jax.vmap(eqx.combine(arrays, static))(x) - y) ** 2).mean()

        value, grads = jax.value_and_grad(loss)(arrays)
        new = jax.tree.leaves(jax.tree.map(lambda p, g: p - 0.1 * g, arrays, grads))
        return {"loss": value, "new": new}

    x, y = normal(5, 3, dtype=np.float32), normal(5, 2, dtype=np.float32)
    everywhere(step, arrays, x, y, axes={"x": "batch _", "y": "batch _"})


def test_sizes_in_arithmetic_are_sizes() -> None:
    def run(x: Any) -> Any:
        batch, seq = x.shape
        half = x[:, seq // 2 :]
        return {
            "mean": x.sum() / (batch * seq),
            "late": half.sum(1) * seq,
            "pairs": x.reshape(batch * seq).cumsum()[-1],
            "places": jnp.arange(seq) / seq + batch,
        }

    x = normal(2, 6, dtype=np.float32)
    everywhere(run, x, axes={"x": "batch seq"}, others=[(normal(3, 9, dtype=np.float32),)])


def test_a_penzai_layer_stack() -> None:
    names = {"features": 4}
    layers = [
        pz.nn.RMSLayerNorm.from_config("norm", jax.random.key(0), across_axes=names),
        pz.nn.Linear.from_config("in", jax.random.key(1), names, {"hidden": 6}),
        pz.nn.Elementwise(jax.nn.silu),
        pz.nn.Linear.from_config("out", jax.random.key(2), {"hidden": 6}, names),
    ]
    model = pz.nn.Residual(pz.nn.Sequential(layers))
    x = pz.nx.wrap(jnp.asarray(normal(2, 4, dtype=np.float32))).tag("batch", "features")
    graph = gw.from_jax(model, x)
    (name,) = (port.name for port in graph.inputs)
    for backend in ("numpy", "jax", "onnx"):
        (found,) = gw.compile(graph, backend)(**{name: x.data_array}).values()
        np.testing.assert_allclose(np.asarray(found), model(x).data_array, rtol=NEAR, atol=NEAR)


def test_a_penzai_transformer() -> None:
    """Penzai demands that sizes are numbers, so these are."""
    config = llamalike.LlamalikeTransformerConfig(
        num_kv_heads=2, query_head_multiplier=2, embedding_dim=16, projection_dim=4,
        mlp_hidden_dim=24, num_decoder_blocks=2, vocab_size=31, mlp_variant="swiglu",
        tie_embedder_and_logits=False, parameter_dtype=jnp.float32, activation_dtype=jnp.float32,
    )  # fmt: skip
    model = llamalike.build_llamalike_transformer(config, init_base_rng=jax.random.key(0))

    def run(ids: Any) -> Any:
        tokens = pz.nx.wrap(ids).tag("batch", "seq")
        places = pz.nx.wrap(jnp.arange(ids.shape[1])).tag("seq")
        found = model(tokens, token_positions=places)
        return {"logits": found.untag("batch", "seq", "vocabulary").unwrap()}

    ids = np.random.default_rng(0).integers(0, 31, (2, 5), np.int32)
    graph = everywhere(run, ids, axes={"ids": "batch=2 seq=5"})
    assert "transformer/embedder.embeddings" in graph.params
