"""What was measured, as lines of a table: beside what, at which ratio, and whether that will do."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from attrs import frozen

from benchmarks.timing import Comparison, Spread

PACKAGES = ("numpy", "attrs", "torch", "transformers", "jax", "onnx", "onnxruntime", "onnxscript")
COLUMNS = ("figure", "measured", "beside", "ratio (quartiles)", "target", "met")


@frozen
class Target:
    """A limit that a figure keeps to, from below unless ``at_least``."""

    limit: float
    unit: str = ""
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:,.6g} {self.unit}".rstrip()


@frozen
class Figure:
    """One line: what was measured, what stands beside it, and the number that a target judges."""

    name: str
    measured: str
    beside: str = ""
    ratio: Spread | None = None
    judged: float | None = None
    target: Target | None = None

    def cells(self) -> tuple[str, ...]:
        ratio, met = self.ratio, ""
        if self.target and self.judged is not None:
            met = "yes" if self.target.met(self.judged) else "no"
        return (
            self.name,
            self.measured,
            self.beside,
            f"{ratio.median:.2f} ({ratio.low:.2f}–{ratio.high:.2f})" if ratio else "",
            str(self.target or ""),
            met,
        )


def side_by_side(
    name: str, comparison: Comparison, ours: str, theirs: str, target: Target | None = None
) -> Figure:
    """The figure for the wall time of one candidate beside that of another."""
    ratio = comparison.ratio(ours, to=theirs)
    return Figure(
        name,
        times(comparison, ours),
        f"{theirs}: {times(comparison, theirs)}",
        ratio,
        ratio.median,
        target,
    )


def times(comparison: Comparison, name: str) -> str:
    wall, cpu = comparison.wall(name).median, comparison.cpu(name).median
    return f"{seconds(wall)} (cpu {seconds(cpu)})"


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"


def table(figures: Iterable[Figure]) -> str:
    """A Markdown table with aligned columns, which reads as well on a terminal."""
    rows = [COLUMNS, *(figure.cells() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    rule = "|".join("-" * (width + 2) for width in widths)
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(w) for cell, w in zip(cells, widths, strict=True)) + " |"


def machine() -> str:
    """Processor, memory, system and the versions of what was measured, as a Markdown list."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return "\n".join(
        (
            f"- {_processor()}, {os.cpu_count()} cores, {memory / 1e9:.0f} GB",
            f"- {platform.system()} {platform.release()}, Python {platform.python_version()}",
            f"- {versions}",
        )
    )


def _processor() -> str:
    """The processor's name and, since the name may be silent, its model number."""
    facts = {
        key.strip(): value.strip()
        for key, _, value in (
            line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()
        )
    }
    name = facts.get("model name", platform.machine())
    if "model" in facts:
        name += f" (family {facts['cpu family']}, model {facts['model']})"
    return name
