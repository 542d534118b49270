"""Which worlds run together, and what the inputs of a sweep's graph hold for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from attrs import frozen

from graftwork.ir.size_values import evaluate
from graftwork.passes.sweeps.rows import suffix
from graftwork.passes.sweeps.share import Shared

Array: TypeAlias = np.ndarray[Any, Any]


@frozen(eq=False)
class Cells:
    """Every combination of the positions that a sweep tries at each entry.

    Attributes:
        words: what is swept in `where=`.
        positions: of each word in each cell, (cells, words).
        along: the word whose positions bound how far an edit's effects come, if any does.
    """

    words: tuple[str, ...]
    positions: Array
    along: str | None

    def __len__(self) -> int:
        return len(self.positions)

    def order(self) -> Array:
        """The cells in such an order that neighbours together reach equally far, int64."""
        if self.along is None:
            return np.arange(len(self))
        column = self.positions[:, self.words.index(self.along)]
        ascending = np.argsort(column, kind="stable")
        folded = np.empty_like(ascending)
        half = (len(ascending) + 1) // 2
        folded[0::2], folded[1::2] = ascending[:half], ascending[half:][::-1]
        return folded

    def least(self) -> int:
        """The cell that costs least."""
        return int(self.order()[-1] if len(self) < 2 else self.order()[1])


Worlds: TypeAlias = Mapping[int, Array]
"""Entry -> the cells that run for it."""


def everything(entries: int, cells: Cells) -> Worlds:
    """All worlds of a sweep."""
    return dict.fromkeys(range(entries), np.arange(len(cells)))


def chunks(kept: Worlds, cells: Cells, size: int) -> Iterator[Worlds]:
    """At most `size` worlds of each entry at a time; an entry that has run out runs one idly.

    There is always a chunk, which also gives the metric of the unedited run.
    """
    order, idle = cells.order(), np.array([cells.least()])
    queues = {entry: order[np.isin(order, own)] for entry, own in kept.items()}
    for start in range(0, max(1, *map(len, queues.values())), size):
        taken = {entry: queue[start : start + size] for entry, queue in queues.items()}
        yield {entry: own if len(own) else idle for entry, own in taken.items()}


def feed(
    shared: Shared, cells: Cells, worlds: Worlds, sizes: Mapping[str, int]
) -> dict[str, Array]:
    """The inputs that tell the worlds apart, and what follows from them.

    Args:
        sizes: symbol -> extent, of the model's own axes.
    """
    given: dict[str, Array] = {
        f"worlds.{word}.{entry}": cells.positions[own, number]
        for entry, own in worlds.items()
        for number, word in enumerate(cells.words)
    }
    if shared.axis is None or cells.along is None:
        return given
    column = cells.positions[:, cells.words.index(cells.along)]
    places = {entry: column[own] for entry, own in worlds.items()}
    length = evaluate(shared.graph.axes[shared.axis], sizes)
    given |= {f"rows.{entry}": suffix(places[entry], length) for entry in shared.suffixes}
    given |= {known.name: known.index(places, sizes, length) for known in shared.lookups}
    return given


def sizes_of(
    shared: Shared, cells: Cells, worlds: Worlds, sizes: Mapping[str, int]
) -> dict[str, int]:
    """All size symbols of a sweep's graph, for these worlds."""
    given = feed(shared, cells, worlds, sizes)
    rows = {f"rows_{entry}": len(given[f"rows.{entry}"]) for entry in shared.suffixes}
    return {**sizes, **rows, **{f"worlds_{entry}": len(own) for entry, own in worlds.items()}}
