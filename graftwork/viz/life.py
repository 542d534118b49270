"""What an op does to axes: which it makes, renames, splits, merges, reduces, contracts.

An axis that an op reads and does not give on ends there; one that it gives and has not read begins
there. The op's name and attributes say how.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graftwork.viz.cells import Form
from graftwork.viz.names import visible

Act = tuple[str, str, str]
"""An axis, what is done to it, and the first of the axes that it becomes or comes from, or ""."""

_CONTRACTING = frozenset(["linear", "attention", "conv"])


def acts(form: Form) -> list[Act]:
    """What nodes of a form do to axes, those that they use up first."""
    read = dict.fromkeys(axis for of in form.reads for axis in of.axes)
    given = dict.fromkeys(axis for of in form.makes for axis in of.axes)
    ended = [axis for axis in read if axis not in given]
    begun = [axis for axis in given if axis not in read]
    if form.op.name == "rename":
        return list(_renamed(form, ended, begun))
    return [
        *((axis, _ending(form, begun), begun[0] if begun else "") for axis in ended),
        *((axis, _beginning(form, ended), ended[0] if ended else "") for axis in begun),
    ]


def _renamed(form: Form, ended: Sequence[str], begun: Sequence[str]) -> Iterator[Act]:
    for old, new in form.attrs["axes"]:
        if old in ended:
            yield old, f"renamed to {visible(new, 60)}", new
        if new in begun:
            yield new, f"renamed from {visible(old, 60)}", old


def _ending(form: Form, begun: Sequence[str]) -> str:
    op = form.op
    others = ", ".join(visible(axis, 60) for axis in begun)
    if op.multilinear or op.name in _CONTRACTING:
        return "contracted"
    if op.name in ("split", "merge"):
        return f"{'split' if op.name == 'split' else 'merged'} into {others}"
    if begun:
        return f"becomes {others}"
    return "reduced" if "over" in form.attrs.as_dict() else "picked from"


def _beginning(form: Form, ended: Sequence[str]) -> str:
    others = ", ".join(visible(axis, 60) for axis in ended)
    if form.op.name in ("split", "merge"):
        return f"{'split' if form.op.name == 'split' else 'merged'} from {others}"
    if not ended or form.op.multilinear or form.op.name in _CONTRACTING:
        return "created"
    return f"comes from {others}"
