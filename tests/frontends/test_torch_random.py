"""Random numbers that a model draws in inference: by a key that is an input, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import graftwork as gw
from graftwork.ir.errors import UnsupportedOpError
from tests.frontends.torch_support import Function

KEY = np.array([0, 42], np.uint32)
LINE = torch.zeros(2, 100)
DRAWS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], float, float]] = {
    "rand": (lambda x: torch.rand(x.shape[0], 100), 1 / 2, 1 / 12),
    "rand_like": (torch.rand_like, 1 / 2, 1 / 12),
    "randn": (lambda x: torch.randn(x.shape[0], 100), 0, 1),
    "randn_like": (torch.randn_like, 0, 1),
    "randint": (lambda x: torch.randint(-2, 5, (x.shape[0], 100)), 1, 4),
    "randint_like": (lambda x: torch.randint_like(x, 7), 3, 4),
    "bernoulli": (lambda x: torch.bernoulli(x + 0.3), 0.3, 0.21),
    "bernoulli_": (lambda x: torch.empty_like(x).bernoulli_(0.8), 0.8, 0.16),
    "uniform_": (lambda x: torch.empty_like(x).uniform_(2, 5), 3.5, 9 / 12),
    "exponential_": (lambda x: torch.empty_like(x).exponential_(0.5), 2, 4),
    "normal_": (lambda x: torch.empty_like(x).normal_(3, 2), 3, 4),
    "normal": (lambda x: torch.normal(x - 1, x + 3), -1, 9),
}


def converted(draw: Callable[[torch.Tensor], Any]) -> gw.Graph:
    return gw.from_torch(Function(draw), kwargs={"x": LINE}, axes={"x": "batch width=100"})


@cache
def drawn() -> dict[str, np.ndarray]:
    graph = converted(lambda x: {name: draw(x) for name, (draw, _, _) in DRAWS.items()})
    assert [port.name for port in graph.inputs] == ["x", "key"]
    found = gw.compile(graph, "numpy")(x=np.zeros((400, 100), np.float32), key=KEY)
    return {name: np.asarray(found[name]) for name in DRAWS}


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_has_its_mean_and_variance(name: str) -> None:
    draw, mean, variance = DRAWS[name]
    numbers = drawn()[name]
    assert numbers.shape == (400, 100)
    assert torch.from_numpy(numbers[:1]).dtype == draw(LINE).dtype
    deviation = np.sqrt(variance / numbers.size)
    assert abs(numbers.mean() - mean) < 5 * deviation
    assert abs(numbers.var() - variance) < 0.05 * variance
    assert abs(numbers.mean(0).var() / deviation**2 / 100 - 1) < 0.6


def test_equal_keys_give_equal_numbers_on_every_backend_and_each_draw_its_own() -> None:
    def sample(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x + torch.randn_like(x), torch.randn_like(x)])

    graph = converted(sample)
    x = np.ones((3, 100), np.float32)
    first = np.asarray(gw.compile(graph, "numpy")(x=x, key=KEY)["output"])
    assert abs(np.corrcoef(first[0].ravel(), first[1].ravel())[0, 1]) < 0.2
    for backend in ("jax", "onnx"):
        found = gw.compile(graph, backend)(x=x, key=KEY)["output"]
        np.testing.assert_allclose(found, first, atol=1e-5)
    with torch.no_grad():
        (found,) = gw.to_torch(graph)(x=torch.from_numpy(x), key=torch.from_numpy(KEY)).values()
    np.testing.assert_allclose(found, first, atol=1e-5)


def test_what_no_key_stands_for_is_refused() -> None:
    with pytest.raises(UnsupportedOpError, match=r"randperm.*hidden generator"):
        converted(lambda x: x[:, torch.randperm(100)])
