"""Which worlds run together, and what the inputs of a sweep's graph hold for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from attrs import evolve, frozen

from graftwork.ir.size_values import evaluate
from graftwork.passes.sweeps.rows import Places
from graftwork.passes.sweeps.share import Shared

Array: TypeAlias = np.ndarray[Any, Any]


@frozen(eq=False)
class Cells:
    """Every combination of the positions that a sweep tries at each entry.

    Attributes:
        words: what is swept in `where=`.
        positions: of each word in each cell, (cells, words).
        starts: entry -> the position from which on the edit of each cell may change anything;
            empty if that bounds nothing.
    """

    words: tuple[str, ...]
    positions: Array
    starts: Mapping[int, Array]

    def __len__(self) -> int:
        return len(self.positions)

    def order(self, entry: int) -> Array:
        """The cells in such an order that neighbours together reach equally far, int64."""
        if not self.starts:
            return np.arange(len(self))
        ascending = np.argsort(self.starts[entry], kind="stable")
        folded = np.empty_like(ascending)
        half = (len(ascending) + 1) // 2
        folded[0::2], folded[1::2] = ascending[:half], ascending[half:][::-1]
        return folded

    def least(self, entry: int) -> int:
        """The cell that costs least."""
        order = self.order(entry)
        return int(order[-1] if len(self) < 2 else order[1])

    def places(self, worlds: Worlds) -> Mapping[int, Array]:
        """Entry -> from which position on its edit may change anything, in each of its worlds."""
        return {entry: self.starts[entry][own] for entry, own in worlds.items()}


Worlds: TypeAlias = Mapping[int, Array]
"""Entry -> the cells that run for it."""


def everything(entries: int, cells: Cells) -> Worlds:
    """All worlds of a sweep."""
    return dict.fromkeys(range(entries), np.arange(len(cells)))


def chunks(kept: Worlds, cells: Cells, size: int) -> Iterator[Worlds]:
    """At most `size` worlds of each entry at a time, of each entry as many in all chunks.

    Where an entry has run out it repeats the cell that costs least, so that backends which compile
    for each shape meet one. There is always a chunk, which also gives the metric of the unedited
    run.
    """
    orders = {entry: cells.order(entry) for entry in kept}
    queues = {entry: orders[entry][np.isin(orders[entry], own)] for entry, own in kept.items()}
    parts = max(1, *(-(-len(queue) // size) for queue in queues.values()))
    for part in range(parts):
        taken = {}
        for entry, queue in queues.items():
            count = max(1, -(-len(queue) // parts))
            own = queue[part * count : (part + 1) * count]
            taken[entry] = np.append(own, np.full(count - len(own), cells.least(entry), own.dtype))
        yield taken


def room(cells: Cells, parts: Iterable[Worlds], length: int) -> Mapping[int, int]:
    """Entry -> how many rows it has from its edits on in the fullest of some chunks.

    Args:
        length: how many positions there are.
    """
    found: dict[int, int] = {}
    for worlds in parts:
        for entry, places in cells.places(worlds).items():
            found[entry] = max(found.get(entry, 0), int((length - places).sum()))
    return found


@frozen(eq=False)
class Feeding:
    """What the inputs that tell worlds apart hold.

    Attributes:
        sizes: symbol -> extent, of the model's own axes.
        room: entry -> how many rows it is given, as of `room`.
    """

    shared: Shared
    cells: Cells
    sizes: Mapping[str, int]
    room: Mapping[int, int]

    def inputs(self, worlds: Worlds) -> dict[str, Array]:
        """For these worlds."""
        given: dict[str, Array] = {
            f"worlds.{word}.{entry}": self.cells.positions[own, number]
            for entry, own in worlds.items()
            for number, word in enumerate(self.cells.words)
        }
        if self.shared.axis is None:
            return given
        places = Places(self.cells.places(worlds), self.length, self.room)
        given |= {f"rows.{entry}": places.suffix(entry) for entry in self.shared.suffixes}
        given |= {known.name: known.index(places, self.sizes) for known in self.shared.lookups}
        return given

    def symbols(self, worlds: Worlds) -> dict[str, int]:
        """All size symbols of a sweep's graph, for these worlds."""
        rows = {f"rows_{entry}": self.room[entry] for entry in self.shared.suffixes}
        counts = {f"worlds_{entry}": len(own) for entry, own in worlds.items()}
        return {**self.sizes, **rows, **counts}

    @property
    def length(self) -> int:
        assert self.shared.axis is not None
        return evaluate(self.shared.graph.axes[self.shared.axis], self.sizes)


def feeding(
    shared: Shared, cells: Cells, sizes: Mapping[str, int], parts: Sequence[Worlds]
) -> Feeding:
    """For chunks that all have the same shapes."""
    unknown = Feeding(shared, cells, sizes, {})
    if shared.axis is None:
        return unknown
    return evolve(unknown, room=room(cells, parts, unknown.length))
