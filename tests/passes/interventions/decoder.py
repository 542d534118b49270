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


def layer(xp: Any, w: Any, x: Any, keep: Any, softmax: Any, relu: Any, at: Any) -> Any:
    """One block: `w(name)` gives its weights, `at(site, x)` sees every activation."""
    batch, seq, _ = x.shape
    x = at("resid_pre", x)
    y = at("attn.in", norm(xp, w, x, "ln_1", at))
    q, k, v = (
        at(f"attn.{name}", (y @ w(f"{name}.w") + w(f"{name}.b")).reshape(batch, seq, HEADS, WIDTH))
        for name in "qkv"
    )
    scores = xp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(WIDTH)
    scores = at("attn.scores", xp.where(keep, scores, np.finfo(np.float64).min))
    pattern = at("attn.pattern", softmax(scores))
    z = at("attn.z", xp.einsum("bhqk,bkhd->bqhd", pattern, v))
    out = z.reshape(batch, seq, EMBED) @ w("o.w") + w("o.b")
    x = at("resid_mid", x + at("attn.out", out))
    y = at("mlp.in", norm(xp, w, x, "ln_2", at))
    post = at("mlp.post", relu(at("mlp.pre", y @ w("up.w") + w("up.b"))))
    return at("resid_post", x + at("mlp.out", post @ w("down.w") + w("down.b")))


def norm(xp: Any, w: Any, x: Any, name: str, at: Any) -> Any:
    x = x - x.mean(-1)[..., None]
    scale = at(f"{name}.scale", xp.sqrt((x * x).mean(-1)[..., None] + EPS))
    return x / scale * w(f"{name}.w") + w(f"{name}.b")


def forward(
    xp: Any, w: Mapping[str, Any], ids: Any, mask: Any, softmax: Any, relu: Any, at: Any
) -> Any:
    """The decoder, in the words of any array library; `at(site, x)` sees every activation."""
    place = xp.arange(ids.shape[1])
    keep = (place[None, :] <= place[:, None])[None, None] & (mask != 0)[:, None, None, :]
    x = at("embed", w["wte"][ids]) + at("pos_embed", w["wpe"][place])
    for i in range(LAYERS):

        def at_layer(word: str, x: Any, i: int = i) -> Any:
            return at(f"h.{i}.{word}" if word.startswith("ln_") else f"blocks.{i}.{word}", x)

        x = layer(xp, lambda name, i=i: w[f"h.{i}.{name}"], x, keep, softmax, relu, at_layer)
    y = at("final_norm", norm(xp, w.__getitem__, x, "ln_f", at))
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


def stacked() -> dict[str, Array]:
    """The weights, those of all layers stacked."""
    names = [name.removeprefix("h.0.") for name in WEIGHTS if name.startswith("h.0.")]
    layers = {n: np.stack([WEIGHTS[f"h.{i}.{n}"] for i in range(LAYERS)]) for n in names}
    return {n: w for n, w in WEIGHTS.items() if not n.startswith("h.")} | {"h": layers}


def scanned_decoder(params: Any, input_ids: Any, attention_mask: Any) -> Any:
    """The decoder, its layers scanned."""
    place = jnp.arange(input_ids.shape[1])
    causal = place[None, :] <= place[:, None]
    keep = causal[None, None] & (attention_mask != 0)[:, None, None, :]

    def step(x: Any, w: Any) -> Any:
        after = layer(jnp, w.__getitem__, x, keep, jax.nn.softmax, jax.nn.relu, lambda _, x: x)
        return after, None

    x = params["wte"][input_ids] + params["wpe"][place]
    x, _ = jax.lax.scan(step, x, params["h"])
    y = norm(jnp, params.__getitem__, x, "ln_f", lambda _, x: x)
    return {"logits": y @ params["head"]}


AXES = {"input_ids": "batch seq", "attention_mask": "batch seq"}


@cache
def torch_graph() -> gw.Graph:
    ids, mask = torch.tensor(IDS), torch.tensor(ONES)
    return gw.from_torch(TorchDecoder().eval(), ids, mask, axes=AXES)


@cache
def jax_graph() -> gw.Graph:
    with jax.enable_x64(True):
        return gw.from_jax(jax_decoder, IDS, ONES, params=WEIGHTS, axes=AXES)


@cache
def scanned_graph() -> gw.Graph:
    with jax.enable_x64(True):
        return gw.from_jax(scanned_decoder, IDS, ONES, params=stacked(), axes=AXES)


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
