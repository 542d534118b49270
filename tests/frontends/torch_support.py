"""Differential checks of converted PyTorch models: the graph on numpy against the model itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from graftwork.backends.reference import compile
from graftwork.frontends.torch import convert
from graftwork.ir.graph import Graph
from graftwork.ir.verify import verify

Inputs = Mapping[str, torch.Tensor]


class Function(torch.nn.Module):
    """A function of named tensors as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, **inputs: torch.Tensor) -> Any:
        return self.function(**inputs)


def agree(graph: Graph, model: torch.nn.Module, inputs: Inputs, tolerance: float) -> None:
    """The graph gives what the model gives: names, shapes, element types, numbers."""
    arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
    results = compile(graph)(**arrays)
    with torch.no_grad():
        expected = named(model(**inputs))
    assert list(results) == list(expected)
    for name, wanted in expected.items():
        got = np.asarray(results[name].array)
        assert got.dtype == wanted.dtype, name
        assert got.shape == wanted.shape, name
        close = max(tolerance, 8 * _rounding(got.dtype))
        np.testing.assert_allclose(got, wanted, rtol=close, atol=close, err_msg=name)


def _rounding(dtype: np.dtype[Any]) -> float:
    """How far two correct results of one operator may be apart."""
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0


def named(result: Any) -> dict[str, np.ndarray[Any, Any]]:
    """What a model returns, as the outputs of its graph are called."""
    if isinstance(result, torch.Tensor):
        return {"output": result.numpy()}
    if isinstance(result, Mapping):
        pairs = [(str(key), value) for key, value in result.items()]
    else:
        pairs = [(f"output_{i}", value) for i, value in enumerate(result)]
    found: dict[str, np.ndarray[Any, Any]] = {}
    for key, value in pairs:
        if isinstance(value, torch.Tensor):
            found[key] = value.numpy()
        elif isinstance(value, tuple | list):
            found |= {f"{key}.{i}": each.numpy() for i, each in enumerate(value)}
    return found


def check(
    model: torch.nn.Module | Callable[..., Any],
    make: Callable[[Mapping[str, int]], Inputs],
    axes: Mapping[str | int, str],
    sizes: Sequence[Mapping[str, int]],
    tolerance: float = 1e-9,
) -> Graph:
    """Convert at the first sizes; compare at all of them."""
    module = model if isinstance(model, torch.nn.Module) else Function(model)
    module.eval()
    graph = convert(module, kwargs=make(sizes[0]), axes=axes)
    verify(graph)
    for each in sizes:
        agree(graph, module, make(each), tolerance)
    return graph


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    """Random float64 numbers that do not depend on the order of tests."""
    return torch.from_numpy(np.random.default_rng([seed, *shape]).standard_normal(shape))


def integers(*shape: int, high: int = 5, low: int = 0) -> torch.Tensor:
    """Random int64 numbers that do not depend on the order of tests."""
    return torch.from_numpy(np.random.default_rng([high, *shape]).integers(low, high, shape))
