"""Random operands of named axes, and comparison with PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from graftwork.ir.array import NamedArray
from tests.ir.small import evaluate, named, ordered

SIZES = {
    "batch": 2, "seq": 3, "kv_seq": 5, "heads": 2, "group": 3, "dim": 4, "embed": 6, "vocab": 7,
    "chan": 4, "out": 6, "height": 7, "width": 6, "kh": 3, "kw": 2, "groups": 2,
    "none": 0,
}  # fmt: skip


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(axes: str, seed: int = 0) -> NamedArray:
    return named(rng(seed).normal(size=[SIZES[a] for a in axes.split()]), axes)


def tensor(x: NamedArray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x.array))


def agree(found: NamedArray, axes: str, reference: torch.Tensor, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(
        ordered(found, axes), reference.numpy(), rtol=tolerance, atol=tolerance
    )


def one(function: Callable[..., Any], **arrays: NamedArray) -> NamedArray:
    (result,) = evaluate(function, SIZES, **arrays)
    return result


QKV = {
    "q": normal("batch heads seq dim"),
    "k": normal("batch heads kv_seq dim", 1),
    "v": normal("batch heads kv_seq dim", 2),
}
CAUSAL = named(np.tril(np.ones((3, 5), bool), 1), "seq kv_seq")
