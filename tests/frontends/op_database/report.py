"""docs/coverage/torch_ops.md: one row an operator, written by the run of all of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from tests.frontends.op_database.cases import Case, names
from tests.frontends.op_database.judge import BACKENDS, Failed, Refused, Verdict
from tests.pages import COVERAGE, alone

PATH = COVERAGE / "torch_ops.md"
_INTRODUCTION = """# PyTorch's operators

Written by `tests/frontends/test_op_database.py` (`make test-all`) from the operator database that
PyTorch ships for its own tests: every operator that is functional and deterministic, its samples in
float32, float64, int64 and bool. Each is exported, converted, run on every backend, and compared
with PyTorch's own result: names, element types, shapes, numbers. Operators of some 200 real models
are in bold. Where fewer samples were measured than there are, both numbers stand in the table: the
others draw random numbers, have no tensor as their result, or PyTorch itself refuses them.
"""
_COLUMNS = ("operator", "samples", *BACKENDS, "refused")
_FAILED = "FAILED "


@frozen
class Row:
    """What became of the samples of one operator.

    Attributes:
        op: the operator's name in the database.
        zoo: whether real models have it.
        there: how many samples the database has of it.
        measured: how many of them were run.
        agreed: backend -> how many agree with PyTorch on it.
        refused: reason, with the backend if it is not all of them -> how many samples.
        failed: what must not be: `sample on backend: what happened`.
    """

    op: str
    zoo: bool
    there: int
    measured: int
    agreed: Mapping[str, int]
    refused: Mapping[str, int]
    failed: tuple[str, ...] = ()


def rows(cases: Iterable[Case], verdicts: Iterable[Verdict]) -> list[Row]:
    """One row for each operator of some samples."""
    samples: dict[str, list[Case]] = {}
    judged: dict[str, list[Verdict]] = {}
    for case in cases:
        samples.setdefault(case.op, []).append(case)
    for verdict in verdicts:
        judged.setdefault(verdict.case.op, []).append(verdict)
    return [_row(op, each, judged.get(op, [])) for op, each in samples.items()]


def _row(op: str, cases: Sequence[Case], verdicts: Sequence[Verdict]) -> Row:
    return Row(
        op,
        zoo=cases[0].zoo,
        there=len(cases),
        measured=len(verdicts),
        agreed={b: sum(v.outcomes[b] is None for v in verdicts) for b in BACKENDS},
        refused=Counter(why for verdict in verdicts for why in _reasons(verdict)),
        failed=tuple(why for verdict in verdicts for why in _failures(verdict)),
    )


def _reasons(verdict: Verdict) -> set[str]:
    """Why a sample is refused, and by which backend if not by all."""
    refused = {b: o.reason for b, o in verdict.outcomes.items() if isinstance(o, Refused)}
    if len(refused) == len(BACKENDS) and len(set(refused.values())) == 1:
        return set(refused.values())
    return {f"{backend}: {why}" for backend, why in refused.items()}


def _failures(verdict: Verdict) -> Iterator[str]:
    for backend, outcome in verdict.outcomes.items():
        if isinstance(outcome, Failed):
            yield f"{verdict.case} on {backend}: {outcome.what}"


def failures(rows: Iterable[Row]) -> list[str]:
    """What must not be, of all rows."""
    return [each for row in rows for each in row.failed]


def share(rows: Sequence[Row], backend: str) -> float:
    """The share of the measured samples that agree."""
    return sum(row.agreed[backend] for row in rows) / max(sum(row.measured for row in rows), 1)


def of_zoo(rows: Iterable[Row]) -> list[Row]:
    """Those of operators that real models have."""
    return [row for row in rows if row.zoo]


def summary(rows: Sequence[Row]) -> str:
    """Samples that agree and operators of which all do, per backend; failures; refusals."""
    lines = [f"{backend:6} {_totals(rows, backend)}" for backend in BACKENDS]
    lines += [f"{_FAILED}{each}" for each in failures(rows)]
    lines += [f"refused {number} x {ops}: {why}" for why, number, ops in _refusals(rows)]
    return "\n".join(lines)


def _totals(rows: Sequence[Row], backend: str) -> str:
    run = [row for row in rows if row.measured]
    agreed = sum(row.agreed[backend] for row in run)
    there = sum(row.measured for row in run)
    wholly = sum(row.agreed[backend] == row.measured for row in run)
    return (
        f"{agreed} of {there} samples ({100 * share(run, backend):.1f} %), "
        f"{wholly} of {len(run)} operators wholly"
    )


def _refusals(rows: Iterable[Row]) -> list[tuple[str, int, str]]:
    """(reason, how many samples, which operators), most frequent first."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        for why, number in row.refused.items():
            found.setdefault(why, {})[row.op] = number
    reasons = [(why, sum(ops.values()), ", ".join(sorted(ops))) for why, ops in found.items()]
    return sorted(reasons, key=lambda each: (-each[1], each[0]))


def record(row: Row) -> None:
    """Put an operator's row into the page."""
    with alone(PATH):
        there = {**{each.op: each for each in read()}, row.op: row}
        PATH.parent.mkdir(exist_ok=True)
        PATH.write_text(page([there[op] for op in names() if op in there]))


def read() -> list[Row]:
    """The rows of the page."""
    lines = PATH.read_text().splitlines() if PATH.exists() else []
    start = lines.index(_line(_COLUMNS)) + 2 if lines else 0
    return [_parsed(line) for line in lines[start:]]


def page(rows: Sequence[Row]) -> str:
    """The whole measure as a page."""
    return "\n".join([_INTRODUCTION, *_page(rows)]) + "\n"


def _page(rows: Sequence[Row]) -> Iterator[str]:
    yield from ("| | operators of real models | all operators |", "| --- | --- | --- |")
    for backend in BACKENDS:
        yield _line((backend, _totals(of_zoo(rows), backend), _totals(rows, backend)))
    yield f"\nSamples that differ from PyTorch, or fail without a reason: {len(failures(rows))}."
    yield "\n## Refused, by reason\n"
    yield from ("| samples | reason | operators |", "| --- | --- | --- |")
    for why, number, ops in _refusals(rows):
        yield _line((str(number), why, ops))
    known = {row.op for row in rows if row.measured}
    left = ", ".join(name for name in names() if name not in known)
    yield f"\n## Not measured\n\nRandom, without a result, or not yet measured: {left}."
    yield "\n## By operator\n"
    yield _line(_COLUMNS)
    yield _line(["---"] * len(_COLUMNS))
    yield from map(_written, rows)


def _written(row: Row) -> str:
    refused = [f"{number} × {why}" for why, number in row.refused.items()]
    return _line(
        (
            f"**{row.op}**" if row.zoo else row.op,
            str(row.there) if row.measured == row.there else f"{row.measured} of {row.there}",
            *(str(row.agreed[backend]) for backend in BACKENDS),
            "<br>".join([*refused, *(f"{_FAILED}{each}" for each in row.failed)]),
        )
    )


def _parsed(line: str) -> Row:
    """The row that `_written` wrote."""
    op, samples, *agreed, remarks = line.removeprefix("| ").removesuffix(" |").split(" | ")
    numbers = [int(number) for number in re.findall(r"\d+", samples)]
    each = [remark for remark in remarks.split("<br>") if remark]
    pairs = (remark.split(" × ", 1) for remark in each if not remark.startswith(_FAILED))
    return Row(
        op.strip("*"),
        zoo=op.startswith("**"),
        there=numbers[-1],
        measured=numbers[0],
        agreed={backend: int(number) for backend, number in zip(BACKENDS, agreed, strict=True)},
        refused={why: int(number) for number, why in pairs},
        failed=tuple(r.removeprefix(_FAILED) for r in each if r.startswith(_FAILED)),
    )


def _line(cells: Iterable[str]) -> str:
    """A line of a table; bars would end its cells."""
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
