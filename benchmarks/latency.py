"""One forward of converted GPT-2 small beside the model as each backend's users would run it.

Batch 1, 128 tokens, float32. Each backend is measured in an interpreter of its own, so that no
other runtime's threads spin beside it; both candidates of a pair take and give NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

import graftwork as gw
from benchmarks import native, report, timing
from benchmarks.conversion import convert

if TYPE_CHECKING:
    from torch import nn

ROUNDS = 21
NO_SLOWER = report.Target(1.0)


@frozen
class Pair:
    """What is compared: a way to run our graph, and a way to run the model itself."""

    name: str
    ours: Callable[[gw.Graph], native.Forward]
    label: str
    theirs: Callable[[nn.Module], native.Forward]
    attention: str = "sdpa"
    target: report.Target | None = NO_SLOWER


def program(graph: gw.Graph, backend: str) -> native.Forward:
    run = gw.compile(graph, backend=backend)
    return lambda ids: np.asarray(run(input_ids=ids)["logits"])


def module(graph: gw.Graph) -> native.Forward:
    """The graph as a torch module that nobody compiled."""
    import torch

    lowered = gw.to_torch(graph)

    def forward(ids: native.Ids) -> native.Logits:
        with torch.inference_mode():
            logits: native.Logits = lowered(input_ids=torch.from_numpy(ids))["logits"].numpy()
        return logits

    return forward


PAIRS = (
    Pair("jax", partial(program, backend="jax"), "jax.numpy by hand, jitted", native.jax_numpy),
    Pair("torch", partial(program, backend="torch"), "torch.compile", native.torch_compile),
    Pair(
        "onnx",
        partial(program, backend="onnx"),
        "torch.onnx.export in ONNX Runtime",
        native.onnx_runtime,
        attention="eager",  # ONNX Runtime runs its export faster than that of sdpa
    ),
    Pair("torch, uncompiled", module, "the module itself", native.torch_eager, target=None),
)


def figures() -> list[report.Figure]:
    return [timing.isolated(_figure, pair) for pair in PAIRS]


def _figure(pair: Pair) -> report.Figure:
    model = native.gpt2()
    ids = native.token_ids(1, 128, vocab=50257)
    ours = pair.ours(convert(model))
    theirs = pair.theirs(native.gpt2(attn_implementation=pair.attention))
    reference = native.torch_eager(model)(ids)
    for forward in (ours, theirs):
        native.check(forward, reference, ids)
    measured = timing.compare(
        {"graftwork": lambda: ours(ids), pair.label: lambda: theirs(ids)}, ROUNDS
    )
    name = f"forward of GPT-2 small, {pair.name}"
    return report.side_by_side(name, measured, "graftwork", pair.label, pair.target)
