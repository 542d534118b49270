"""One small decoder with one set of weights, in numpy with hooks, in PyTorch and in JAX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import graftwork as gw

Array = np.ndarray[Any, Any]
Hook = Callable[[Array], Array]

LAYERS, HEADS, WIDTH, EMBED, HIDDEN, VOCAB, CONTEXT = 2, 2, 4, 8, 16, 11, 16
EPS = 1e-5
PAD = 0


def _weights() -> dict[str, Array]:
    rng = np.random.default_rng(7)

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape) * 0.4

    weights = {"wte": normal(VOCAB, EMBED), "wpe": normal(CONTEXT, EMBED)}
    for i in range(LAYERS):
        for norm in ("ln_1", "ln_2"):
            weights |= {f"h.{i}.{norm}.w": 1 + normal(EMBED), f"h.{i}.{norm}.b": normal(EMBED)}
        for name in "qkv":
            weights |= {f"h.{i}.{name}.w": normal(EMBED, EMBED), f"h.{i}.{name}.b": normal(EMBED)}
        weights |= {f"h.{i}.o.w": normal(EMBED, EMBED), f"h.{i}.o.b": normal(EMBED)}
        weights |= {f"h.{i}.up.w": normal(EMBED, HIDDEN), f"h.{i}.up.b": normal(HIDDEN)}
        weights |= {f"h.{i}.down.w": normal(HIDDEN, EMBED), f"h.{i}.down.b": normal(EMBED)}
    weights |= {"ln_f.w": 1 + normal(EMBED), "ln_f.b": normal(EMBED)}
    return weights | {"head": normal(EMBED, VOCAB)}


WEIGHTS = _weights()
IDS, OTHER, THIRD = np.random.default_rng(1).integers(1, VOCAB, (3, 3, 5))
ONES = np.ones((3, 5), np.int64)
VECTOR = np.arange(1.0, EMBED + 1)


def forward(
    xp: Any, w: Mapping[str, Any], ids: Any, mask: Any, softmax: Any, relu: Any, at: Any
) -> Any:
    """The decoder, in the words of any array library; `at(site, x)` sees every activation."""
    batch, seq = ids.shape

    def norm(x: Any, name: str) -> Any:
        x = x - x.mean(-1)[..., None]
        scale = at(f"{name}.scale", xp.sqrt((x * x).mean(-1)[..., None] + EPS))
        return x / scale * w[f"{name}.w"] + w[f"{name}.b"]

    place = xp.arange(seq)
    keep = (place[None, :] <= place[:, None])[None, None] & (mask != 0)[:, None, None, :]
    x = at("embed", w["wte"][ids]) + at("pos_embed", w["wpe"][place])
    for i in range(LAYERS):
        x = at(f"blocks.{i}.resid_pre", x)
        y = at(f"blocks.{i}.attn.in", norm(x, f"h.{i}.ln_1"))
        q, k, v = (
            at(
                f"blocks.{i}.attn.{name}",
                (y @ w[f"h.{i}.{name}.w"] + w[f"h.{i}.{name}.b"]).reshape(batch, seq, HEADS, WIDTH),
            )
            for name in "qkv"
        )
        scores = xp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(WIDTH)
        scores = xp.where(keep, scores, np.finfo(np.float64).min)
        scores = at(f"blocks.{i}.attn.scores", scores)
        pattern = at(f"blocks.{i}.attn.pattern", softmax(scores))
        z = at(f"blocks.{i}.attn.z", xp.einsum("bhqk,bkhd->bqhd", pattern, v))
        out = z.reshape(batch, seq, EMBED) @ w[f"h.{i}.o.w"] + w[f"h.{i}.o.b"]
        x = at(f"blocks.{i}.resid_mid", x + at(f"blocks.{i}.attn.out", out))
        y = at(f"blocks.{i}.mlp.in", norm(x, f"h.{i}.ln_2"))
        pre = at(f"blocks.{i}.mlp.pre", y @ w[f"h.{i}.up.w"] + w[f"h.{i}.up.b"])
        post = at(f"blocks.{i}.mlp.post", relu(pre))
        out = at(f"blocks.{i}.mlp.out", post @ w[f"h.{i}.down.w"] + w[f"h.{i}.down.b"])
        x = at(f"blocks.{i}.resid_post", x + out)
    y = at("final_norm", norm(x, "ln_f"))
    return at("logits", y @ w["head"])


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def hooked(
    ids: Array = IDS,
    mask: Array | None = None,
    hooks: Mapping[str, Hook | list[Hook]] | None = None,
    weights: Mapping[str, Array] = WEIGHTS,
) -> dict[str, Array]:
    """All activations of the decoder in numpy; hooks replace those that they are named for."""
    seen: dict[str, Array] = {}

    def at(site: str, x: Array) -> Array:
        chain = (hooks or {}).get(site, [])
        for hook in chain if isinstance(chain, list) else [chain]:
            x = hook(x.copy())
        seen[site] = x
        return x

    mask = np.ones_like(ids) if mask is None else mask
    forward(np, weights, ids, mask, _softmax, lambda x: np.maximum(x, 0), at)
    return seen


class TorchDecoder(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.names = {name: name.replace(".", "_") for name in WEIGHTS}
        for name, under in self.names.items():
            self.register_parameter(under, torch.nn.Parameter(torch.tensor(WEIGHTS[name])))

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        weights = {name: getattr(self, under) for name, under in self.names.items()}
        logits = forward(
            torch, weights, input_ids, attention_mask,
            lambda x: torch.softmax(x, -1), torch.relu, lambda _, x: x,
        )  # fmt: skip
        return {"logits": logits}


def jax_decoder(params: Any, input_ids: Any, attention_mask: Any) -> Any:
    return {
        "logits": forward(
            jnp, params, input_ids, attention_mask, jax.nn.softmax, jax.nn.relu, lambda _, x: x
        )
    }


AXES = {"input_ids": "batch seq", "attention_mask": "batch seq"}


@cache
def torch_graph() -> gw.Graph:
    ids, mask = torch.tensor(IDS), torch.tensor(ONES)
    return gw.from_torch(TorchDecoder().eval(), ids, mask, axes=AXES)


@cache
def jax_graph() -> gw.Graph:
    with jax.enable_x64(True):
        return gw.from_jax(jax_decoder, IDS, ONES, params=WEIGHTS, axes=AXES)


both = pytest.mark.parametrize("graph", [torch_graph, jax_graph], ids=["torch", "jax"])


def logits(graph: gw.Graph, ids: Array = IDS, mask: Array | None = None, **more: Any) -> Array:
    """What a graph gives in numpy."""
    mask = np.ones_like(ids) if mask is None else mask
    out = gw.compile(graph, "numpy")(input_ids=ids, attention_mask=mask, **more)
    return np.asarray(out["logits"])


def clean(ids: Array = OTHER, mask: Array | None = None) -> dict[str, Array]:
    """The inputs of a source run."""
    return {"input_ids": ids, "attention_mask": np.ones_like(ids) if mask is None else mask}


def close(a: Array, b: Array) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)
