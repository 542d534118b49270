"""A training step of LoRA on GPT-2 small, 4 times 64 tokens, beside adapters by hand in torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

import graftwork as gw
from benchmarks import native, report, timing
from graftwork import passes as p

RANK, RATE = 8, 1e-3
ROUNDS = 9
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


def figures() -> list[report.Figure]:
    return timing.isolated(_figures)


def _figures() -> list[report.Figure]:
    ids = torch.from_numpy(native.token_ids(4, 64, vocab=50257))
    model = native.gpt2()
    sample = torch.zeros(2, 8, dtype=torch.int64)
    graph = gw.from_torch(model, kwargs={"input_ids": sample}, axes={"input_ids": "batch seq"})
    step, start = ours(graph, ids)
    hand = by_hand(model, start, ids)
    for _ in range(3):
        losses = step(), hand()
        assert math.isclose(*losses, rel_tol=1e-4), losses
    comparison = timing.compare({"ours": step, "by hand": hand}, ROUNDS)
    ratio = timing.spread([1 / r for r in _ratios(comparison)])
    name = "a LoRA step, batch 4 x 64"
    target = report.Target(1.2, "x", at_least=True)
    beside = f"adapters by hand: {report.times(comparison, 'by hand')}"
    measured = report.times(comparison, "ours")
    return [report.Figure(name, measured, beside, ratio, ratio.median, target)]


def _ratios(comparison: timing.Comparison) -> list[float]:
    pairs = zip(comparison.samples["ours"], comparison.samples["by hand"], strict=True)
    return [mine.wall / theirs.wall for mine, theirs in pairs]
