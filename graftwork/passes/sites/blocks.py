"""Cutting a residual stream into blocks.

Models write a block as an element of a list of modules, so the sums of one block share the
path up to a number. Where lists are nested, the coarsest level at which no block attends twice
to itself is that of the blocks. Where paths do not tell (a block that is used twice, a model
without modules), each self-attention begins a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from attrs import frozen

from graftwork.passes.sites.branches import Attention, Branch, Mixer
from graftwork.passes.sites.stream import Step


@frozen(eq=False)
class Layer:
    """A step of the stream with what its branches are."""

    step: Step
    branches: tuple[Branch, ...]

    @property
    def attends(self) -> bool:
        """Whether the stream attends to itself in it."""
        return any(branch.attends for branch in self.branches)

    @property
    def crosses(self) -> bool:
        """Whether the stream attends to another one in it."""
        kinds = (kind for branch in self.branches for kind in branch.kinds)
        return any(isinstance(kind, Attention) and kind.cross for kind in kinds)

    @property
    def mixes(self) -> bool:
        """Whether positions meet in it other than by attention."""
        return any(isinstance(kind, Mixer) for branch in self.branches for kind in branch.kinds)


Block = tuple[Layer, ...]


def cut(layers: Sequence[Layer]) -> tuple[Block, ...]:
    """The blocks of a stream; empty if nothing in it mixes positions."""
    if not any(branch.kinds for layer in layers for branch in layer.branches):
        return ()
    if not any(layer.attends or layer.mixes for layer in layers):
        return ()
    depth = max(len(_numbered(layer.step.module)) for layer in layers)
    for level in range(depth):
        blocks = _grouped(layers, level)
        if blocks and all(sum(layer.attends for layer in block) <= 1 for block in blocks):
            return blocks
    return _by_attention(layers)


def _grouped(layers: Sequence[Layer], level: int) -> tuple[Block, ...]:
    """Runs of layers with one path, and those without that attend to other streams.

    Empty if a run without a path attends to its own.
    """
    paths = groupby(layers, key=lambda layer: _path(layer.step.module, level))
    runs = [(path, tuple(run)) for path, run in paths]
    if any(layer.attends for path, run in runs if not path for layer in run):
        return ()
    return tuple(run for path, run in runs if path or any(layer.crosses for layer in run))


def element(module: str) -> str:
    """The innermost element of a list that a module is, or is in; empty if it is in none."""
    return _path(module, len(_numbered(module)) - 1)


def _numbered(module: str) -> list[int]:
    """Where in a module path the numbers are."""
    return [place for place, part in enumerate(module.split(".")) if part[-1:].isdigit()]


def _path(module: str, level: int) -> str:
    """A module path up to a number; empty if it has not as many numbers."""
    numbers = _numbered(module)
    known = 0 <= level < len(numbers)
    return ".".join(module.split(".")[: numbers[level] + 1]) if known else ""


def _by_attention(layers: Sequence[Layer]) -> tuple[Block, ...]:
    """Each block begins where the stream attends to itself, or else mixes.

    What attends to another stream before all that is a block of its own.
    """
    attending = any(layer.attends for layer in layers)
    blocks: list[list[Layer]] = []
    for layer in layers:
        first = layer.crosses and not blocks
        if layer.attends or first or (not attending and layer.mixes):
            blocks.append([])
        if blocks:
            blocks[-1].append(layer)
    return tuple(map(tuple, blocks))
