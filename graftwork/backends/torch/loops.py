"""Control flow on modules: Python loops when run, torch's own operators when compiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

Tensor = torch.Tensor
Tensors = tuple[Tensor, ...]


def call(body: Any, operands: Sequence[Any]) -> Tensors:
    """A sub-graph applied to operands."""
    found: Tensors = body(*operands)
    return found


def cond(pred: Tensor, then: Any, other: Any, operands: tuple[Sequence[Any], ...]) -> Tensors:
    """One of two sub-graphs."""
    found: Tensors = then(*operands[0]) if bool(pred) else other(*operands[1])
    return found


def repeat(
    going: Any, body: Any, state: Sequence[Tensor], consts: tuple[Sequence[Any], ...]
) -> Tensors:
    """A sub-graph repeated while the condition holds anywhere."""
    held = tuple(state)
    while bool(going(*held, *consts[0])[0]):
        held = body(*held, *consts[1])
    return held


def scan(
    body: Any,
    state: Sequence[Tensor],
    rows: Sequence[Tensor],
    consts: Sequence[Any],
    length: int,
    reverse: bool,
    empty: Sequence[Tensor],
) -> Tensors:
    """A sub-graph run along the first dimension of `rows`; stacks what it gives at each step.

    Its step alone is compiled: written out, steps would be compiled anew for every length, in a
    time that grows with it, and TorchInductor has given wrong numbers for a dozen in one kernel.
    An export, which has no pieces, writes them out. `empty` is what the stacks are where there are
    no steps.
    """
    held = tuple(state)
    steps: list[Tensors] = []
    for at in reversed(range(length)) if reverse else range(length):
        if torch.compiler.is_dynamo_compiling() and not torch.compiler.is_exporting():
            torch._dynamo.graph_break()
        results = body(*held, *(row[at] for row in rows), *consts)
        held = results[: len(held)]
        steps.append(results[len(held) :])
    if not steps:
        return (*held, *empty)
    ordered = reversed(steps) if reverse else steps
    return (*held, *(torch.stack(parts) for parts in zip(*ordered, strict=True)))
