"""GPT-2-like and Llama-like decoders as they are written in flax linen, nnx and Equinox."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

LAYERS, HEADS, KV_HEADS, EMBED, HIDDEN, VOCAB, CONTEXT = 2, 4, 2, 32, 64, 99, 64
WIDTH = EMBED // HEADS


def causal(length: int) -> Any:
    return jnp.tril(jnp.ones((length, length), bool))


def rotate(x: Any) -> Any:
    """Rotary position embedding of (..., seq, heads, width), the two halves turned."""
    seq, width = x.shape[-3], x.shape[-1]
    rate = 1.0 / 10000 ** (np.arange(0, width, 2) / width)
    angle = jnp.arange(seq)[:, None] * jnp.concatenate([rate, rate])
    cos, sin = jnp.cos(angle)[:, None].astype(x.dtype), jnp.sin(angle)[:, None].astype(x.dtype)
    first, second = jnp.split(x, 2, axis=-1)
    return x * cos + jnp.concatenate([-second, first], -1) * sin


# --- flax linen ---------------------------------------------------------------------------------


class LinenGPT2Block(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        mask = nn.make_causal_mask(jnp.zeros(x.shape[:2]))
        y = nn.LayerNorm(name="ln_1")(x)
        x = x + nn.MultiHeadDotProductAttention(HEADS, name="attn")(y, mask=mask)
        y = nn.Dense(HIDDEN, name="c_fc")(nn.LayerNorm(name="ln_2")(x))
        return x + nn.Dense(EMBED, name="c_proj")(nn.gelu(y))


class LinenGPT2(nn.Module):
    @nn.compact
    def __call__(self, ids: Any) -> Any:
        wte = nn.Embed(VOCAB, EMBED, name="wte")
        x = wte(ids) + nn.Embed(CONTEXT, EMBED, name="wpe")(jnp.arange(ids.shape[1]))
        for i in range(LAYERS):
            x = LinenGPT2Block(name=f"h_{i}")(x)
        return {"logits": wte.attend(nn.LayerNorm(name="ln_f")(x))}


class LinenLlamaBlock(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        def dense(width: int, name: str) -> Any:
            return nn.Dense(width, use_bias=False, name=name)

        batch, seq, _ = x.shape
        y = nn.RMSNorm(name="input_norm")(x)
        q = dense(EMBED, "q_proj")(y).reshape(batch, seq, HEADS, WIDTH)
        k = dense(KV_HEADS * WIDTH, "k_proj")(y).reshape(batch, seq, KV_HEADS, WIDTH)
        v = dense(KV_HEADS * WIDTH, "v_proj")(y).reshape(batch, seq, KV_HEADS, WIDTH)
        k, v = (jnp.repeat(a, HEADS // KV_HEADS, axis=2) for a in (rotate(k), v))
        scores = jnp.einsum("bqhd,bkhd->bhqk", rotate(q), k) / np.sqrt(WIDTH)
        scores = jnp.where(causal(seq), scores, jnp.finfo(scores.dtype).min)
        z = jnp.einsum("bhqk,bkhd->bqhd", nn.softmax(scores), v).reshape(batch, seq, EMBED)
        x = x + dense(EMBED, "o_proj")(z)
        y = nn.RMSNorm(name="post_norm")(x)
        y = nn.silu(dense(HIDDEN, "gate_proj")(y)) * dense(HIDDEN, "up_proj")(y)
        return x + dense(EMBED, "down_proj")(y)


class LinenLlama(nn.Module):
    @nn.compact
    def __call__(self, ids: Any) -> Any:
        x = nn.Embed(VOCAB, EMBED, name="embed_tokens")(ids)
        for i in range(LAYERS):
            x = LinenLlamaBlock(name=f"layers_{i}")(x)
        x = nn.RMSNorm(name="norm")(x)
        return {"logits": nn.Dense(VOCAB, use_bias=False, name="lm_head")(x)}


# --- flax nnx -----------------------------------------------------------------------------------


class NnxGPT2Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.ln_1 = nnx.LayerNorm(EMBED, rngs=rngs)
        self.attn = nnx.MultiHeadAttention(HEADS, EMBED, decode=False, rngs=rngs)
        self.ln_2 = nnx.LayerNorm(EMBED, rngs=rngs)
        self.c_fc = nnx.Linear(EMBED, HIDDEN, rngs=rngs)
        self.c_proj = nnx.Linear(HIDDEN, EMBED, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        mask = nnx.make_causal_mask(jnp.zeros(x.shape[:2]))
        x = x + self.attn(self.ln_1(x), mask=mask)
        return x + self.c_proj(nnx.gelu(self.c_fc(self.ln_2(x))))


class NnxGPT2(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.wte = nnx.Embed(VOCAB, EMBED, rngs=rngs)
        self.wpe = nnx.Embed(CONTEXT, EMBED, rngs=rngs)
        self.h = nnx.List([NnxGPT2Block(rngs) for _ in range(LAYERS)])
        self.ln_f = nnx.LayerNorm(EMBED, rngs=rngs)

    def __call__(self, ids: Any) -> Any:
        x = self.wte(ids) + self.wpe(jnp.arange(ids.shape[1]))
        for block in self.h:
            x = block(x)
        return {"logits": self.wte.attend(self.ln_f(x))}


class NnxLlamaBlock(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        def linear(n: int, m: int) -> Any:
            return nnx.Linear(n, m, use_bias=False, rngs=rngs)

        self.input_norm, self.post_norm = (nnx.RMSNorm(EMBED, rngs=rngs) for _ in range(2))
        self.q_proj, self.o_proj = linear(EMBED, EMBED), linear(EMBED, EMBED)
        self.k_proj, self.v_proj = (linear(EMBED, KV_HEADS * WIDTH) for _ in range(2))
        self.gate_proj, self.up_proj = linear(EMBED, HIDDEN), linear(EMBED, HIDDEN)
        self.down_proj = linear(HIDDEN, EMBED)

    def __call__(self, x: Any) -> Any:
        batch, seq, _ = x.shape
        y = self.input_norm(x)
        q = self.q_proj(y).reshape(batch, seq, HEADS, WIDTH)
        k, v = (p(y).reshape(batch, seq, KV_HEADS, WIDTH) for p in (self.k_proj, self.v_proj))
        z = jax.nn.dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        x = x + self.o_proj(z.reshape(batch, seq, EMBED))
        y = self.post_norm(x)
        return x + self.down_proj(nnx.silu(self.gate_proj(y)) * self.up_proj(y))


class NnxLlama(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.embed_tokens = nnx.Embed(VOCAB, EMBED, rngs=rngs)
        self.layers = nnx.List([NnxLlamaBlock(rngs) for _ in range(LAYERS)])
        self.norm = nnx.RMSNorm(EMBED, rngs=rngs)
        self.lm_head = nnx.Linear(EMBED, VOCAB, use_bias=False, rngs=rngs)

    def __call__(self, ids: Any) -> Any:
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x)
        return {"logits": self.lm_head(self.norm(x))}


# --- equinox ------------------------------------------------------------------------------------


class EquinoxGPT2Block(eqx.Module):
    ln_1: eqx.nn.LayerNorm
    attn: eqx.nn.MultiheadAttention
    ln_2: eqx.nn.LayerNorm
    c_fc: eqx.nn.Linear
    c_proj: eqx.nn.Linear

    def __init__(self, key: Any) -> None:
        keys = jax.random.split(key, 3)
        self.ln_1, self.ln_2 = eqx.nn.LayerNorm(EMBED), eqx.nn.LayerNorm(EMBED)
        self.attn = eqx.nn.MultiheadAttention(HEADS, EMBED, key=keys[0])
        self.c_fc = eqx.nn.Linear(EMBED, HIDDEN, key=keys[1])
        self.c_proj = eqx.nn.Linear(HIDDEN, EMBED, key=keys[2])

    def __call__(self, x: Any) -> Any:
        y = jax.vmap(self.ln_1)(x)
        x = x + self.attn(y, y, y, mask=causal(x.shape[0]))
        y = jax.vmap(self.c_fc)(jax.vmap(self.ln_2)(x))
        return x + jax.vmap(self.c_proj)(jax.nn.gelu(y))


class EquinoxGPT2(eqx.Module):
    wte: eqx.nn.Embedding
    wpe: eqx.nn.Embedding
    h: list[EquinoxGPT2Block]
    ln_f: eqx.nn.LayerNorm

    def __init__(self, key: Any) -> None:
        keys = jax.random.split(key, LAYERS + 2)
        self.wte = eqx.nn.Embedding(VOCAB, EMBED, key=keys[0])
        self.wpe = eqx.nn.Embedding(CONTEXT, EMBED, key=keys[1])
        self.h = [EquinoxGPT2Block(k) for k in keys[2:]]
        self.ln_f = eqx.nn.LayerNorm(EMBED)

    def one(self, ids: Any) -> Any:
        x = jax.vmap(self.wte)(ids) + jax.vmap(self.wpe)(jnp.arange(ids.shape[0]))
        for block in self.h:
            x = block(x)
        return jax.vmap(self.ln_f)(x) @ self.wte.weight.T

    def __call__(self, ids: Any) -> Any:
        return {"logits": jax.vmap(self.one)(ids)}


class EquinoxLlamaBlock(eqx.Module):
    input_norm: eqx.nn.RMSNorm
    post_norm: eqx.nn.RMSNorm
    q_proj: eqx.nn.Linear
    k_proj: eqx.nn.Linear
    v_proj: eqx.nn.Linear
    o_proj: eqx.nn.Linear
    gate_proj: eqx.nn.Linear
    up_proj: eqx.nn.Linear
    down_proj: eqx.nn.Linear

    def __init__(self, key: Any) -> None:
        keys = iter(jax.random.split(key, 7))

        def linear(n: int, m: int) -> Any:
            return eqx.nn.Linear(n, m, use_bias=False, key=next(keys))

        self.input_norm, self.post_norm = eqx.nn.RMSNorm(EMBED), eqx.nn.RMSNorm(EMBED)
        self.q_proj, self.o_proj = linear(EMBED, EMBED), linear(EMBED, EMBED)
        self.k_proj, self.v_proj = (linear(EMBED, KV_HEADS * WIDTH) for _ in range(2))
        self.gate_proj, self.up_proj = linear(EMBED, HIDDEN), linear(EMBED, HIDDEN)
        self.down_proj = linear(HIDDEN, EMBED)

    def __call__(self, x: Any) -> Any:
        seq = x.shape[0]
        y = jax.vmap(self.input_norm)(x)
        q = jax.vmap(self.q_proj)(y).reshape(seq, HEADS, WIDTH)
        k, v = (jax.vmap(p)(y).reshape(seq, KV_HEADS, WIDTH) for p in (self.k_proj, self.v_proj))
        q = rotate(q).reshape(seq, KV_HEADS, HEADS // KV_HEADS, WIDTH)
        scores = jnp.einsum("qhgd,khd->hgqk", q, rotate(k)) * WIDTH**-0.5
        pattern = jax.nn.softmax(jnp.where(causal(seq), scores, -jnp.inf), axis=-1)
        z = jnp.einsum("hgqk,khd->qhgd", pattern, v).reshape(seq, EMBED)
        x = x + jax.vmap(self.o_proj)(z)
        y = jax.vmap(self.post_norm)(x)
        y = jax.nn.silu(jax.vmap(self.gate_proj)(y)) * jax.vmap(self.up_proj)(y)
        return x + jax.vmap(self.down_proj)(y)


class EquinoxLlama(eqx.Module):
    embed_tokens: eqx.nn.Embedding
    layers: list[EquinoxLlamaBlock]
    norm: eqx.nn.RMSNorm
    lm_head: eqx.nn.Linear

    def __init__(self, key: Any) -> None:
        keys = jax.random.split(key, LAYERS + 2)
        self.embed_tokens = eqx.nn.Embedding(VOCAB, EMBED, key=keys[0])
        self.layers = [EquinoxLlamaBlock(k) for k in keys[2:]]
        self.norm = eqx.nn.RMSNorm(EMBED)
        self.lm_head = eqx.nn.Linear(EMBED, VOCAB, use_bias=False, key=keys[1])

    def one(self, ids: Any) -> Any:
        x = jax.vmap(self.embed_tokens)(ids)
        for layer in self.layers:
            x = layer(x)
        return jax.vmap(self.lm_head)(jax.vmap(self.norm)(x))

    def __call__(self, ids: Any) -> Any:
        return {"logits": jax.vmap(self.one)(ids)}


# --- all of them --------------------------------------------------------------------------------


def _filled(shapes: Any) -> Any:
    """Small random weights: nothing is compiled to initialise a model."""
    rng = np.random.default_rng(0)

    def fill(leaf: Any) -> Any:
        if not isinstance(leaf, jax.ShapeDtypeStruct) or leaf.dtype.kind != "f":
            return leaf
        return jnp.asarray(rng.standard_normal(leaf.shape) * 0.1, leaf.dtype)

    return jax.tree_util.tree_map(fill, shapes)


def linen(module: nn.Module) -> tuple[Any, Any]:
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 2), int))
    return module, _filled(shapes)


def modern(module: type[nnx.Module]) -> tuple[Any, Any]:
    definition, state = nnx.split(nnx.eval_shape(lambda: module(nnx.Rngs(0))))
    return nnx.merge(definition, _filled(state)), None


def equinox(module: type[eqx.Module]) -> tuple[Any, Any]:
    return _filled(eqx.filter_eval_shape(module, jax.random.key(0))), None


DECODERS = {
    ("gpt2", "linen"): lambda: linen(LinenGPT2()),
    ("gpt2", "nnx"): lambda: modern(NnxGPT2),
    ("gpt2", "equinox"): lambda: equinox(EquinoxGPT2),
    ("llama", "linen"): lambda: linen(LinenLlama()),
    ("llama", "nnx"): lambda: modern(NnxLlama),
    ("llama", "equinox"): lambda: equinox(EquinoxLlama),
}
