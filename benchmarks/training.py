"""A training step of LoRA on GPT-2 small, 4 times 64 tokens, beside other adapters in torch.

They are written by hand, and those of `peft` where that is installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

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


def ours(graph: gw.Graph, ids: torch.Tensor) -> tuple[Step, dict[str, torch.Tensor]]:
    """The graph's module, compiled; and where its adapters start."""
    adapted = graph.apply(p.LoRA("**.c_attn", rank=RANK, key=0))
    module = gw.to_torch(adapted)
    learned = {n: x for n, x in module.named_parameters() if "lora" in n}
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in learned)
    compiled = torch.compile(module)
    start = {name: x.detach().clone() for name, x in learned.items()}
    return _step(lambda x: compiled(input_ids=x)["logits"], list(learned.values()), ids), start


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
