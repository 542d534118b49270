"""Which groups are open at first."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from graftwork.viz.cells import Cell, inside
from graftwork.viz.merge import Change


def first_open(
    cells: Sequence[Cell],
    budget: int = 40,
    for_changes: int = 90,
    kept: Collection[Cell] | None = None,
) -> list[Cell]:
    """Whole generations of groups while few boxes are to be seen, repeated blocks not unfolded.

    In a difference also those around changes, while they fit.

    Args:
        cells: all by their numbers, the root first.
        kept: what is to be seen at all, if not everything.
    """

    def children(cell: Cell) -> list[Cell]:
        return [c for c in cell.children if kept is None or c in kept]

    root = cells[0]
    opened, seen, generation = [root], len(children(root)), [root]
    while generation:
        groups = [
            c
            for parent in generation
            for c in children(parent)
            if c.children and not c.note and not c.is_composite
        ]
        more = sum(len(children(group)) for group in groups)
        if not groups or seen + more > budget:
            break
        opened += groups
        seen += more
        generation = groups
    known = set(opened)
    for cell in [cell for cell in inside(cells, root) if cell.change is not Change.SAME]:
        if cell.parent and cell.parent.change is not Change.SAME:
            continue
        around = [group for group in _around(cell) if group not in known]
        more = sum(len(group.children) for group in around)
        if seen + more <= for_changes:
            opened += around
            known.update(around)
            seen += more
    return opened


def _around(cell: Cell) -> list[Cell]:
    groups = []
    while cell.parent is not None:
        cell = cell.parent
        groups.append(cell)
    return groups
