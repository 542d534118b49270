"""Blocks that repeat, folded into one group that says truly what is the same about them.

Siblings that stand side by side are one block repeated if they hold the same ops with the same
attributes and types, joined in the same way. Whether they also share their parameters, as the
layers of some models do, is another question, and the label answers it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    holding = {cell: place for place, cell in enumerate(cells) if cell.children}
    sizes: dict[Cell, int] = {}
    for group in reversed(holding):
        sizes[group] = 1 + sum([sizes.get(child, 1) for child in group.children])
    for group in holding:
        groups = [c for c in group.children if c.children and c.kind is Kind.GROUP]
        if len(groups) < FEWEST:
            continue
        counts = Counter([sizes[child] for child in groups])
        shapes = {
            child: _shape(cells[holding[child] : holding[child] + sizes[child]])
            for child in groups
            if counts[sizes[child]] >= FEWEST
        }
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


def _shape(cells: Iterable[Cell]) -> _Shape:
    """A group and the cells in it, with wires by the order in which they are met."""
    met: dict[Wire, int] = {}
    parameters: dict[Wire, None] = {}
    body: list[object] = []
    for cell in cells:
        body += cell.form or cell.kind, len(cell.children), cell.there, cell.changed, cell.readings
        for wire in cell.reads:
            number = met.get(wire)
            if number is not None:
                body.append(number)
            elif wire.maker.kind is Kind.CONSTANT:
                body.append(wire.maker.form)
            else:
                met[wire] = len(met)
                body.append(wire.type)
                if wire.maker.kind is Kind.PARAMETER:
                    parameters[wire] = None
        if cell.operands is not cell.reads:
            body.append([met.get(wire) for wire in cell.operands])
        for wire in cell.makes:
            met[wire] = len(met)
        if cell.form is None:
            body += [wire.type for wire in cell.makes]
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
