"""How many samples agree with PyTorch on each backend, and which are refused or fail, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from tests.frontends.op_database.judge import BACKENDS, Failed, Refused, Verdict


def totals(verdicts: Sequence[Verdict], backend: str) -> str:
    """`passing samples / samples (share), operators of which all pass / operators`."""
    good = [v for v in verdicts if v.outcomes[backend] is None]
    ops = {v.case.op for v in verdicts}
    whole = ops - {v.case.op for v in verdicts if v.outcomes[backend] is not None}
    share = 100 * len(good) / max(len(verdicts), 1)
    return f"{len(good)} / {len(verdicts)} samples ({share:.1f} %), {len(whole)} / {len(ops)} ops"


def share(verdicts: Iterable[Verdict], backend: str) -> float:
    """The share of samples that pass."""
    passed = [v.outcomes[backend] is None for v in verdicts]
    return sum(passed) / max(len(passed), 1)


def reasons(
    verdicts: Sequence[Verdict], backend: str, kind: type[Refused | Failed]
) -> list[tuple[str, int, str]]:
    """(why, how many samples, of which operators), most frequent first."""
    count: Counter[str] = Counter()
    ops: dict[str, dict[str, str]] = {}
    for v in verdicts:
        outcome = v.outcomes[backend]
        if isinstance(outcome, kind):
            why = outcome.reason if isinstance(outcome, Refused) else outcome.what
            count[why] += 1
            ops.setdefault(why, {}).setdefault(v.case.op, str(v.case))
    return [(why, number, ", ".join(ops[why])) for why, number in count.most_common()]


def summary(verdicts: Sequence[Verdict], write: Callable[[str], object] = print) -> None:
    """Print the totals, then what failed and what was refused."""
    zoo = [v for v in verdicts if v.case.zoo]
    for backend in BACKENDS:
        write(f"{backend:6} all: {totals(verdicts, backend)}; zoo: {totals(zoo, backend)}")
    for v in verdicts:
        failed = {b: o.what for b, o in v.outcomes.items() if isinstance(o, Failed)}
        if failed:
            write(f"FAILED {v.case}: {failed}")
    for backend in BACKENDS:
        for why, number, ops in reasons(verdicts, backend, Refused):
            write(f"refused on {backend} {number}x [{ops}]: {why}")
