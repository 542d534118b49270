"""What torch's size symbols stand for: the axes that the caller named, or sizes of the sample."""

from __future__ import annotations

from typing import Any

import torch

from graftwork.frontends.torch.export import Exported
from graftwork.ir.sizes import Size, symbol

_TORCH, _AXIS = "torch:", "axis:"


def named_symbols(exported: Exported) -> dict[str, Size]:
    """Torch's symbol -> size, for the symbols of named axes.

    Where the model's code ties two named axes, both have the size of the one that is named first.
    """
    leaders = _leaders(exported)
    sizes: dict[str, Size] = {leaders[_AXIS + a]: n for a, n in exported.fixed.items()}
    return {
        name.removeprefix(_TORCH): sizes.get(leader, symbol(leader.removeprefix(_AXIS)))
        for name, leader in leaders.items()
        if name.startswith(_TORCH)
    }


def other_symbols(exported: Exported, named: dict[str, Size]) -> dict[str, int | None]:
    """Torch's other symbols -> the size in the sample, None where only a multiple is known."""
    found: dict[str, int | None] = {}
    for shape in exported.shapes().values():
        for extent in shape:
            if isinstance(extent, torch.SymInt):
                for free in map(str, extent.node.expr.free_symbols):
                    if free not in named and found.get(free) is None:
                        found[free] = int(extent.node.hint) if _is_plain(extent) else None
    return found


def _leaders(exported: Exported) -> dict[str, str]:
    """Each symbol and each axis -> the first axis that is tied to it."""
    shapes = exported.shapes()
    leader = {_AXIS + axis: _AXIS + axis for axis in exported.fixed}
    for path, words in exported.words.items():
        for word, extent in zip(words, shapes[path], strict=True):
            if word.name is None:
                continue
            axis = _AXIS + word.name
            leader.setdefault(axis, axis)
            if _is_plain(extent):
                new = leader.setdefault(_TORCH + str(extent), leader[axis])
                old = leader[axis]
                leader = {key: new if value == old else value for key, value in leader.items()}
    return leader


def _is_plain(extent: Any) -> bool:
    """Whether an extent is a lone symbol."""
    return isinstance(extent, torch.SymInt) and bool(extent.node.expr.is_Symbol)
