"""What a picture leaves out: all but what lies between two places.

`assets/cone.js` does the same in the page.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from attrs import evolve

from graftwork.viz.arrange import OUTSIDE, Arrangement, Slot, What
from graftwork.viz.cells import Cell, Kind, Wire
from graftwork.viz.scene import Scene


def between(scene: Scene, starts: Iterable[Cell], ends: Iterable[Cell]) -> frozenset[Cell]:
    """The cells on a way from the starts to the ends, these too, and the groups around them."""
    readers: dict[Wire, list[Cell]] = {}
    for cell in scene.cells:
        for wire in cell.reads:
            readers.setdefault(wire, []).append(cell)
    below = _reached(starts, lambda c: (r for wire in c.makes for r in readers.get(wire, ())))
    above = _reached(ends, lambda c: (wire.maker for wire in c.reads))
    kept = {inner for cell in below & above for inner in cell.walk()}
    for cell in below & above:
        kept.update(_around(cell))
    return frozenset(kept)


def _reached(cells: Iterable[Cell], step: Callable[[Cell], Iterable[Cell]]) -> set[Cell]:
    """All that steps lead to; what is inside a body leads to what holds the body, too."""
    todo = list(cells)
    found = set(todo)
    while todo:
        cell = todo.pop()
        owners = (around for around in _around(cell) if around.kind is Kind.OP)
        for other in (*step(cell), *owners):
            if other not in found and not other.kind.is_stub:
                found.add(other)
                todo.append(other)
    return found


def _around(cell: Cell) -> Iterator[Cell]:
    while cell.parent is not None:
        cell = cell.parent
        yield cell


def narrowed(group: Cell, made: Arrangement, kept: Collection[Cell]) -> Arrangement:
    """An arrangement of the kept children alone, in their ranks and order."""
    plan = made.plan
    stays: dict[Slot, bool] = {}
    nets = {
        n
        for n, (source, _) in enumerate(plan.joins)
        if source == OUTSIDE or group.children[source] in kept
    }
    for layer in reversed(plan.ranks):
        for slot in layer:
            child = slot.what is What.CHILD
            stays[slot] = (
                group.children[slot.ref] in kept
                if child
                else slot.ref in nets
                and (slot.what is What.EXIT or any(map(stays.__getitem__, slot.below)))
            )
    twins = {slot: Slot(slot.what, slot.ref, slot.rank, slot.place) for slot in stays}
    joints = [
        [(twins[a], twins[b]) for a, b in pairs if n in nets and stays[a] and stays[b]]
        for n, pairs in enumerate(plan.joints)
    ]
    for pairs in joints:
        for upper, lower in pairs:
            upper.below.append(lower)
            lower.above.append(upper)
    ranks = [[twins[slot] for slot in layer if stays[slot]] for layer in plan.ranks]
    ranks = [layer for layer in ranks if layer]
    return evolve(made, plan=evolve(plan, ranks=ranks, joints=joints))
