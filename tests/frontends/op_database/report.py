"""How many samples agree with PyTorch on each backend, and which are refused or fail, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tests.frontends.op_database.cases import count, names
from tests.frontends.op_database.judge import BACKENDS, Failed, Refused, Verdict

_INTRODUCTION = """# PyTorch's operators

Written by `tests/frontends/test_op_database.py` (`make test-all`) from the operator database that
PyTorch ships for its own tests: every operator that is functional and deterministic, its samples in
float32, float64, int64 and bool. Each is exported, converted, run on every backend, and compared
with PyTorch's own result: names, element types, shapes, numbers. Operators of some 200 real models
are in bold. Where fewer samples were measured than there are, both numbers stand in the table: the
others draw random numbers, or PyTorch itself refuses them, or they have not been run.
"""


def share(verdicts: Iterable[Verdict], backend: str) -> float:
    """The share of samples that agree."""
    agreed = [verdict.outcomes[backend] is None for verdict in verdicts]
    return sum(agreed) / max(len(agreed), 1)


def failures(verdicts: Iterable[Verdict]) -> list[str]:
    """What must not be: `sample on backend: what happened`."""
    return [
        f"{verdict.case} on {backend}: {outcome.what}"
        for verdict in verdicts
        for backend, outcome in verdict.outcomes.items()
        if isinstance(outcome, Failed)
    ]


def of_zoo(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Those of operators that real models have."""
    return [verdict for verdict in verdicts if verdict.case.zoo]


def summary(verdicts: Sequence[Verdict]) -> str:
    """Samples that agree and operators of which all do, per backend; failures; refusals."""
    lines = [f"{backend:6} {_totals(verdicts, backend)}" for backend in BACKENDS]
    lines += [f"FAILED {each}" for each in failures(verdicts)]
    lines += [f"refused {number} x {ops}: {why}" for why, number, ops in _refusals(verdicts)]
    return "\n".join(lines)


def _totals(verdicts: Sequence[Verdict], backend: str) -> str:
    ops = {verdict.case.op for verdict in verdicts}
    other = {verdict.case.op for verdict in verdicts if verdict.outcomes[backend] is not None}
    agreed = sum(verdict.outcomes[backend] is None for verdict in verdicts)
    return (
        f"{agreed} of {len(verdicts)} samples ({100 * share(verdicts, backend):.1f} %), "
        f"{len(ops - other)} of {len(ops)} operators wholly"
    )


def _refusals(verdicts: Iterable[Verdict]) -> list[tuple[str, int, str]]:
    """(reason, how many samples, which operators), most frequent first."""
    samples: dict[str, set[str]] = {}
    ops: dict[str, set[str]] = {}
    for verdict in verdicts:
        for why in _reasons(verdict):
            samples.setdefault(why, set()).add(str(verdict.case))
            ops.setdefault(why, set()).add(verdict.case.op)
    found = [(why, len(each), ", ".join(sorted(ops[why]))) for why, each in samples.items()]
    return sorted(found, key=lambda each: (-each[1], each[0]))


def _reasons(verdict: Verdict) -> set[str]:
    """Why a sample is refused, and by which backend if not by all."""
    refused = {b: o.reason for b, o in verdict.outcomes.items() if isinstance(o, Refused)}
    if len(refused) == len(BACKENDS) and len(set(refused.values())) == 1:
        return set(refused.values())
    return {f"{backend}: {why}" for backend, why in refused.items()}


def page(verdicts: Sequence[Verdict]) -> str:
    """The whole measure as a page."""
    return "\n".join([_INTRODUCTION, *_page(verdicts)]) + "\n"


def _page(verdicts: Sequence[Verdict]) -> Iterator[str]:
    yield from ("| | operators of real models | all operators |", "| --- | --- | --- |")
    for backend in BACKENDS:
        yield f"| {backend} | {_totals(of_zoo(verdicts), backend)} | {_totals(verdicts, backend)} |"
    wrong = failures(verdicts)
    yield f"\nSamples that differ from PyTorch, or fail without a reason: {len(wrong)}.\n"
    yield from (f"- {each}" for each in wrong)
    yield "\n## Refused, by reason\n"
    yield from ("| samples | reason | operators |", "| --- | --- | --- |")
    for why, number, ops in _refusals(verdicts):
        yield f"| {number} | {why.replace('|', '/')} | {ops} |"
    ops: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        ops.setdefault(verdict.case.op, []).append(verdict)
    left = ", ".join(name for name in names() if name not in ops)
    yield f"\n## Not measured\n\nRandom, without a result, or not yet measured: {left}."
    yield "\n## By operator\n"
    yield f"| operator | samples | {' | '.join(BACKENDS)} |"
    yield "| --- | --- |" + " --- |" * len(BACKENDS)
    there = count(ops)
    for op, each in sorted(ops.items()):
        passes = (str(sum(v.outcomes[b] is None for v in each)) for b in BACKENDS)
        name = f"**{op}**" if each[0].case.zoo else op
        number = f"{len(each)} of {there[op]}" if len(each) < there[op] else str(len(each))
        yield f"| {name} | {number} | {' | '.join(passes)} |"
