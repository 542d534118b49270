"""Rows: the positions that the edits of some worlds have reached, packed along one axis.

In a causal model an edit at position p leaves the positions before it as they are. What differs is
held as rows, world by world, each from p on (or p alone), and the rest is that of the unedited
run. Taking other rows of a value, all positions of it, or one, is a gather out of the unedited run
and the rows that are there; its indices follow from the positions, and are inputs of the graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from attrs import frozen

from graftwork.ir.size_values import evaluate
from graftwork.ir.sizes import Size

Array: TypeAlias = np.ndarray[Any, Any]


@frozen
class Rows:
    """For each entry, in each of its worlds: one row, or all from it on."""

    entries: tuple[int, ...]
    singles: tuple[bool, ...]

    def only(self, entries: Sequence[int]) -> Rows:
        """The rows of some entries."""
        pairs = [(e, s) for e, s in zip(self.entries, self.singles, strict=True) if e in entries]
        return Rows(tuple(e for e, _ in pairs), tuple(s for _, s in pairs))


@frozen
class Grid:
    """All positions in all worlds of some entries."""

    entries: tuple[int, ...]


@frozen
class At:
    """One position in all worlds of some entries."""

    entries: tuple[int, ...]
    at: Size


Points: TypeAlias = Rows | Grid | At


@frozen
class Lookup:
    """Where the points of `target` lie in what holds those of `source`.

    Attributes:
        name: of the input that holds these indices.
        source: a table of rows comes after all positions of the unedited run; one of a grid holds
            its worlds one after another; None is the number of the world itself.
    """

    name: str
    source: Rows | Grid | None
    target: Points

    def index(self, places: Places, sizes: Mapping[str, int]) -> Array:
        """The indices, int64: (rows,), (worlds, positions) or (worlds,).

        Args:
            sizes: size symbol -> extent.
        """
        points = list(_points(self.target, places, sizes))
        worlds = _firsts(self.target.entries, places.of)
        if self.source is None:
            parts = [np.broadcast_to(worlds[e] + w, s.shape) for e, w, s in points]
        else:
            table = _table(self.source, places)
            parts = [table[e][w, s] if e in table else s for e, w, s in points]
        return np.concatenate(parts).astype(np.int64)


@frozen(eq=False)
class Places:
    """Where the edits of some worlds are made.

    Attributes:
        of: entry -> the position of its edit in each of its worlds.
        length: how many positions there are.
        room: entry -> how many rows it is given, at least those from each edit on; what is left
            repeats the last one.
    """

    of: Mapping[int, Array]
    length: int
    room: Mapping[int, int]

    def suffix(self, entry: int) -> Array:
        """The positions of the rows from each edit on, one world after another."""
        found = [np.arange(place, self.length, dtype=np.int64) for place in self.of[entry]]
        return self._filled(entry, np.concatenate(found))

    def worlds(self, entry: int) -> Array:
        """The worlds of these rows."""
        own = self.of[entry]
        return self._filled(entry, np.repeat(np.arange(len(own)), self.length - own))

    def _filled(self, entry: int, rows: Array) -> Array:
        return np.pad(rows, (0, self.room[entry] - len(rows)), mode="edge")


def _points(
    target: Points, places: Places, sizes: Mapping[str, int]
) -> Iterator[tuple[int, Array, Array]]:
    """For each entry its number, and the worlds and positions of its points."""
    for number, entry in enumerate(target.entries):
        own = places.of[entry]
        worlds = np.arange(len(own))
        match target:
            case Rows() if target.singles[number]:
                yield entry, worlds, own
            case Rows():
                yield entry, places.worlds(entry), places.suffix(entry)
            case Grid():
                everywhere = np.broadcast_to(np.arange(places.length), (len(own), places.length))
                yield entry, worlds[:, None], everywhere
            case At():
                yield entry, worlds, np.full(len(own), evaluate(target.at, sizes))


def _table(source: Rows | Grid, places: Places) -> Mapping[int, Array]:
    """Entry -> (world, position) -> where that lies in the table of a source."""
    firsts, length = _firsts(source.entries, places.of), places.length
    table, rows = {}, 0
    for number, entry in enumerate(source.entries):
        own = places.of[entry]
        if isinstance(source, Grid):
            start = firsts[entry] * length
            table[entry] = start + np.arange(len(own) * length).reshape(len(own), length)
            continue
        single = source.singles[number]
        found = np.tile(np.arange(length), (len(own), 1))
        reached = np.arange(length) >= own[:, None]
        if single:
            reached &= np.arange(length) == own[:, None]
        count = int(reached.sum())
        found[reached] = length + rows + np.arange(count)
        rows += count if single else places.room[entry]
        table[entry] = found
    return table


def _firsts(entries: Sequence[int], places: Mapping[int, Array]) -> Mapping[int, int]:
    """Entry -> the number of its first world."""
    counts = [len(places[entry]) for entry in entries]
    return dict(zip(entries, np.cumsum([0, *counts]).tolist(), strict=False))
