"""One step of a generation: what a cache knows comes in as arrays and goes out as arrays."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from transformers import DynamicCache
from transformers.exporters.exporter_dynamo import register_cache_pytrees_for_model
from zoo import build, tolerance

import graftwork as gw
from graftwork.ir.sizes import symbol
from graftwork.ir.verify import verify

BACKENDS = ("numpy", "jax", "torch", "onnx")
PREFIX = "past_key_values"
each_family = pytest.mark.parametrize("name", ["gpt2", "llama"])
pytestmark = pytest.mark.xdist_group("models")


def tokens(batch: int, length: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(100 * batch + length)
    return torch.randint(0, 99, (batch, length), generator=generator)


def known(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> DynamicCache:
    """The cache after the model has read `ids`."""
    if ids.shape[1] == 0:
        empty = known(model, tokens(ids.shape[0], 1), mask[:, :1])
        for layer in empty.layers:
            layer.keys, layer.values = layer.keys[:, :, :0], layer.values[:, :, :0]
        return empty
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask, use_cache=True).past_key_values


def arrays(cache: DynamicCache) -> list[torch.Tensor]:
    """Keys and values, layer by layer."""
    return [x for layer in cache.layers for x in (layer.keys, layer.values)]


@cache
def converted(name: str) -> tuple[Any, gw.Graph]:
    model = build(name, "sdpa")
    model.config.use_cache = True
    register_cache_pytrees_for_model(model)
    ids, mask = tokens(2, 8), torch.ones(2, 8, dtype=torch.long)
    given = {
        "input_ids": ids[:, 5:],
        "attention_mask": mask,
        PREFIX: known(model, ids[:, :5], mask[:, :5]),
    }
    axes = {"input_ids": "batch seq", PREFIX: "batch _ past _"}
    return model, gw.from_torch(model, kwargs=given, axes=axes)


@cache
def programs(name: str) -> dict[str, Any]:
    """The step on every backend; the torch module as it is, for TorchInductor takes a minute."""
    graph = converted(name)[1]
    compiled = {each: gw.compile(graph, backend=each) for each in ("numpy", "jax", "onnx")}
    return {**compiled, "torch": gw.to_torch(graph)}


@each_family
def test_the_mask_and_the_new_cache_are_as_long_as_past_and_sequence(name: str) -> None:
    _, graph = converted(name)
    verify(graph)
    assert graph.axes["kv_seq"] == symbol("past") + symbol("seq")
    layouts = {port.name: port.layout for port in (*graph.inputs, *graph.outputs)}
    assert layouts["attention_mask"] == ("batch", "kv_seq")
    before = {port.name for port in graph.inputs if port.name.startswith(PREFIX)}
    after = {port.name for port in graph.outputs} - {"logits"}
    assert before == after == {f"{PREFIX}.{i}" for i in range(4)}
    assert all(layouts[each][2] == "kv_seq" for each in after)


@each_family
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sizes", [(2, 5, 3), (3, 4, 1), (1, 1, 6), (2, 0, 4), (1, 9, 1)])
def test_a_step_is_the_models_step(name: str, backend: str, sizes: tuple[int, int, int]) -> None:
    model, _ = converted(name)
    batch, past, seq = sizes
    ids, mask = tokens(batch, past + seq), torch.ones(batch, past + seq, dtype=torch.long)
    if past > 1:
        mask[0, 0] = 0  # padded on the left
    cache = known(model, ids[:, :past], mask[:, :past])
    before = {f"{PREFIX}.{i}": x.clone() for i, x in enumerate(arrays(cache))}
    got = programs(name)[backend](input_ids=ids[:, past:], attention_mask=mask, **before)
    with torch.no_grad():
        wanted = model(input_ids=ids[:, past:], attention_mask=mask, past_key_values=cache)
    after = {f"{PREFIX}.{i}": x for i, x in enumerate(arrays(wanted.past_key_values))}
    assert set(got) == {"logits", *after}
    close = tolerance(name, "sdpa")
    for each, expected in {"logits": wanted.logits, **after}.items():
        np.testing.assert_allclose(
            np.asarray(got[each].detach() if backend == "torch" else got[each]),
            expected.numpy(),
            rtol=close,
            atol=close,
            err_msg=each,
        )


@each_family
def test_a_generation_by_steps_gives_the_models_own_tokens(name: str) -> None:
    model, _ = converted(name)
    prompt = tokens(2, 6)
    run = programs(name)["onnx"]
    empty = known(model, prompt[:, :0], torch.ones(2, 1, dtype=torch.long))
    state: dict[str, Any] = {f"{PREFIX}.{i}": x.numpy() for i, x in enumerate(arrays(empty))}
    text = new = prompt.numpy()
    for _ in range(10):
        out = dict(run(input_ids=new, attention_mask=np.ones_like(text), **state))
        new = np.asarray(out.pop("logits"))[:, -1:].argmax(-1)
        state = {each: np.asarray(x) for each, x in out.items()}
        text = np.concatenate([text, new], axis=1)
    settings = {"max_new_tokens": 10, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    wanted = model.generate(prompt, attention_mask=torch.ones_like(prompt), **settings)
    np.testing.assert_array_equal(text, wanted.numpy())
