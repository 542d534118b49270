"""What interventions cost: edited graphs of GPT-2 small beside the plain one, on each backend.

Batch 1, 128 tokens; what is patched in is an array, since a source run is a second run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

import graftwork as gw
from benchmarks import native, report, timing
from graftwork import passes as p

ROUNDS = 15
BACKENDS = ("onnx", "torch", "jax")
FREE = report.Target(1.03)
VECTOR = np.random.default_rng(3).normal(size=768).astype(np.float32)
EDITS: Mapping[str, tuple[p.Pass, report.Target | None]] = {
    "patched": (p.Patch("blocks.6.resid_pre", where={"seq": 5}, value=VECTOR), FREE),
    "steered": (p.Steer("blocks.6.resid_post", VECTOR), FREE),
    "a stream collected": (p.Collect("blocks.6.resid_post"), FREE),
    "a head ablated": (p.Ablate("blocks.6.attn.z", where={"heads": 3}), FREE),
    "LoRA of rank 8 everywhere": (p.LoRA("**.c_attn", rank=8, key=0), report.Target(1.05)),
}


def figures() -> list[report.Figure]:
    return [figure for b in BACKENDS for figure in timing.isolated(_figures, b)]


def _figures(backend: str) -> list[report.Figure]:
    ids = native.token_ids(1, 128, vocab=50257)
    sample = torch.zeros(2, 8, dtype=torch.int64)
    graph = gw.from_torch(
        native.gpt2(), kwargs={"input_ids": sample}, axes={"input_ids": "batch seq"}
    )

    def running(edited: gw.Graph) -> Callable[[], Any]:
        run = gw.compile(edited, backend=backend)
        run(input_ids=ids)  # compiled for these sizes
        return lambda: np.asarray(run(input_ids=ids)["logits"])

    candidates = {"plain": running(graph)}
    candidates |= {name: running(graph.apply(edit)) for name, (edit, _) in EDITS.items()}
    comparison = timing.compare(candidates, ROUNDS)
    return [
        report.side_by_side(f"{name}, {backend}", comparison, name, "plain", target)
        for name, (_, target) in EDITS.items()
    ]
