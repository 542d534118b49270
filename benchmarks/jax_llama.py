"""A decoder of the shape of Llama by hand in ``jax.numpy``, of tiny widths and any depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import jax

VOCAB, EMBED, MLP, HEADS, KV_HEADS, HEAD_DIM = 512, 32, 64, 4, 2, 8
_SHAPES = {
    "attn_norm": (EMBED,),
    "q": (EMBED, HEADS * HEAD_DIM),
    "k": (EMBED, KV_HEADS * HEAD_DIM),
    "v": (EMBED, KV_HEADS * HEAD_DIM),
    "o": (HEADS * HEAD_DIM, EMBED),
    "mlp_norm": (EMBED,),
    "gate": (EMBED, MLP),
    "up": (EMBED, MLP),
    "down": (MLP, EMBED),
}


def function_and_weights(layers: int) -> tuple[Callable[..., jax.Array], dict[str, Any]]:
    """`(weights, ids) -> logits`, and random weights."""
    import jax.numpy as jnp

    rng = np.random.default_rng(0)

    def random(*shape: int) -> jax.Array:
        return jnp.asarray(rng.standard_normal(shape), jnp.float32)

    return _llama, {
        "embed": random(VOCAB, EMBED),
        "norm": random(EMBED),
        "head": random(EMBED, VOCAB),
        "layers": [{n: random(*shape) for n, shape in _SHAPES.items()} for _ in range(layers)],
    }


def _llama(weights: Mapping[str, Any], ids: jax.Array) -> jax.Array:
    x = weights["embed"][ids]
    for layer in weights["layers"]:
        x = x + _attention(layer, _norm(x, layer["attn_norm"]))
        x = x + _mlp(layer, _norm(x, layer["mlp_norm"]))
    logits: jax.Array = _norm(x, weights["norm"]) @ weights["head"]
    return logits


def _norm(x: jax.Array, weight: jax.Array) -> jax.Array:
    import jax
    import jax.numpy as jnp

    return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-6) * weight


def _attention(layer: Mapping[str, Any], x: jax.Array) -> jax.Array:
    import jax
    import jax.numpy as jnp

    batch, seq, _ = x.shape
    q = _rotated((x @ layer["q"]).reshape(batch, seq, HEADS, HEAD_DIM))
    k = _rotated((x @ layer["k"]).reshape(batch, seq, KV_HEADS, HEAD_DIM))
    v = (x @ layer["v"]).reshape(batch, seq, KV_HEADS, HEAD_DIM)
    k, v = (jnp.repeat(each, HEADS // KV_HEADS, axis=2) for each in (k, v))
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / HEAD_DIM**0.5
    causal = jnp.tril(jnp.ones((seq, seq), bool))
    pattern = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), axis=-1)
    z = jnp.einsum("bhqk,bkhd->bqhd", pattern, v)
    return z.reshape(batch, seq, HEADS * HEAD_DIM) @ layer["o"]


def _rotated(x: jax.Array) -> jax.Array:
    """Rotary positions, on halves of a head."""
    import jax.numpy as jnp

    seq, half = x.shape[1], HEAD_DIM // 2
    rates = 10_000.0 ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angles = jnp.arange(seq, dtype=jnp.float32)[:, None] * rates
    angles = jnp.concatenate([angles, angles], -1)[:, None]
    first, second = jnp.split(x, 2, axis=-1)
    return x * jnp.cos(angles) + jnp.concatenate([-second, first], -1) * jnp.sin(angles)


def _mlp(layer: Mapping[str, Any], x: jax.Array) -> jax.Array:
    import jax

    return (jax.nn.silu(x @ layer["gate"]) * (x @ layer["up"])) @ layer["down"]
