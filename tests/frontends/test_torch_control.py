"""Control flow that a model writes itself: it stays control flow."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch._higher_order_ops import scan, while_loop

from tests.frontends.torch_support import Inputs, check, numbers

T = torch.Tensor
SIZES = [{"batch": 3, "seq": 4}, {"batch": 5, "seq": 2}]
AXES: dict[str | int, str] = {"x": "batch seq wide=6"}


def inputs(sizes: Mapping[str, int]) -> Inputs:
    return {"x": numbers(sizes["batch"], sizes["seq"], 6)}


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6).double()

    def forward(self, x: T) -> T:
        def yes(x: T) -> T:
            return torch.relu(self.inner(x))

        def no(x: T) -> T:
            return x * 2

        found: T = torch.cond(x.sum() > 0, yes, no, (x,))
        also: T = torch.cond(x.sum() <= 0, yes, no, (x,))
        return found - also


class Doubling(nn.Module):
    def forward(self, x: T) -> tuple[T, T]:
        def more(count: T, y: T) -> T:
            return (y.abs().sum() < 1000) & (count < 8)

        def step(count: T, y: T) -> tuple[T, T]:
            return count + 1, y * 2 + x

        rounds, y = while_loop(more, step, (torch.zeros((), dtype=torch.int64), x))
        return rounds, y


class Decay(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(numbers(6))

    def forward(self, x: T) -> tuple[T, T]:
        def step(state: T, row: T) -> tuple[T, T]:
            state = state * 0.5 + row * self.weight
            return state, state + row

        last, rows = scan(step, x[0] * 0, x)
        return last, rows


def test_branches() -> None:
    graph = check(Branches(), inputs, AXES, SIZES)
    assert [node.op.name for node in graph.nodes].count("cond") == 2


def test_a_loop_with_a_condition() -> None:
    graph = check(Doubling(), inputs, AXES, SIZES)
    assert "while" in {node.op.name for node in graph.nodes}


def test_a_scan_runs_over_another_length() -> None:
    graph = check(Decay(), inputs, AXES, SIZES)
    assert "scan" in {node.op.name for node in graph.nodes}
