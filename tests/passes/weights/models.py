"""Converted models whose every weight, norms and biases too, is random."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax

import graftwork as gw
from tests.models import zoo
from tests.models.jax_decoders import DECODERS

Array = np.ndarray[Any, Any]
IDS = np.random.default_rng(0).integers(0, 99, (2, 7))
MASK = np.ones_like(IDS)
MASK[0, 4:] = 0
PIXELS = zoo.inputs("vit", (2, 7))["pixel_values"].numpy()


@cache
def converted(family: str) -> gw.Graph:
    """A PyTorch model, in float64 where its code computes in float64."""
    model = zoo.build(family, zoo.FAMILIES[family].attention[0])
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=generator).to(weight.dtype)
    inputs = zoo.inputs(family, (2, 7))
    return gw.from_torch(model, kwargs=inputs, axes=zoo.axes(family))


@cache
def in_jax(family: str) -> gw.Graph:
    """The decoder in flax linen, in float32."""
    model, params = DECODERS[family, "linen"]()
    return gw.from_jax(model, IDS, params=params, axes={0: "batch seq"})


def log_probabilities(graph: gw.Graph, backend: str = "numpy") -> Array:
    given = {"input_ids": IDS, "attention_mask": MASK, "ids": IDS, "pixel_values": PIXELS}
    inputs = {port.name: given[port.name] for port in graph.inputs}
    out = gw.compile(graph, backend)(**inputs)
    return np.asarray(log_softmax(np.asarray(out["logits"], np.float64), -1))


def weights(graph: gw.Graph) -> Mapping[str, Array]:
    return {p.name: np.asarray(graph.params[p.name]) for p in graph.parameters}


def assert_kept(old: gw.Graph, new: gw.Graph, backend: str = "numpy") -> None:
    """The same log-probabilities, to 1e-5 in float32 and 1e-9 in float64."""
    exact = all(p.value.type.dtype.value != "f32" for p in old.parameters)
    found, wanted = log_probabilities(new, backend), log_probabilities(old)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9 if exact else 1e-5)
