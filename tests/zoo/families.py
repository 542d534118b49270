"""What a family of the zoo is: a tiny random model, and inputs of any size for it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from attrs import field, frozen

Sizes = Mapping[str, int]
Make = Callable[[], torch.nn.Module]

# Axis -> its size when traced, and another one to run with.
EXTENTS: Mapping[str, tuple[int, int]] = {
    "batch": (2, 3),
    "seq": (8, 11),
    "decoder_seq": (5, 6),
    "steps": (6, 9),
    "samples": (400, 620),
    "frames": (64, 80),
    "past": (4, 7),
    "nodes": (7, 9),
    "edges": (12, 15),
}


@frozen
class Input:
    """One argument: its axes as `from_torch` reads them, and how its numbers are drawn."""

    axes: str
    draw: Callable[[tuple[int, ...], torch.Generator], torch.Tensor]


def ids(axes: str, count: int = 99) -> Input:
    """Integers below `count`."""
    return Input(axes, lambda shape, g: torch.randint(3, count, shape, generator=g))


def padding(axes: str) -> Input:
    """A mask whose first row ends in padding."""

    def draw(shape: tuple[int, ...], _: torch.Generator) -> torch.Tensor:
        mask = torch.ones(shape, dtype=torch.int64)
        mask[0, 1 + shape[1] // 2 :] = 0
        return mask

    return Input(axes, draw)


def ones(axes: str, dtype: torch.dtype = torch.int64) -> Input:
    return Input(axes, lambda shape, _: torch.ones(shape, dtype=dtype))


def zeros(axes: str) -> Input:
    return Input(axes, lambda shape, _: torch.zeros(shape, dtype=torch.int64))


def numbers(axes: str) -> Input:
    return Input(axes, lambda shape, g: torch.randn(shape, generator=g))


@frozen
class Family:
    """An architecture with a tiny configuration.

    Attributes:
        make: builds it.
        inputs: its arguments.
        fixed: axes of the inputs that the model holds to one size, which is given.
        multiples: axes that the model, traced at a multiple of a size, takes multiples of alone.
        blocks: how many of its blocks attend, or mix positions in another way.
        unrecognised: how many of them have no sites, as the table shows.
        cut: sites that reach the outputs only at positions which the model cuts off there.
        tolerance: how far results may be apart, relative to the largest.
        refused: a part of the message, where the model cannot be converted.
    """

    make: Make
    inputs: Mapping[str, Input]
    fixed: Sizes = field(factory=dict)
    multiples: Sizes = field(factory=dict)
    blocks: int = 2
    unrecognised: int = 0
    cut: Sequence[str] = ()
    tolerance: float = 1e-4
    refused: str = ""

    def axes(self) -> dict[str | int, str]:
        """What `from_torch` is told of the axes."""
        return {name: " ".join(map(self._word, x.axes.split())) for name, x in self.inputs.items()}

    def _word(self, word: str) -> str:
        return f"{word}={self.fixed[word]}" if word in self.fixed else word

    def arguments(self, other: bool = False) -> dict[str, torch.Tensor]:
        """Arguments of the traced size, or of the other one."""
        generator = torch.Generator().manual_seed(int(other))
        given: dict[str, torch.Tensor] = {}
        for name, x in self.inputs.items():
            shape = tuple(self._extent(word, other) for word in x.axes.split())
            given[name] = x.draw(shape, generator)
        return given

    def _extent(self, word: str, other: bool) -> int:
        name, _, extent = word.partition("=")
        if extent or name in self.fixed:
            return int(extent) if extent else self.fixed[name]
        step = self.multiples.get(name, 1)
        return -(-EXTENTS[name][other] // step) * step

    def build(self) -> Any:
        """The model; no weight of it is all zeros or ones, so that each matters.

        Batch norms have seen the inputs, so that no signal fades in a deep network.
        """
        torch.manual_seed(0)
        model = self.make().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
            run = copy.deepcopy(model)  # models keep more of a run than their norms do
            norms = [
                m for m in run.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)
            ]
            for norm in norms:
                norm.momentum = None
                norm.train()
            if norms:
                run(**self.arguments())
                model.load_state_dict(run.state_dict())
        return model
