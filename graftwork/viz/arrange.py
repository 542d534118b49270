"""Rank and order in every group: who stands below whom, and who beside whom.

A layered drawing in linear time. Ranks are longest paths in the order of the program; a wire that
passes by ranks does so in a lane of its own, one for all its readers, on the side of the boxes
where it crosses fewer; the order within a rank settles by a fixed number of sweeps over averages of
neighbours. So equal graphs give equal pictures, opening a group never reorders its siblings, and
coordinates are left to whoever draws.

A wire that would run too far, backwards, or to very many readers is not drawn as a line: its
reader shows a row that names where it comes from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from functools import lru_cache, reduce
from itertools import chain, islice
from operator import or_

from attrs import define, field, frozen

from graftwork.viz.cells import Cell, Wire

FARTHEST = 40
"""So many ranks a line may pass."""
_MANY = 5
_SWEEPS = 4
_SWAPS = 3
_SWAP_LIMIT = 600


class What(IntEnum):
    """What stands in a slot."""

    CHILD = 0
    LANE = 1  # a wire that passes by
    ENTRY = 2  # a wire from outside of the group
    EXIT = 3  # a wire to outside of the group


@define(eq=False)
class Slot:
    """A place in a rank.

    Attributes:
        ref: the child's number among its siblings, or the net's.
    """

    what: What
    ref: int
    rank: int
    place: float = 0.0
    above: list[Slot] = field(factory=list)
    below: list[Slot] = field(factory=list)


Joint = tuple[Slot, Slot]


OUTSIDE = -1
Joins = tuple[tuple[int, tuple[int, ...]], ...]
"""For each net its source and its targets, as numbers of children; `OUTSIDE` is outside."""


@frozen(eq=False)
class Plan:
    """How numbered children stand: groups whose children are joined in the same way share it.

    Attributes:
        joins: from where to where the nets lead.
        ranks: the slots of each rank, from left to right.
        rows: (net, child) pairs that are not drawn as lines.
        joints: for each net, the pairs of slots, upper and lower, that its lines join.
    """

    joins: Joins
    ranks: Sequence[Sequence[Slot]]
    rows: frozenset[tuple[int, int]]
    joints: Sequence[Sequence[Joint]]


@frozen(eq=False)
class Arrangement:
    """One group arranged: where its children stand, and its nets, in the order of the program.

    Attributes:
        wires: the wire of each net.
        readings: net after net, the versions in which its targets read it, as bits.
    """

    plan: Plan
    wires: Sequence[Wire]
    readings: Sequence[int]

    def versions(self) -> list[int]:
        """For each net, the versions in which any of its targets reads it, as bits."""
        readings = iter(self.readings)
        return [reduce(or_, islice(readings, len(ends))) for _, ends in self.plan.joins]


Reading = tuple[Wire, int, int, int]
"""A wire that runs in a group from a child to a child, or `OUTSIDE`, in some versions, as bits."""


def readings_of(cells: Iterable[Cell]) -> dict[Cell, list[Reading]]:
    """For every group, what runs in it or through its border."""
    found: dict[Cell, list[Reading]] = defaultdict(list)
    for cell in cells:
        for wire, bits in zip(cell.reads, cell.readings, strict=True):
            source, target = wire.maker, cell
            if source.kind.is_stub:
                continue
            while source.parent is not target.parent:
                if source.depth > target.depth:
                    assert source.parent is not None
                    found[source.parent].append((wire, source.nth, OUTSIDE, bits))
                    source = source.parent
                else:
                    assert target.parent is not None
                    found[target.parent].append((wire, OUTSIDE, target.nth, bits))
                    target = target.parent
            if source.parent is not None and source is not target:
                found[source.parent].append((wire, source.nth, target.nth, bits))
    return found


def arrange(group: Cell, readings: Iterable[Reading]) -> Arrangement:
    """Rank and order of the children of a group."""
    sources: list[int] = []
    targets: dict[Wire, dict[int, int]] = {}
    for wire, source, target, bits in readings:
        known = targets.get(wire)
        if known is None:
            sources.append(source)
            targets[wire] = {target: bits}
        else:
            known[target] = known.get(target, 0) | bits
    joins = tuple(zip(sources, map(tuple, targets.values()), strict=True))
    versions = chain.from_iterable([known.values() for known in targets.values()])
    return Arrangement(_plan(len(group.children), joins), tuple(targets), tuple(versions))


@lru_cache(maxsize=2_000)
def _plan(count: int, joins: Joins) -> Plan:
    ranks = _ranks(count, joins)
    rows = frozenset(_rows(ranks, joins))
    slots, joints = _slots(ranks, joins, rows)
    _part_lanes(slots)
    _sweep(slots)
    return Plan(joins, slots, rows, joints)


def _ranks(count: int, joins: Joins) -> list[int]:
    """Longest paths; what reads nothing stands just above its first reader."""
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for start, targets in joins:
        for end in targets:
            if OUTSIDE < start < end:
                before[end].append(start)
                after[start].append(end)
    fed = {target for source, targets in joins if source == OUTSIDE for target in targets}
    ranks = [0] * count
    for i in range(count):
        ranks[i] = 1 + max((ranks[j] for j in before[i]), default=0)
    for i in reversed(range(count)):
        if not before[i] and after[i] and i not in fed:
            ranks[i] = min(ranks[j] for j in after[i]) - 1
    return ranks


def _rows(ranks: Sequence[int], joins: Joins) -> Iterable[tuple[int, int]]:
    last = max(ranks, default=0) + 1
    for n, (source, targets) in enumerate(joins):
        start = 0 if source == OUTSIDE else ranks[source]
        many = len(targets) >= _MANY
        for target in targets:
            end = last if target == OUTSIDE else ranks[target]
            backwards = end <= start
            if backwards or end - start > FARTHEST or (many and end - start > 1):
                yield n, target


def _slots(
    ranks: Sequence[int], joins: Joins, rows: frozenset[tuple[int, int]]
) -> tuple[list[list[Slot]], list[list[Joint]]]:
    """The slots of each rank in the order of the program, and how the nets join them."""
    last = max(ranks, default=0) + 1
    layers: list[list[Slot]] = [[] for _ in range(last + 1)]
    children = [Slot(What.CHILD, i, rank) for i, rank in enumerate(ranks)]
    for slot in children:
        layers[slot.rank].append(slot)
    joints: list[list[Joint]] = []
    for n, (start, targets) in enumerate(joins):
        exit_slot = None
        if start == OUTSIDE:
            source = Slot(What.ENTRY, n, 0)
            layers[0].append(source)
        else:
            source = children[start]
        if OUTSIDE in targets:
            exit_slot = Slot(What.EXIT, n, last)
            layers[last].append(exit_slot)
        ends = [
            children[target] if target != OUTSIDE else exit_slot
            for target in targets
            if (n, target) not in rows
        ]
        reached = [end for end in ends if end is not None]
        joints.append(list(_joints(source, reached, n, layers)))
        for upper, lower in joints[-1]:
            upper.below.append(lower)
            lower.above.append(upper)
    return layers, joints


def _joints(
    source: Slot, ends: Sequence[Slot], net: int, layers: list[list[Slot]]
) -> Iterator[Joint]:
    """One lane from a source down to the last of its readers, which all hang on it."""
    lane = source
    for rank in range(source.rank + 1, max((end.rank for end in ends), default=0) + 1):
        yield from ((lane, end) for end in ends if end.rank == rank)
        if any(end.rank > rank for end in ends):
            passing = Slot(What.LANE, net, rank)
            layers[rank].append(passing)
            yield lane, passing
            lane = passing


def _part_lanes(layers: list[list[Slot]]) -> None:
    """Put lanes on both sides of the boxes, for the sweeps to start from.

    Two that begin and end in the same order cross if they run on one side; the sweeps, which look
    at one rank after the other, would not bring a whole lane to the other side.
    """
    spans: dict[int, tuple[int, int]] = {}
    for lane in (slot for layer in layers for slot in layer if slot.what is What.LANE):
        spans[lane.ref] = spans.get(lane.ref, (lane.rank, 0))[0], lane.rank
    sides: list[list[tuple[int, int]]] = [[], []]
    order: dict[int, tuple[int, int]] = {}
    for net, (first, last) in sorted(spans.items(), key=lambda item: item[1]):
        sides = [[(a, b) for a, b in side if b + 1 >= first] for side in sides]
        left, right = (sum(a < first and b < last for a, b in side) for side in sides)
        sides[left >= right].append((first, last))
        order[net] = (0, -last) if left < right else (2, last)
    for layer in layers if order else ():
        layer.sort(key=lambda slot: order[slot.ref] if slot.what is What.LANE else (1, 0))


def _sweep(layers: list[list[Slot]]) -> None:
    """Order each rank by the average place of what it is joined to, down and up in turn."""
    for layer in layers:
        _number(layer)
    for turn in range(_SWEEPS):
        down = turn % 2 == 0
        for layer in layers if down else reversed(layers):
            if len(layer) > 1:
                layer.sort(key=lambda slot: _average(slot, slot.above if down else slot.below))
                _number(layer)
    if sum(map(len, layers)) <= _SWAP_LIMIT:
        for _ in range(_SWAPS):
            for layer in layers:
                _swap_neighbours(layer)


def _number(layer: Sequence[Slot]) -> None:
    middle = (len(layer) - 1) / 2
    for i, slot in enumerate(layer):
        slot.place = i - middle


def _average(slot: Slot, joined: Sequence[Slot]) -> float:
    return sum(other.place for other in joined) / len(joined) if joined else slot.place


def _swap_neighbours(layer: list[Slot]) -> None:
    """Swap neighbours where fewer lines cross."""
    for i in range(len(layer) - 1):
        left, right = layer[i], layer[i + 1]
        if _crossings(left, right) > _crossings(right, left):
            layer[i], layer[i + 1] = right, left
            left.place, right.place = right.place, left.place


def _crossings(left: Slot, right: Slot) -> int:
    above = sum(a.place > b.place for a in left.above for b in right.above)
    return above + sum(a.place > b.place for a in left.below for b in right.below)
