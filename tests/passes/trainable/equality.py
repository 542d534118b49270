"""A network that computes two equalities and compares them, each along a known direction.

It says whether (x0 == x1) == (x2 == x3), for small integers x. Its hidden layer holds both causal
variables, and what has nothing to do with them, in a rotated basis.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

import graftwork as gw

Array = np.ndarray[Any, Any]
WIDTH = 8
ROTATION = np.linalg.qr(np.random.default_rng(11).standard_normal((WIDTH, WIDTH)))[0]
HIDDEN = "turned"


class Equality(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.apart = _linear([[1, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, 1],
                              [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])  # fmt: skip
        equal = np.eye(WIDTH)
        equal[:2] = [[-1, -1, 0, 0, 0, 0, 0, 0], [0, 0, -1, -1, 0, 0, 0, 0]]
        equal[2:4] = [[0, 0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0, 0]]
        equal[4:] = np.eye(WIDTH)[[6, 7, 4, 6]] - np.eye(WIDTH)[[4, 6, 7, 5]]
        self.equal = _linear(equal, [1, 1, 0, 0, 0, 0, 0, 0])
        self.turned = _linear(ROTATION.T)
        self.back = _linear(ROTATION[:2])
        self.differ = _linear([[1, -1], [-1, 1]])
        self.head = _linear([[-10, -10]], [5])

    def forward(self, x: Any) -> Any:
        hidden = self.turned(self.equal(self.apart(x).relu()).relu())
        return {"logit": self.head(self.differ(self.back(hidden)).relu())[:, 0]}


def _linear(weight: Any, bias: Any = None) -> nn.Linear:
    weight = torch.tensor(np.asarray(weight, np.float32))
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data = weight
    layer.bias.data = torch.zeros(len(weight)) if bias is None else torch.tensor(bias).float()
    return layer


@cache
def graph() -> gw.Graph:
    axes = {"x": "batch inputs=4"}
    return gw.from_torch(Equality().eval(), kwargs={"x": torch.zeros(3, 4)}, axes=axes)


def drawn(rng: np.random.Generator, count: int) -> Array:
    """Inputs of which each equality holds half the time."""
    x = rng.integers(0, 4, (count, 4))
    for left in (0, 2):
        same = rng.random(count) < 0.5
        x[same, left + 1] = x[same, left]
    return x.astype(np.float32)


def pairs(seed: int, count: int) -> tuple[dict[str, Any], Array]:
    """Base and source inputs, and what the base gives with the first equality of the source."""
    rng = np.random.default_rng(seed)
    base, source = drawn(rng, count), drawn(rng, count)
    wanted = (source[:, 0] == source[:, 1]) == (base[:, 2] == base[:, 3])
    return {"x": base, "source": {"x": source}}, wanted


def accuracy(edited: gw.Graph, seed: int = 99, **more: Any) -> float:
    """Interchange accuracy on pairs that no training saw."""
    inputs, wanted = pairs(seed, 512)
    logit = gw.compile(edited, "numpy")(**inputs, **more)["logit"]
    return float(((np.asarray(logit) > 0) == wanted).mean())
