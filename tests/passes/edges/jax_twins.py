"""The decoders of `tests.passes.decoder` in flax and Equinox, with the same weights."""

from __future__ import annotations

from functools import cache
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import graftwork as gw
from tests.passes import decoder
from tests.passes.decoder import CONTEXT, EMBED, HEADS, HIDDEN, LAYERS, VOCAB, WIDTH, Block

EPS = 1e-5


class LinenBlock(nn.Module):
    """A block in the shape of GPT-2."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        mask = nn.make_causal_mask(jnp.zeros(x.shape[:2]))
        y = nn.LayerNorm(EPS, name="ln_1")(x)
        x = x + nn.MultiHeadDotProductAttention(
            HEADS, qkv_features=HEADS * WIDTH, out_features=EMBED, name="attn"
        )(y, mask=mask)
        y = nn.Dense(HIDDEN, name="up")(nn.LayerNorm(EPS, name="ln_2")(x))
        return x + nn.Dense(EMBED, name="down")(nn.gelu(y, approximate=False))


class Linen(nn.Module):
    @nn.compact
    def __call__(self, input_ids: Any) -> Any:
        place = jnp.arange(input_ids.shape[1])
        x = nn.Embed(VOCAB, EMBED, name="wte")(input_ids)
        x = x + nn.Embed(CONTEXT, EMBED, name="wpe")(place)
        for i in range(LAYERS):
            x = LinenBlock(name=f"h_{i}")(x)
        x = nn.LayerNorm(EPS, name="ln_f")(x)
        return {"logits": nn.Dense(VOCAB, use_bias=False, name="lm_head")(x)}


def array(parameter: Any) -> np.ndarray[Any, Any]:
    return np.asarray(parameter.detach())


def linen_weights(model: decoder.Decoder) -> Any:
    """The variables of `Linen`."""

    def norm(of: Any) -> Any:
        return {"scale": array(of.weight), "bias": array(of.bias)}

    def dense(of: Any) -> Any:
        return {"kernel": array(of.weight).T, "bias": array(of.bias)}

    def heads(of: Any) -> Any:
        plain = dense(of)
        shape = (EMBED, HEADS, WIDTH)
        return {"kernel": plain["kernel"].reshape(shape), "bias": plain["bias"].reshape(shape[1:])}

    def block(of: Any) -> Any:
        words = {"query": of.q_proj, "key": of.k_proj, "value": of.v_proj}
        out = dense(of.o_proj)
        out["kernel"] = out["kernel"].reshape(HEADS, WIDTH, EMBED)
        return {
            "ln_1": norm(of.ln_1), "ln_2": norm(of.ln_2),
            "up": dense(of.up), "down": dense(of.down),
            "attn": {word: heads(layer) for word, layer in words.items()} | {"out": out},
        }  # fmt: skip

    embeds = {word: {"embedding": array(getattr(model, word).weight)} for word in ("wte", "wpe")}
    layers = {f"h_{i}": block(of) for i, of in enumerate(model.h)}
    head = {"lm_head": {"kernel": array(model.lm_head.weight).T}, "ln_f": norm(model.ln_f)}
    return {"params": embeds | layers | head}


class EquinoxBlock(eqx.Module):
    """A block in the shape of Llama."""

    norms: list[eqx.nn.RMSNorm]
    q_proj: eqx.nn.Linear
    k_proj: eqx.nn.Linear
    v_proj: eqx.nn.Linear
    o_proj: eqx.nn.Linear
    up: eqx.nn.Linear
    down: eqx.nn.Linear
    gate: eqx.nn.Linear

    def __init__(self, of: Block) -> None:
        self.norms = [rms_norm(of.ln_1), rms_norm(of.ln_2)]
        for name in ("q_proj", "k_proj", "v_proj", "o_proj", "up", "down", "gate"):
            setattr(self, name, linear(getattr(of, name)))

    def __call__(self, x: Any) -> Any:
        seq = x.shape[0]
        y = jax.vmap(self.norms[0])(x)
        q, k, v = (jax.vmap(layer)(y) for layer in (self.q_proj, self.k_proj, self.v_proj))
        q, k, v = (z.reshape(seq, -1, WIDTH) for z in (q, k, v))
        q, k = turned(q).reshape(seq, k.shape[1], -1, WIDTH), turned(k)
        scores = jnp.einsum("qhgd,khd->hgqk", q, k) / np.sqrt(WIDTH)
        pattern = jax.nn.softmax(jnp.where(jnp.tril(jnp.ones((seq, seq), bool)), scores, -jnp.inf))
        z = jnp.einsum("hgqk,khd->qhgd", pattern, v).reshape(seq, HEADS * WIDTH)
        x = x + jax.vmap(self.o_proj)(z)
        y = jax.vmap(self.norms[1])(x)
        y = jax.nn.silu(jax.vmap(self.gate)(y)) * jax.vmap(self.up)(y)
        return x + jax.vmap(self.down)(y)


class Equinox(eqx.Module):
    wte: Any
    h: list[EquinoxBlock]
    ln_f: eqx.nn.RMSNorm
    lm_head: eqx.nn.Linear

    def __init__(self, of: decoder.Decoder) -> None:
        self.wte = jnp.asarray(array(of.wte.weight))
        self.h = [EquinoxBlock(block) for block in of.h]
        self.ln_f, self.lm_head = rms_norm(of.ln_f), linear(of.lm_head)

    def one(self, ids: Any) -> Any:
        x = self.wte[ids]
        for block in self.h:
            x = block(x)
        return jax.vmap(self.lm_head)(jax.vmap(self.ln_f)(x))

    def __call__(self, input_ids: Any) -> Any:
        return {"logits": jax.vmap(self.one)(input_ids)}


def linear(of: Any) -> eqx.nn.Linear:
    rows, columns = of.weight.shape
    made = eqx.nn.Linear(columns, rows, use_bias=False, key=jax.random.key(0))
    return eqx.tree_at(lambda layer: layer.weight, made, jnp.asarray(array(of.weight)))


def rms_norm(of: Any) -> eqx.nn.RMSNorm:
    """PyTorch's epsilon is that of float64 here."""
    made = eqx.nn.RMSNorm(EMBED, eps=float(np.finfo(np.float64).eps), use_bias=False)
    return eqx.tree_at(lambda norm: norm.weight, made, jnp.asarray(array(of.weight)))


def turned(x: Any) -> Any:
    """Rotary embedding of (seq, heads, width)."""
    rate = 10000.0 ** (-np.arange(0, WIDTH, 2) / WIDTH)
    angle = jnp.arange(x.shape[0])[:, None] * np.concatenate([rate, rate])
    first, second = jnp.split(x, 2, axis=-1)
    cos, sin = jnp.cos(angle)[:, None], jnp.sin(angle)[:, None]
    return x * cos + jnp.concatenate([-second, first], -1) * sin


@cache
def build(name: str) -> gw.Graph:
    """A decoder with the weights of `decoder.build(name)`: `gpt2` in flax, `llama` in Equinox."""
    model, _ = decoder.build(name)
    ids, axes = np.asarray(decoder.tokens(0)), {0: "batch seq"}
    with jax.enable_x64(True):
        if name == "gpt2":
            return gw.from_jax(Linen(), ids, params=linen_weights(model), axes=axes)
        return gw.from_jax(Equinox(model), ids, axes=axes)
