"""Measure side by side: interleaved runs, medians, paired ratios, memory and fresh interpreters."""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

from attrs import frozen

P = ParamSpec("P")
T = TypeVar("T")

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")


@frozen
class Spread:
    """A median between its quartiles."""

    median: float
    low: float
    high: float


@frozen
class Sample:
    """One run: seconds on the wall clock, and seconds of processor time over all threads."""

    wall: float
    cpu: float


@frozen
class Memory:
    """Resident bytes beyond those held before: at the highest point, and after it is done."""

    peak: int
    kept: int


@frozen
class Comparison:
    """Samples of several candidates, where the samples of one round stand at one index."""

    samples: Mapping[str, Sequence[Sample]]

    def wall(self, name: str) -> Spread:
        return spread([sample.wall for sample in self.samples[name]])

    def cpu(self, name: str) -> Spread:
        return spread([sample.cpu for sample in self.samples[name]])

    def ratio(self, name: str, to: str) -> Spread:
        """Wall time of ``name`` over that of ``to`` in the same round.

        Neighbours in time share the machine's mood, so the quotients scatter less than the times.
        """
        pairs = zip(self.samples[name], self.samples[to], strict=True)
        return spread([ours.wall / theirs.wall for ours, theirs in pairs])


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles; a single value is all three."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def stopwatch(work: Callable[[], object]) -> Sample:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Sample(time.perf_counter() - wall, time.process_time() - cpu)


def compare(
    candidates: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 1
) -> Comparison:
    """Run every candidate once a round; the one that goes first changes from round to round."""
    names = list(candidates)
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for turn in range(-warmup, rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()
            sample = stopwatch(candidates[name])
            if turn >= 0:
                samples[name].append(sample)
    return Comparison(samples)


def memory_of(work: Callable[[], T]) -> tuple[T, Memory]:
    """The result of ``work`` and the resident memory that it added to this process.

    Needs Linux and glibc. ``ru_maxrss`` would not do: it survives ``exec``, so a child starts with
    its parent's peak.
    """
    _give_back()
    before = _resident("VmRSS")
    CLEAR_REFS.write_text("5")
    result = work()
    peak = _resident("VmHWM") - before
    _give_back()
    return result, Memory(peak, _resident("VmRSS") - before)


def isolated(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a module-level function in a fresh interpreter that ends with the call."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def _give_back() -> None:
    """Return freed memory to the system, lest later allocations hide in it."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def _resident(field: str) -> int:
    lines = STATUS.read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(kilobytes) * 1024
