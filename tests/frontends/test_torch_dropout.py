"""Dropout in training mode: masks from one random key, equal on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import graftwork as gw

KEY = np.array([0, 42], np.uint32)
WIDE = {"x": "batch features=64"}


class Drops(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, training=self.training)


def trained(function: Any, x: torch.Tensor, axes: str = "batch features=64") -> gw.Graph:
    return gw.from_torch(Drops(function), x, axes={"x": axes}, training=True)


def drawn(graph: gw.Graph, backend: str = "numpy", key: Any = KEY, **inputs: Any) -> np.ndarray:
    if backend == "torch":  # as it is, since to compile Threefry takes TorchInductor minutes
        with torch.no_grad():
            tensors = {name: torch.from_numpy(x) for name, x in (inputs | {"key": key}).items()}
            return np.asarray(gw.to_torch(graph)(**tensors)["output"])
    return np.asarray(gw.compile(graph, backend)(**inputs, key=key)["output"])


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_the_share_that_is_kept_is_binomial_and_scaled(p: float) -> None:
    graph = trained(lambda x, training: F.dropout(x, p, training), torch.ones(2, 64))
    found = drawn(graph, x=np.ones((500, 64), np.float32))
    kept = found != 0
    np.testing.assert_array_equal(found[kept], np.float32(1 / np.float32(1 - p)))
    deviation = np.sqrt(p * (1 - p) / kept.size)
    assert abs(kept.mean() - (1 - p)) < 5 * deviation
    assert abs(found.var() - p / (1 - p)) < 0.05 * p / (1 - p)
    for axis in (0, 1):  # rows and columns are as independent as elements
        spread = kept.mean(axis).var() / (p * (1 - p) / kept.shape[axis])
        assert 0.5 < spread < 1.6


def test_equal_keys_give_equal_numbers_on_every_backend_and_others_give_others() -> None:
    model = nn.Sequential(nn.Dropout(0.3), nn.Tanh(), nn.AlphaDropout(0.2))
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32))
    graph = gw.from_torch(model, x, axes={0: "batch features=64"}, training=True)
    first = drawn(graph, input=x.numpy())
    for backend in ("jax", "torch", "onnx"):
        np.testing.assert_allclose(drawn(graph, backend, input=x.numpy()), first, atol=1e-6)
    assert (drawn(graph, key=np.array([0, 43], np.uint32), input=x.numpy()) != first).any()


def test_every_call_draws_for_itself() -> None:
    def twice(x: torch.Tensor, training: bool) -> torch.Tensor:
        return torch.stack([F.dropout(x, 0.5, training), F.dropout(x, 0.5, training)])

    found = drawn(trained(twice, torch.ones(2, 64)), x=np.ones((4, 64), np.float32)) != 0
    assert 0.3 < (found[0] == found[1]).mean() < 0.7


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_nothing_or_everything_is_dropped_as_torch_has_it(p: float) -> None:
    x = torch.randn(2, 64)
    graph = trained(lambda x, training: F.dropout(x, p, training) * 2, x)
    assert [port.name for port in graph.inputs] == ["x"]  # nothing is drawn, so there is no key
    found = gw.compile(graph, "numpy")(x=x)["output"]
    np.testing.assert_array_equal(found, F.dropout(x, p, True) * 2)
    assert len(gw.from_torch(nn.Dropout(0.5), x).inputs) == 1


def test_channels_are_dropped_whole() -> None:
    graph = trained(lambda x, training: F.dropout2d(x, 0.5, training), torch.ones(2, 9, 3, 3),
                    "batch channels=9 height=3 width=3")  # fmt: skip
    found = drawn(graph, x=np.ones((20, 9, 3, 3), np.float32))
    assert set(found.sum((2, 3)).ravel()) == {0.0, 18.0}


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    graph = trained(lambda x, training: F.alpha_dropout(x, 0.4, training), torch.ones(2, 64))
    x = np.random.default_rng(0).standard_normal((2000, 64)).astype(np.float32)
    found = drawn(graph, x=x)
    assert abs(found.mean()) < 0.02
    assert abs(found.var() - 1) < 0.03


def test_attention_drops_weights() -> None:
    """Values are the unit vectors, so that the result is the dropped pattern."""

    def attend(x: torch.Tensor, training: bool) -> torch.Tensor:
        values = torch.eye(6, dtype=x.dtype).expand(x.shape[0], 6, 6)
        mask = torch.ones(6, 6, dtype=torch.bool).tril()
        return F.scaled_dot_product_attention(x, x, values, mask, 0.4 if training else 0.0)

    x = np.random.default_rng(0).standard_normal((200, 6, 64)).astype(np.float32) * 0.1
    graph = trained(attend, torch.ones(2, 6, 64), "batch seq=6 features=64")
    pattern = attend(torch.from_numpy(x), False).numpy()
    found = drawn(graph, x=x)
    kept = found != 0
    np.testing.assert_allclose(found[kept], (pattern / 0.6)[kept], rtol=1e-5)
    assert abs(kept[pattern > 0].mean() - 0.6) < 0.03


def test_gradients_are_those_of_the_mask() -> None:
    import jax

    graph = trained(lambda x, training: F.dropout(x, 0.5, training), torch.ones(2, 64))
    x = torch.ones(3, 64, requires_grad=True)
    key = torch.from_numpy(KEY)
    result = next(iter(gw.to_torch(graph)(x=x, key=key).values()))
    result.sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad, result.detach())
    function, params = gw.to_jax(graph)
    given = {"x": x.detach().numpy(), "key": KEY}
    total = jax.jit(lambda x: function(params, given | {"x": x})["output"].sum())
    slopes = jax.grad(total)(given["x"])
    np.testing.assert_array_equal(slopes, result.detach())
