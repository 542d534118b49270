"""Coordinates for arranged groups: the still picture's counterpart of `assets/place.js`.

Ranks lie below one another. Within a rank, places minimise the squared distance to the average of
what they are joined to, in the given order and without overlap: an isotonic regression, which
takes linear time. A few sweeps down and up settle all ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import frozen

from graftwork.viz.arrange import Arrangement, Slot, What
from graftwork.viz.cells import Cell, Wire

GAP_X, GAP_Y, LANE, MARGIN, HEADER = 28.0, 58.0, 14.0, 22.0, 34.0
_SWEEPS = 8

Size = tuple[float, float]
Piece = tuple[int, Size, Size]


@frozen(eq=False)
class Box:
    """A cell with a place; coordinates are relative to the group around it."""

    cell: Cell
    x: float
    y: float
    width: float
    height: float
    inside: Placed | None


@frozen(eq=False)
class Placed:
    """A group whose children have places.

    Attributes:
        lines: net number, start and end of every piece of a line.
        entries: where wires from outside come in, from the left.
        exits: where wires to outside go out.
    """

    boxes: Sequence[Box]
    lines: Sequence[Piece]
    entries: Mapping[Wire, float]
    exits: Mapping[Wire, float]
    width: float
    height: float


def place(
    group: Cell,
    arranged: Mapping[Cell, Arrangement],
    opened: frozenset[Cell],
    size: Callable[[Cell], Size],
) -> Placed:
    """Places for everything in a group; groups in `opened` show what they hold."""
    made = arranged[group]
    inner = {c: place(c, arranged, opened, size) for c in group.children if c in opened}
    sizes = {c: (p.width, p.height) for c, p in inner.items()}
    sizes |= {c: size(c) for c in group.children if c not in inner}
    extent = {
        slot: sizes[group.children[slot.ref]] if slot.what is What.CHILD else (LANE, 0.0)
        for layer in made.plan.ranks
        for slot in layer
    }
    middle = _columns(made.plan.ranks, {slot: width for slot, (width, _) in extent.items()})
    left = min((middle[s] - extent[s][0] / 2 for s in extent), default=0.0) - MARGIN
    right = max((middle[s] + extent[s][0] / 2 for s in extent), default=0.0) + MARGIN
    tops, y = [], HEADER
    heights = [max((extent[s][1] for s in layer), default=0.0) for layer in made.plan.ranks]
    for i, height in enumerate(heights):
        tops.append(y)
        y += height + (GAP_Y if height or i else GAP_Y / 2)
    boxes = []
    spot: dict[Slot, tuple[float, float, float]] = {}
    for layer, top, height in zip(made.plan.ranks, tops, heights, strict=True):
        for slot in layer:
            width, own = extent[slot]
            x = middle[slot] - left
            high = top + (height - own) / 2 if slot.what is What.CHILD else top
            spot[slot] = (x, high, high + (own if slot.what is What.CHILD else height))
            if slot.what is What.CHILD:
                cell = group.children[slot.ref]
                boxes.append(Box(cell, x - width / 2, high, width, own, inner.get(cell)))
    ends = {box.cell: box for box in boxes if box.inside is not None}
    doors = {
        what: {made.wires[s.ref]: spot[s][0] for s in spot if s.what is what}
        for what in (What.ENTRY, What.EXIT)
    }
    lines = list(_lines(group, made, spot, ends))
    height = y - GAP_Y + MARGIN
    lines += [(s.ref, (spot[s][0], 0.0), spot[s][:2]) for s in spot if s.what is What.ENTRY]
    lines += [(s.ref, spot[s][:2], (spot[s][0], height)) for s in spot if s.what is What.EXIT]
    return Placed(boxes, lines, doors[What.ENTRY], doors[What.EXIT], right - left, height)


def _lines(
    group: Cell,
    made: Arrangement,
    spot: Mapping[Slot, tuple[float, float, float]],
    ends: Mapping[Cell, Box],
) -> Iterator[Piece]:
    """From each slot to those joined below it, and lanes from top to bottom."""
    for layer in made.plan.ranks:
        for slot in layer:
            x, top, bottom = spot[slot]
            if slot.what is What.LANE:
                yield slot.ref, (x, top), (x, bottom)
    for n, wire in enumerate(made.wires):
        for slot, other in made.plan.joints[n]:
            x, _, bottom = spot[slot]
            to_x, to_y, _ = spot[other]
            if slot.what is What.CHILD and (box := ends.get(group.children[slot.ref])):
                assert box.inside is not None
                x = box.x + box.inside.exits.get(wire, box.width / 2)
            if other.what is What.CHILD and (box := ends.get(group.children[other.ref])):
                assert box.inside is not None
                to_x = box.x + box.inside.entries.get(wire, box.width / 2)
            yield n, (x, bottom), (to_x, to_y)


def _columns(ranks: Sequence[Sequence[Slot]], width: Mapping[Slot, float]) -> dict[Slot, float]:
    """The middle of every slot."""
    middle: dict[Slot, float] = {}
    for layer in ranks:
        x = 0.0
        for slot in layer:
            middle[slot] = x + width[slot] / 2
            x += width[slot] + GAP_X
        for slot in layer:
            middle[slot] -= (x - GAP_X) / 2
    for turn in range(_SWEEPS):
        down = turn % 2 == 0
        for layer in ranks if down else reversed(ranks):
            wanted = []
            for slot in layer:
                joined = slot.above if down else slot.below
                weight = [_weight(slot, other) for other in joined]
                total = sum(weight)
                pull = sum(w * middle[o] for w, o in zip(weight, joined, strict=True))
                wanted.append((pull / total, total) if total else (middle[slot], 0.05))
            middle.update(zip(layer, _spread(layer, wanted, width), strict=True))
    return middle


def _weight(a: Slot, b: Slot) -> float:
    lanes = (a.what is What.LANE) + (b.what is What.LANE)
    return (1.0, 2.0, 8.0)[lanes]


def _spread(
    layer: Sequence[Slot], wanted: Sequence[tuple[float, float]], width: Mapping[Slot, float]
) -> list[float]:
    """The places nearest to those wanted that keep the order and do not overlap."""
    offsets, x = [], 0.0
    for i, slot in enumerate(layer):
        x += (width[layer[i - 1]] + width[slot]) / 2 + GAP_X if i else 0.0
        offsets.append(x)
    pools: list[list[float]] = []  # mean, weight, count
    for (want, weight), offset in zip(wanted, offsets, strict=True):
        pools.append([want - offset, weight, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, heavy, count = pools.pop()
            last = pools[-1]
            last[0] = (last[0] * last[1] + mean * heavy) / (last[1] + heavy)
            last[1] += heavy
            last[2] += count
    means = [mean for mean, _, count in pools for _ in range(int(count))]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]
