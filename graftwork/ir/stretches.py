"""Where a sequence repeats itself: runs of stretches with equal numbers, one after another.

Programs over layers say the same for every layer. What says the same has one number here, whoever
numbers it: equations of a jaxpr, nodes of a graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

_CANDIDATES = 8  # distances at which a repetition is looked for


@frozen(order=True)
class Run:
    """Stretches of `period` places from `start` on, `count` of them."""

    start: int
    period: int
    count: int

    @property
    def stop(self) -> int:
        """The place after the last stretch."""
        return self.start + self.period * self.count

    @property
    def firsts(self) -> range:
        """Where each stretch begins."""
        return range(self.start, self.stop, self.period)


def living(lives: Iterable[tuple[int, int]], count: int) -> list[int]:
    """How many things live on across each of `count` places, and behind the last.

    Args:
        lives: of each thing, the place where it is made and the last one where it is read.
    """
    change = [0] * (count + 2)
    for made, last in lives:
        change[made + 1] += 1
        change[last + 1] -= 1
    return list(accumulate(change))


def runs(numbers: Sequence[int], alive: Sequence[int], least: int = 1) -> list[Run]:
    """The runs in a sequence, in order; the longest are found first, and do not overlap.

    Args:
        alive: how many things live on across each place, as `living` says: a run is cut where
            that is least between two stretches, which is between layers rather than inside of one.
        least: how long a stretch is at least.
    """
    found: list[Run] = []
    todo = [(0, len(numbers))]
    while todo:
        low, high = todo.pop()
        longest = _longest(numbers[low:high], least)
        if longest is None:
            continue
        start, stop, period = low + longest[0], low + longest[1], longest[2]
        cuts = range(start, min(start + period, stop - 2 * period + 1))
        first = min(cuts, key=lambda cut: alive[cut + period])
        run = Run(first, period, (stop - first) // period)
        found.append(run)
        todo += [(low, run.start), (run.stop, high)]
    return sorted(found, key=lambda run: run.start)


def _longest(numbers: Sequence[int], least: int) -> tuple[int, int, int] | None:
    """Where the most numbers are what they were one period before: start, stop and period."""
    last: dict[int, int] = {}
    distances: Counter[int] = Counter()
    for place, number in enumerate(numbers):
        if place - last.get(number, place) >= least:
            distances[place - last[number]] += 1
        last[number] = place
    best = None
    array = np.asarray(numbers)
    for period, _ in distances.most_common(_CANDIDATES):
        start, length = _longest_agreement(array, period)
        if length >= period and (best is None or length > best[1] - best[0] - best[2]):
            best = (start, start + length + period, period)
    return best


def _longest_agreement(numbers: NDArray[np.int64], period: int) -> tuple[int, int]:
    """The longest row of places whose number comes again one period later: start and length."""
    differ = np.flatnonzero(numbers[:-period] != numbers[period:])
    ends = np.concatenate([[-1], differ, [len(numbers) - period]])
    lengths = np.diff(ends) - 1
    best = int(lengths.argmax())
    return int(ends[best]) + 1, int(lengths[best])
