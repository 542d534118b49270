"""docs/coverage/models.md: one row a family, written by the run of all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tests.pages import COVERAGE, alone
from tests.zoo.examine import COMPILED, Report
from tests.zoo.families import Family

PATH = COVERAGE / "models.md"
HEAD = """# Model coverage

Tiny random models of each family, converted with every axis dynamic that the model leaves dynamic,
then run at another size than they were traced with: the greatest difference to the model's own
results, relative to its greatest result. Blocks: those in which attention (or what stands in its
place) was recognised. Sites: how many; each was replaced by itself, which changes nothing, and
shaken, which changes the outputs. `make test-all` writes this page; what has no row, or
an empty cell, has not been run.

"""
COLUMNS = f"""
| family | converted | dynamic axes | {" | ".join(COMPILED)} | blocks | sites | remarks |
|---|---|---|{"---|" * len(COMPILED)}---|---|---|
"""


def row(name: str, family: Family, report: Report) -> str:
    """A family's line of the table."""
    if report.refused:
        cells = [name, "no", "", *[""] * len(COMPILED), "", "", report.refused]
    else:
        missing = [f"{b}: {x}" for b, x in report.apart.items() if isinstance(x, str)]
        remarks = [*report.broken, *missing, *(f"{p}: {w}" for p, w in report.unrecognised.items())]
        apart = [report.apart.get(backend) for backend in COMPILED]
        cells = [
            name, "yes", ", ".join(_axis(axis, family) for axis in report.axes),
            *(f"{x:.0e}" if isinstance(x, float) else "" if x is None else "no" for x in apart),
            f"{report.blocks}/{family.blocks}" if family.blocks else "",
            str(report.sites or ""), "; ".join(remarks),
        ]  # fmt: skip
    return f"| {' | '.join(map(_plain, cells))} |"


def _axis(axis: str, family: Family) -> str:
    """A dynamic axis, and what its sizes are held to."""
    step = family.multiples.get(axis)
    return axis if step is None else f"{axis} (multiples of {step})"


def _plain(cell: str) -> str:
    """A cell without what a table or another machine would not have."""
    return re.sub(r"\S*/site-packages/", "", cell).replace("|", "\\|").replace("\n", " ")


def read() -> Mapping[str, str]:
    """Family -> its line, in the order of the table."""
    lines = PATH.read_text().splitlines() if PATH.exists() else []
    rows = (line for line in lines if line.startswith("| ") and not line.startswith("| family"))
    return {line.split(" | ")[0].removeprefix("| "): line for line in rows}


def write(rows: Iterable[str]) -> None:
    lines = list(rows)
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(HEAD + totals(lines) + COLUMNS + "\n".join(lines) + "\n")


def totals(rows: Sequence[str]) -> str:
    """How many families convert and run compiled, and how many of their blocks are recognised."""
    converted = [line for line in rows if " | yes | " in line]
    compiled = sum(_cell(line, "inductor") not in ("", "no") for line in converted)
    found, there = blocks(rows)
    share = f"{100 * found / max(there, 1):.1f} %"
    return (
        f"{len(converted)} of {len(rows)} families convert; {compiled} of them were run under "
        f"TorchInductor too; {found} of {there} blocks ({share}) are recognised.\n"
    )


def _cell(row: str, column: str) -> str:
    """What a line has in a column."""
    columns = [each.strip() for each in COLUMNS.split("\n")[1].split("|")]
    return row.split("|")[columns.index(column)].strip()


def blocks(rows: Iterable[str]) -> tuple[int, int]:
    """The blocks that were recognised, at most as many as there are, and all."""
    pairs = [(int(a), int(b)) for line in rows for a, b in re.findall(r" \| (\d+)/(\d+) \| ", line)]
    return sum(min(pair) for pair in pairs), sum(there for _, there in pairs)


def record(name: str, family: Family, report: Report, order: Iterable[str] = ()) -> None:
    """Put a family's line into the table; lines follow `order`, or stay where they are."""
    with alone(PATH):
        lines = {**read(), name: row(name, family, report)}
        write(lines[each] for each in (order or lines) if each in lines)
