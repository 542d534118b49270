"""GPT-2 as a user would run it without graftwork, on one set of weights.

Every counterpart takes token ids (batch, seq) of int64 and returns logits (batch, seq, vocab) of
float32, both NumPy arrays, so that all of them pay for the same boundary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

if TYPE_CHECKING:
    import jax
    from torch import nn

Ids = NDArray[np.int64]
Logits = NDArray[np.float32]
Forward = Callable[[Ids], Logits]


def gpt2(**config: Any) -> nn.Module:
    """A Hugging Face GPT-2 in inference mode; GPT-2 small unless ``config`` says otherwise.

    Every parameter is random, biases and norms too: at their usual zeros and ones a counterpart
    could forget them and still agree.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    model: nn.Module = GPT2LMHeadModel(
        GPT2Config(use_cache=False, bos_token_id=None, eos_token_id=None, **config)
    )
    model.requires_grad_(False).train(False)
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return model


def token_ids(batch: int, seq: int, vocab: int) -> Ids:
    return np.random.default_rng(0).integers(0, vocab, (batch, seq))


def check(forward: Forward, reference: Logits, ids: Ids) -> None:
    """Refuse a counterpart whose logits are off by more than 1e-4 of the largest one."""
    error = np.abs(forward(ids) - reference).max() / np.abs(reference).max()
    if not error <= 1e-4:
        raise AssertionError(f"logits differ by {error:.1e} of the largest")


def torch_eager(model: Callable[..., Any]) -> Forward:
    import torch

    def forward(ids: Ids) -> Logits:
        with torch.inference_mode():
            logits: Logits = model(input_ids=torch.from_numpy(ids)).logits.numpy()
        return logits

    return forward


def torch_compile(model: nn.Module) -> Forward:
    import torch

    return torch_eager(torch.compile(model))


@frozen(eq=False)
class Signature:
    """A module's only input, its dimensions that vary, by name, and its first output."""

    argument: str
    sample: NDArray[Any]
    free: Mapping[int, str]
    output: str


DECODER = Signature("input_ids", np.zeros((2, 16), np.int64), {0: "batch", 1: "seq"}, "logits")


def onnx_runtime(
    model: nn.Module, signature: Signature = DECODER
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """The module through ``torch.onnx.export``, run by ONNX Runtime."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "native.onnx"
        export(model, path, signature)
        return session(path, signature)


def export(model: nn.Module, path: Path, signature: Signature = DECODER) -> None:
    import torch

    torch.onnx.export(
        model,
        kwargs={signature.argument: torch.from_numpy(signature.sample)},
        f=path,
        dynamo=True,
        verbose=False,
        output_names=[signature.output],
        dynamic_shapes={signature.argument: dict(signature.free)},
    )


def session(path: Path, signature: Signature = DECODER) -> Callable[[NDArray[Any]], NDArray[Any]]:
    import onnxruntime

    loaded = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def forward(given: NDArray[Any]) -> NDArray[Any]:
        (made,) = loaded.run([signature.output], {signature.argument: given})
        return cast("NDArray[Any]", made)

    return forward


def jax_numpy(model: nn.Module) -> Forward:
    """GPT-2 written by hand in ``jax.numpy`` and jitted."""
    import jax

    function, weights = jax_function(model)
    forward = jax.jit(function)
    return lambda ids: np.asarray(forward(weights, ids))


def jax_function(model: nn.Module) -> tuple[Callable[..., jax.Array], dict[str, Any]]:
    """GPT-2 written by hand in ``jax.numpy``, `(weights, ids) -> logits`, and the weights."""
    config: Any = model.config
    function = partial(_gpt2, heads=config.n_head, eps=config.layer_norm_epsilon)
    return function, _jax_weights(model, layers=config.n_layer)


def _gpt2(weights: Mapping[str, Any], ids: jax.Array, heads: int, eps: float) -> jax.Array:
    x = weights["wte"][ids] + weights["wpe"][: ids.shape[1]]
    for block in weights["blocks"]:
        x = x + _attention(block, _norm(x, block["ln_1"], eps), heads)
        x = x + _mlp(block, _norm(x, block["ln_2"], eps))
    wte: jax.Array = weights["wte"]
    return _norm(x, weights["ln_f"], eps) @ wte.T


def _attention(block: Mapping[str, Any], x: jax.Array, heads: int) -> jax.Array:
    import jax
    import jax.numpy as jnp

    batch, seq, embed = x.shape
    packed = _linear(x, block["attn.c_attn"]).reshape(batch, seq, 3, heads, embed // heads)
    q, k, v = packed[:, :, 0], packed[:, :, 1], packed[:, :, 2]
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(embed // heads).astype(q.dtype)
    causal = jnp.tril(jnp.ones((seq, seq), bool))
    pattern = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), axis=-1)
    z = jnp.einsum("bhqk,bkhd->bqhd", pattern, v)
    return _linear(z.reshape(batch, seq, embed), block["attn.c_proj"])


def _mlp(block: Mapping[str, Any], x: jax.Array) -> jax.Array:
    import jax

    post = jax.nn.gelu(_linear(x, block["mlp.c_fc"]), approximate=True)
    return _linear(post, block["mlp.c_proj"])


def _linear(x: jax.Array, parameters: tuple[jax.Array, jax.Array]) -> jax.Array:
    weight, bias = parameters
    return x @ weight + bias


def _norm(x: jax.Array, parameters: tuple[jax.Array, jax.Array], eps: float) -> jax.Array:
    import jax
    import jax.numpy as jnp

    weight, bias = parameters
    centred = x - x.mean(-1, keepdims=True)
    variance = jnp.square(centred).mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + eps) * weight + bias


def _jax_weights(model: nn.Module, layers: int) -> dict[str, Any]:
    """The model's weights as a pytree; Hugging Face keeps GPT-2's matrices as (in, out)."""
    import jax.numpy as jnp

    arrays = {name: jnp.asarray(array.numpy()) for name, array in model.state_dict().items()}

    def pair(path: str) -> tuple[jax.Array, jax.Array]:
        return arrays[f"{path}.weight"], arrays[f"{path}.bias"]

    parts = ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
    return {
        "wte": arrays["transformer.wte.weight"],
        "wpe": arrays["transformer.wpe.weight"],
        "ln_f": pair("transformer.ln_f"),
        "blocks": [
            {part: pair(f"transformer.h.{layer}.{part}") for part in parts}
            for layer in range(layers)
        ],
    }
