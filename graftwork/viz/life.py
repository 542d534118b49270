"""What an op does to axes: which it makes, renames, splits, merges, reduces, contracts.

An axis that an op reads and does not give on ends there; one that it gives and has not read begins
there. The op's name and attributes say how.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graftwork.ir.graph import Node
from graftwork.viz.names import visible

Act = tuple[str, str, str]
"""An axis, what is done to it, and the first of the axes that it becomes or comes from, or ""."""

_CONTRACTING = frozenset(["linear", "attention", "conv"])


def acts(node: Node) -> list[Act]:
    """What a node does to axes, those that it uses up first."""
    read = dict.fromkeys(axis for value in node.inputs for axis in value.axes)
    given = dict.fromkeys(axis for value in node.outputs for axis in value.axes)
    ended = [axis for axis in read if axis not in given]
    begun = [axis for axis in given if axis not in read]
    if node.op.name == "rename":
        return list(_renamed(node, ended, begun))
    return [
        *((axis, _ending(node, begun), begun[0] if begun else "") for axis in ended),
        *((axis, _beginning(node, ended), ended[0] if ended else "") for axis in begun),
    ]


def _renamed(node: Node, ended: Sequence[str], begun: Sequence[str]) -> Iterator[Act]:
    for old, new in node.attrs["axes"]:
        if old in ended:
            yield old, f"renamed to {visible(new, 60)}", new
        if new in begun:
            yield new, f"renamed from {visible(old, 60)}", old


def _ending(node: Node, begun: Sequence[str]) -> str:
    op = node.op
    others = ", ".join(visible(axis, 60) for axis in begun)
    if op.multilinear or op.name in _CONTRACTING:
        return "contracted"
    if op.name in ("split", "merge"):
        return f"{'split' if op.name == 'split' else 'merged'} into {others}"
    if begun:
        return f"becomes {others}"
    return "reduced" if "over" in node.attrs.as_dict() else "picked from"


def _beginning(node: Node, ended: Sequence[str]) -> str:
    others = ", ".join(visible(axis, 60) for axis in ended)
    if node.op.name in ("split", "merge"):
        return f"{'split' if node.op.name == 'split' else 'merged'} from {others}"
    if not ended or node.op.multilinear or node.op.name in _CONTRACTING:
        return "created"
    return f"comes from {others}"
