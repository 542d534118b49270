"""How good the layout is, beside those of dagre and d3-dag on the same groups (see oracle.mjs)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from graftwork.ir.dtypes import DType
from graftwork.ir.types import Type
from graftwork.viz.arrange import Arrangement, Joint, Slot, arrange, readings_of
from graftwork.viz.cells import Cell, Kind, Wire, number_cells
from graftwork.viz.place import MARGIN, place

CASES = json.loads(Path(__file__).with_name("oracle.json").read_text())


def group_of(count: int, edges: list[list[int]]) -> Cell:
    """A group of boxes that read one another."""
    group = Cell(Kind.GROUP, "group")
    children = [Cell(Kind.OP, str(i), parent=group) for i in range(count)]
    for cell in children:
        cell.makes = [Wire(cell, Type(DType("f32"), ()), "", ())]
    for source, target in edges:
        cell = children[target]
        cell.reads = [*cell.reads, *children[source].makes]
        cell.readings = [1] * len(cell.reads)
    group.children = children
    number_cells(group)
    return group


def crossings(made: Arrangement) -> int:
    """Pairs of lines without a common end that cross; a lane for several readers counts as each."""
    carried: dict[tuple[Slot, Slot], list[tuple[int, int]]] = {}
    for net in made.plan.joints:
        if net:
            source = net[0][0]
            follow(source, below_of(net), (), source.ref, carried)
    places = {slot: i for layer in made.plan.ranks for i, slot in enumerate(layer)}
    by_rank: dict[int, list[tuple[Slot, Slot]]] = {}
    for upper, lower in carried:
        by_rank.setdefault(upper.rank, []).append((upper, lower))
    total = 0
    for joints in by_rank.values():
        for (a, b), (c, d) in combinations(joints, 2):
            if (places[a] - places[c]) * (places[b] - places[d]) < 0:
                total += sum(
                    not set(one) & set(other) for one in carried[a, b] for other in carried[c, d]
                )
    return total


def below_of(joints: Sequence[Joint]) -> dict[Slot, list[Slot]]:
    below: dict[Slot, list[Slot]] = {}
    for upper, lower in joints:
        below.setdefault(upper, []).append(lower)
    return below


def follow(
    slot: Slot,
    below: dict[Slot, list[Slot]],
    path: tuple[tuple[Slot, Slot], ...],
    source: int,
    carried: dict[tuple[Slot, Slot], list[tuple[int, int]]],
) -> None:
    """Notes for every joint which edges run through it."""
    for lower in below.get(slot, []):
        longer = (*path, (slot, lower))
        if lower in below:
            follow(lower, below, longer, source, carried)
        else:
            for joint in longer:
                carried.setdefault(joint, []).append((source, lower.ref))


@pytest.mark.parametrize("oracle", ["dagre", "d3-dag"])
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_lines_cross_and_pictures_spread_hardly_more_than_an_oracles(
    case: dict[str, Any], oracle: str
) -> None:
    group = group_of(case["count"], case["edges"])
    made = arrange(group, readings_of(group.children)[group])
    assert made.plan.rows == frozenset()
    placed = place(group, {group: made}, frozenset(), lambda _: (100.0, 40.0))
    assert crossings(made) <= 1.1 * case[oracle]["crossings"] + 2
    assert placed.width - 2 * MARGIN <= 1.2 * case[oracle]["width"]
