"""Blocks that repeat, folded into one group that says truly what is the same about them.

Siblings that stand side by side are one block repeated if they hold the same ops with the same
attributes and types, joined in the same way. Whether they also share their parameters, as the
layers of some models do, is another question, and the label answers it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from attrs import frozen

from graftwork.viz.cells import Cell, Kind, Wire

FEWEST = 3
"""So many repetitions are folded."""


@frozen
class _Shape:
    """What a block does, and the parameters that it does it with."""

    body: Sequence[object]
    parameters: tuple[Wire, ...]


def fold_repeats(root: Cell) -> None:
    """Put runs of equal siblings into groups of their own, or label the group that is one run."""
    cells = list(root.walk())
    sizes = dict.fromkeys(cells, 1)
    for cell in reversed(cells):
        for child in cell.children:
            sizes[cell] += sizes[child]
    for group in cells:
        groups = [child for child in group.children if child.kind is Kind.GROUP]
        if len(groups) < FEWEST:
            continue
        counts = Counter(sizes[child] for child in groups)
        shapes = {c: _shape(c) for c in groups if counts[sizes[c]] >= FEWEST}
        if shapes:
            group.children = list(_with_folds(group, shapes))


def _with_folds(group: Cell, shapes: Mapping[Cell, _Shape]) -> Iterator[Cell]:
    """The children of a group, with runs of one shape folded; one run of all is the group."""

    def body(cell: Cell) -> object:
        return shapes[cell].body if cell in shapes else cell

    for run in [list(run) for _, run in groupby(group.children, body)]:
        if len(run) < FEWEST:
            yield from run
            continue
        label = _label([shapes[cell] for cell in run])
        if len(run) < len(group.children):
            yield _folded(group, run, label)
        else:
            group.note = label
            yield from run


def _shape(group: Cell) -> _Shape:
    """The cells of a group, with wires by the order in which they are met."""
    met: dict[Wire, int] = {}
    parameters: dict[Wire, None] = {}
    body: list[object] = []
    for cell in group.walk():
        body += cell.kind, len(cell.children), cell.there, cell.changed, cell.form, len(cell.reads)
        for wire, bits in cell.reads.items():
            kind = wire.maker.kind
            if kind is Kind.CONSTANT:
                body += wire.maker.form, bits
                continue
            if kind is Kind.PARAMETER:
                parameters[wire] = None
            body += met.setdefault(wire, len(met)), wire.type, bits
        body += map(met.get, cell.operands)
        for wire in cell.makes:
            met[wire] = len(met)
            if cell.form is None:
                body.append(wire.type)
    return _Shape(body, tuple(parameters))


def _label(shapes: Sequence[_Shape]) -> str:
    """What is the same about all of them, and no more."""
    if not shapes[0].parameters:
        return f"{len(shapes)} of the same structure"
    if len({shape.parameters for shape in shapes}) == 1:
        return f"×{len(shapes)} same parameters"
    return f"{len(shapes)} distinct, same structure"


def _folded(group: Cell, run: list[Cell], label: str) -> Cell:
    fold = Cell(Kind.GROUP, f"{run[0].title} – {run[-1].title}", note=label)
    fold.parent, fold.children = group, run
    for cell in run:
        cell.parent = fold
    return fold
