"""A training step of LoRA on GPT-2 small, 4 times 64 tokens, beside other adapters in torch.

Ours is a graph of loss and gradients, in ONNX Runtime; theirs are written by hand, and those of
`peft` where that is installed. One optimiser moves them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import graftwork as gw
from benchmarks import native, report, timing
from graftwork import passes as p

RANK, RATE = 8, 1e-3
ROUNDS = 9
NAME = "a LoRA step, batch 4 x 64"
Step = Callable[[], float]


class Adapted(nn.Module):
    """A linear map of Hugging Face's GPT-2 and what is added to it."""

    def __init__(self, inner: Any, down: torch.Tensor) -> None:
        super().__init__()
        self.inner = inner
        self.down = nn.Parameter(down.clone())
        self.up = nn.Parameter(torch.zeros(inner.weight.shape[1], len(down)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) + F.linear(F.linear(x, self.down), self.up)


def _loss(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def _step(model: Callable[..., torch.Tensor], learned: list[Any], ids: torch.Tensor) -> Step:
    optimizer = torch.optim.AdamW(learned, RATE)

    def step() -> float:
        loss = _loss(model(ids), ids)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def _graph_loss(out: Any) -> Any:
    """The same as `_loss`, in a graph."""
    logits = out["logits"][{"seq": slice(None, -1)}]
    following = out["input_ids"][{"seq": slice(1, None)}]
    following = following.rename(**dict(zip(following.axes, logits.axes, strict=False)))
    return gw.ops.cross_entropy(logits, following, axis="vocab").mean(*following.axes)


def ours(graph: gw.Graph, ids: torch.Tensor) -> tuple[Step, dict[str, torch.Tensor]]:
    """Loss and gradients as one graph, compiled; and where its adapters start."""
    adapted = graph.apply(p.LoRA("**.c_attn", rank=RANK, key=0), p.Train("**.lora_*"))
    names = adapted.trainable
    whole = adapted.apply(
        p.AsInputs(*names),
        p.Measure(_graph_loss, "loss"),
        p.Gradient("loss", names),
        p.Keep("loss", *(f"gradient.{name}" for name in names)),
    )
    run = gw.compile(whole, backend="onnx")
    start = {name: torch.tensor(adapted.params[name]) for name in names}
    learned = {name: x.clone() for name, x in start.items()}
    optimizer = torch.optim.AdamW(learned.values(), RATE)

    def step() -> float:
        out = run(input_ids=ids, **learned)
        for name, x in learned.items():
            x.grad = torch.from_numpy(np.asarray(out[f"gradient.{name}"]))
        optimizer.step()
        return float(np.asarray(out["loss"]))

    return step, start


def by_hand(model: Any, start: dict[str, torch.Tensor], ids: torch.Tensor) -> Step:
    """The same adapters with the same start."""
    learned: list[Any] = []
    for number, block in enumerate(model.transformer.h):
        down = start[f"transformer.h.{number}.attn.c_attn.lora_a"]
        block.attn.c_attn = Adapted(block.attn.c_attn, down)
        learned += [block.attn.c_attn.down, block.attn.c_attn.up]
    return _step(lambda x: model(input_ids=x).logits, learned, ids)


def with_peft(model: Any, start: Mapping[str, torch.Tensor], ids: torch.Tensor) -> Step:
    """The same adapters as a peft model."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=RANK, lora_alpha=RANK, lora_dropout=0.0, target_modules=["c_attn"], fan_in_fan_out=True
    )
    adapted: Any = get_peft_model(model, config)
    learned = [x for x in adapted.parameters() if x.requires_grad]
    with torch.no_grad():
        for number, block in enumerate(adapted.base_model.model.transformer.h):
            down = start[f"transformer.h.{number}.attn.c_attn.lora_a"]
            block.attn.c_attn.lora_A["default"].weight.copy_(down)
    return _step(lambda x: adapted(input_ids=x).logits, learned, ids)


def figures() -> list[report.Figure]:
    return timing.isolated(_figures)


def _figures() -> list[report.Figure]:
    ids = torch.from_numpy(native.token_ids(4, 64, vocab=50257))
    model = native.gpt2()
    sample = torch.zeros(2, 8, dtype=torch.int64)
    graph = gw.from_torch(model, kwargs={"input_ids": sample}, axes={"input_ids": "batch seq"})
    step, start = ours(graph, ids)
    steps = {"ours": step, "by hand": by_hand(model, start, ids)}
    absent = []
    if find_spec("peft") is not None:
        steps["peft"] = with_peft(native.gpt2(), start, ids)
    else:
        absent = [report.Figure(NAME, "", "peft: not installed, so not measured")]
    for _ in range(3):
        losses = [run() for run in steps.values()]
        assert all(math.isclose(losses[0], loss, rel_tol=1e-4) for loss in losses), losses
    comparison = timing.compare(steps, ROUNDS)
    return [_figure(comparison, other) for other in steps if other != "ours"] + absent


def _figure(comparison: timing.Comparison, other: str) -> report.Figure:
    pairs = zip(comparison.samples[other], comparison.samples["ours"], strict=True)
    faster = timing.spread([theirs.wall / mine.wall for theirs, mine in pairs])
    return report.Figure(
        NAME,
        report.times(comparison, "ours"),
        f"{other}: {report.times(comparison, other)}",
        faster,
        faster.median,
        report.Target(1.2, "x", at_least=True),
    )
