"""Models of the JAX world, against themselves, at other batches and lengths and at size 1."""

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

from graftwork.backends.reference import compile
from graftwork.ir.graph import Graph
from tests.frontends.jax_support import check, from_jax, normal

F32 = 1e-4
SEQ = "batch seq _"


def filled(tree: Any) -> Any:
    """Random arrays for shapes: nothing is compiled to initialise a model."""

    def fill(leaf: Any) -> Any:
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.key(0)
        if leaf.dtype.kind != "f":
            return jnp.zeros(leaf.shape, leaf.dtype)
        return jnp.asarray(0.5 + 0.3 * normal(*leaf.shape, dtype=leaf.dtype))

    return jax.tree_util.tree_map(fill, tree)


def variables_of(module: nn.Module, x: Any) -> Any:
    return filled(jax.eval_shape(module.init, jax.random.key(0), x))


def many(*rest: int, dtype: Any = np.float32) -> list[tuple[np.ndarray[Any, Any]]]:
    """Inputs at other batches and lengths."""
    return [(normal(b, s, *rest, dtype=dtype),) for b, s in ((1, 1), (3, 7))]


def modules(graph: Graph) -> set[str]:
    return {node.origin.module for node in graph.walk()}


# --- plain functions ----------------------------------------------------------------------------

GPT_SIZES = {"embed": 16, "heads": 4, "vocab": 23, "context": 12}


def gpt_params() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    e = GPT_SIZES["embed"]

    def array(*shape: int) -> Any:
        return jnp.asarray(rng.standard_normal(shape) * 0.3)

    def norm() -> dict[str, Any]:
        return {"g": 1 + array(e), "b": array(e)}

    def linear(n: int, m: int) -> dict[str, Any]:
        return {"w": array(n, m), "b": array(m)}

    blocks = [
        {
            "ln_1": norm(),
            "ln_2": norm(),
            "attn": {"c_attn": linear(e, 3 * e), "c_proj": linear(e, e)},
            "mlp": {"c_fc": linear(e, 4 * e), "c_proj": linear(4 * e, e)},
        }
        for _ in range(2)
    ]
    return {
        "wte": array(GPT_SIZES["vocab"], e),
        "wpe": array(GPT_SIZES["context"], e),
        "blocks": blocks,
        "ln_f": norm(),
    }


def layer_norm(x: Any, g: Any, b: Any) -> Any:
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return g * (x - mean) / jnp.sqrt(variance + 1e-5) + b


def gpt(params: Any, ids: Any, table: Any = None) -> Any:
    def linear(x: Any, w: Any, b: Any) -> Any:
        return x @ w + b

    def attend(x: Any, c_attn: Any, c_proj: Any) -> Any:
        batch, seq, embed = x.shape
        q, k, v = jnp.split(linear(x, **c_attn), 3, axis=-1)
        q, k, v = (
            a.reshape(batch, seq, GPT_SIZES["heads"], -1).transpose(0, 2, 1, 3) for a in (q, k, v)
        )
        scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
        mask = jnp.tril(jnp.ones((seq, seq), bool))
        pattern = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf))
        z = (pattern @ v).transpose(0, 2, 1, 3).reshape(batch, seq, embed)
        return linear(z, **c_proj)

    x = params["wte"][ids] + params["wpe"][: ids.shape[1]]
    for block in params["blocks"]:
        x = x + attend(layer_norm(x, **block["ln_1"]), **block["attn"])
        hidden = jax.nn.gelu(linear(layer_norm(x, **block["ln_2"]), **block["mlp"]["c_fc"]))
        x = x + linear(hidden, **block["mlp"]["c_proj"])
    return {"logits": layer_norm(x, **params["ln_f"]) @ params["wte"].T}


def tokens(batch: int, seq: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng([batch, seq]).integers(0, GPT_SIZES["vocab"], (batch, seq))


def test_gpt2_by_hand_in_float64() -> None:
    with jax.enable_x64(True):
        params = gpt_params()
        others = [(tokens(1, 1),), (tokens(3, 11),), (tokens(1, 5),)]
        graph = check(gpt, tokens(2, 6), params=params, axes={"ids": "batch seq"}, others=others)
    names = [p.name for p in graph.parameters]
    assert names[:3] == [
        "blocks.0.attn.c_attn.b",
        "blocks.0.attn.c_attn.w",
        "blocks.0.attn.c_proj.b",
    ]
    assert [port.layout for port in graph.inputs] == [("batch", "seq")]
    (logits,) = graph.outputs
    assert logits.name == "logits"
    assert logits.layout[:2] == ("batch", "seq")
    (guard,) = graph.guards
    assert (str(guard.size), guard.high) == ("seq", GPT_SIZES["context"])


def test_an_embedding_is_one_gather() -> None:
    params = gpt_params()
    graph = from_jax(
        lambda p, ids: p["wte"][ids], tokens(2, 3), params=params, axes={0: "batch seq"}
    )
    assert [n.op.name for n in graph.nodes if n.op.name in ("gather", "iota", "scatter")] == [
        "gather"
    ]


def test_gradients_of_a_model_are_a_graph() -> None:
    with jax.enable_x64(True):
        params = gpt_params()

        def loss(ids: Any) -> Any:
            def cross_entropy(p: Any) -> Any:
                logs = jax.nn.log_softmax(gpt(p, ids)["logits"][:, :-1])
                return -jnp.take_along_axis(logs, ids[:, 1:, None], 2).mean()

            grads = jax.grad(cross_entropy)(params)
            return {"wte": grads["wte"], "w": grads["blocks"][1]["mlp"]["c_fc"]["w"]}

        check(loss, tokens(2, 5), axes={0: "batch seq"}, others=[(tokens(1, 3),)])


def test_a_model_that_was_mapped_over_a_batch() -> None:
    with jax.enable_x64(True):
        params = gpt_params()
        model = jax.vmap(lambda p, ids: gpt(p, ids[None])["logits"][0, -1], (None, 0))
        check(model, tokens(2, 6), params=params, axes={0: "batch seq"}, others=[(tokens(1, 1),)])


# --- flax linen ---------------------------------------------------------------------------------


class Block(nn.Module):
    heads: int = 2

    @nn.compact
    def __call__(self, x: Any) -> Any:
        y = nn.LayerNorm(name="ln_1")(x)
        mask = nn.make_causal_mask(jnp.zeros(x.shape[:2]))
        x = x + nn.MultiHeadDotProductAttention(self.heads, name="attn")(y, mask=mask)
        y = nn.Dense(32, name="fc")(nn.RMSNorm(name="ln_2")(x))
        y = nn.Dropout(0.5, deterministic=True)(nn.silu(y))
        return x + nn.Dense(x.shape[-1], name="proj")(y)


class Scanned(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        layers = nn.scan(
            lambda block, h, _: (block(h), None),
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=3,
        )
        return layers(Block(name="block"), x, None)[0]


class Remat(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        return nn.remat(Block)(name="block")(x)


class Pictures(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        for width in (4, 8):
            x = nn.Conv(width, (3, 3), strides=2)(x)
            x = nn.relu(nn.BatchNorm(use_running_average=True)(x))
            x = nn.GroupNorm(2)(x)
        x = nn.max_pool(x, (2, 2), (2, 2), "SAME") + nn.avg_pool(x, (2, 2), (2, 2), "SAME")
        x = nn.ConvTranspose(3, (2, 2), strides=(2, 2))(x)
        return nn.Dense(5)(x.mean((1, 2)))


@pytest.mark.parametrize("module", [Block(), Scanned(), Remat()], ids=lambda m: type(m).__name__)
def test_linen_transformers(module: Any) -> None:
    x = normal(2, 5, 8, dtype=np.float32)
    variables = variables_of(module, x)
    graph = check(
        lambda v, x: module.apply(v, x),
        x,
        params=variables,
        axes={0: SEQ},
        others=many(8),
        tolerance=F32,
    )
    assert any(p.name.startswith("params.") for p in graph.parameters)


def test_linen_pictures() -> None:
    module = Pictures()
    x = normal(2, 16, 16, 3, dtype=np.float32)
    variables = variables_of(module, x)
    graph = check(
        module,
        x,
        params=variables,
        axes={0: "batch height=16 width=16 _"},
        tolerance=F32,
        others=[(x[:1],)],
        run=lambda x: module.apply(variables, x),
    )
    assert {p.name.split(".")[0] for p in graph.parameters if not p.trainable} == {"batch_stats"}


def test_pictures_of_any_size() -> None:
    """Padding that depends on a dynamic axis."""
    kernel = normal(3, 3, 2, 4, dtype=np.float32)

    def model(x: Any) -> Any:
        for stride in (1, 2):
            x = jax.lax.conv_general_dilated(
                x,
                kernel[:, :, : x.shape[-1]] if x.shape[-1] == 2 else kernel.transpose(0, 1, 3, 2),
                (stride, stride),
                "SAME",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        return nn.avg_pool(x, (2, 2), (2, 2), "SAME")

    sizes = [(2, 8, 6), (1, 5, 7), (1, 1, 1)]
    xs = [(normal(*size, 2, dtype=np.float32),) for size in sizes]
    axes = {0: "batch height width _"}
    check(model, *xs[0], axes=axes, others=xs[1:], tolerance=F32)


def test_linen_scopes_are_module_paths() -> None:
    x = normal(2, 5, 8, dtype=np.float32)
    module = Block()
    graph = from_jax(module, x, params=variables_of(module, x))
    assert {"Block.ln_1", "Block.attn.query", "Block.proj"} <= modules(graph)
    (silu,) = (node for node in graph.nodes if node.op.name == "silu")
    assert silu.origin.module == "Block"
    assert "test_jax_models.py" in silu.origin.source


def test_a_bound_linen_module_has_its_variables() -> None:
    module, x = nn.Dense(3), normal(2, 4, dtype=np.float32)
    bound = module.bind(variables_of(module, x))
    check(bound, x, run=lambda x: bound(x), tolerance=F32)


# --- flax nnx -----------------------------------------------------------------------------------


class Mixer(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.norm = nnx.LayerNorm(8, rngs=rngs)
        self.attn = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.batch_norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(8, 8, rngs=rngs) for _ in range(2)])

    def __call__(self, x: Any) -> Any:
        x = x + self.attn(self.norm(x))
        for layer in self.layers:
            x = self.dropout(self.batch_norm(nnx.gelu(layer(x))))
        return x


def test_nnx_modules_are_converted_for_inference() -> None:
    definition, state = nnx.split(nnx.eval_shape(lambda: Mixer(nnx.Rngs(0))))
    state = filled(state)
    model, evaluated = (nnx.merge(definition, state) for _ in range(2))
    evaluated.eval()
    x = normal(2, 5, 8, dtype=np.float32)
    graph = check(model, x, axes={"x": SEQ}, others=many(8), run=evaluated, tolerance=F32)
    assert "layers.1.kernel" in graph.params
    assert {p.name for p in graph.parameters if not p.trainable} == {
        "batch_norm.mean",
        "batch_norm.var",
    }
    assert {"attn.query", "layers.0"} <= modules(graph)
    assert not model.dropout.deterministic  # the caller's module is as it was


def test_an_nnx_module_that_a_function_closes_over() -> None:
    model = nnx.Linear(3, 4, rngs=nnx.Rngs(0))
    x = normal(2, 3, dtype=np.float32)
    graph = check(lambda x: model(x) * 2, x, tolerance=F32)
    assert sorted(graph.params) == ["model.bias", "model.kernel"]


# --- equinox ------------------------------------------------------------------------------------


class Encoder(eqx.Module):
    attention: eqx.nn.MultiheadAttention
    norm: eqx.nn.LayerNorm
    mlp: eqx.nn.MLP
    dropout: eqx.nn.Dropout
    scale: float

    def __init__(self, key: Any) -> None:
        one, two = jax.random.split(key)
        self.attention = eqx.nn.MultiheadAttention(2, 8, key=one)
        self.norm = eqx.nn.LayerNorm(8)
        self.mlp = eqx.nn.MLP(8, 8, 16, 2, activation=jax.nn.gelu, key=two)
        self.dropout = eqx.nn.Dropout(0.5)
        self.scale = 0.5

    def __call__(self, x: Any) -> Any:
        x = x + self.attention(x, x, x)
        return self.dropout(jax.vmap(lambda row: self.mlp(self.norm(row)))(x)) * self.scale


def test_equinox_modules_are_converted_for_inference() -> None:
    model = filled(eqx.filter_eval_shape(Encoder, jax.random.key(0)))
    x = normal(5, 8, dtype=np.float32)
    others = [(normal(n, 8, dtype=np.float32),) for n in (1, 9)]
    run = jax.jit(lambda x: eqx.nn.inference_mode(model)(x))
    graph = check(model, x, axes={"x": "seq _"}, others=others, run=run, tolerance=F32)
    assert {"attention.query_proj.weight", "mlp.layers.0.bias"} <= set(graph.params)
    assert {"attention.query_proj", "mlp.layers.1"} <= modules(graph)


def test_an_equinox_module_that_was_mapped_over_a_batch() -> None:
    model = eqx.nn.MLP(4, 3, 8, 2, key=jax.random.key(1))
    x = normal(2, 4, dtype=np.float32)
    graph = check(
        jax.vmap(model), x, axes={0: "batch features=4"}, others=[(x[:1],)], tolerance=F32
    )
    assert "layers.0.weight" in graph.params


def test_equinox_convolution_and_recurrence() -> None:
    key = jax.random.key(0)
    conv = eqx.nn.Conv2d(3, 4, 3, padding=1, groups=1, key=key)
    check(conv, normal(3, 6, 5, dtype=np.float32), tolerance=F32, run=lambda x: conv(x))
    cell = eqx.nn.GRUCell(3, 4, key=key)

    def run(xs: Any) -> Any:
        return jax.lax.scan(lambda h, x: (cell(x, h), h), jnp.zeros(4), xs)

    xs = normal(5, 3, dtype=np.float32)
    graph = check(run, xs, axes={0: "time _"}, others=[(xs[:1],)], tolerance=F32)
    assert "cell.weight_hh" in graph.params


# --- penzai -------------------------------------------------------------------------------------


def test_penzai_variables_are_parameters_by_their_labels() -> None:
    linear = pz.nn.Linear.from_config(
        name="mlp.in_proj",
        init_base_rng=jax.random.key(0),
        input_axes={"features": 4},
        output_axes={"features": 6},
    )
    model = pz.nn.Sequential([linear, pz.nn.Elementwise(jax.nn.gelu)])
    x = pz.nx.wrap(jnp.asarray(normal(2, 4, dtype=np.float32))).tag("batch", "features")
    graph = from_jax(model, x)
    assert list(graph.params) == ["mlp.in_proj.weights"]
    (name,) = (port.name for port in graph.inputs)
    (result,) = compile(graph)(**{name: x.data_array}).values()
    np.testing.assert_allclose(result, model(x).data_array, rtol=F32, atol=F32)
