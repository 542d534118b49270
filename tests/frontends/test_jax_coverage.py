"""Every primitive of JAX, in programs over what it can be told, on every backend against JAX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import jax
import pytest

from graftwork.frontends.jax.rules import REFUSED, RULES, STRUCTURAL
from tests.frontends.jax_measure import BACKENDS, PASSES, every_primitive, measure, used
from tests.frontends.jax_programs import PROGRAMS
from tests.frontends.jax_programs.gaps import expected
from tests.frontends.jax_programs.program import Program

TABLE = Path(__file__).parents[2] / "docs" / "coverage" / "jax_primitives.md"
LONG = ("igamma", "igammac", "igamma_grad_a", "random_gamma", "regularized_incomplete_beta")
FIRST = tuple({p.primitive: p for p in reversed(PROGRAMS) if p.primitive not in LONG}.values())

pytestmark = pytest.mark.filterwarnings("ignore")


def surprises(program: Program, outcomes: Mapping[str, str]) -> list[str]:
    """The backends on which a program fares neither well nor as badly as is known."""
    wrong = []
    for backend, outcome in outcomes.items():
        known = expected(program, backend)
        if outcome != PASSES if known is None else not outcome.startswith(known):
            wrong.append(f"{program.name}, {backend}: {outcome}")
    return wrong


@pytest.mark.parametrize("program", FIRST, ids=lambda program: program.primitive)
def test_a_program_of_every_primitive_computes_what_jax_computes(program: Program) -> None:
    assert surprises(program, measure(program)) == []


def test_programs_have_the_primitives_that_they_are_for() -> None:
    missing = {program.primitive for program in PROGRAMS}
    for program in PROGRAMS:
        if program.primitive in missing:
            with jax.enable_x64(program.is_wide):
                jaxpr = jax.make_jaxpr(program.function)(*program.args).jaxpr
            missing -= set(used(jaxpr))
    assert missing == set()


def test_every_primitive_with_a_rule_is_measured() -> None:
    measured = {program.primitive for program in PROGRAMS}
    ruled = set(RULES) | set(STRUCTURAL)
    assert ruled & set(every_primitive()) - measured <= UNSEEN


# Primitives that no program of one device and one process can be made to show.
UNSEEN = frozenset(
    [
        "copy_p",
        "device_put",
        "sharding_constraint",
        "layout_constraint",
        "reshard",
        "pvary",
        "closed_call",
        "dce_sink",
        "inspect_sharding",
        "shape_assertion",
        "custom_vjp_call_jaxpr",
        "core_call",
    ]
)


@pytest.mark.all
def test_all_programs_and_write_the_table() -> None:
    outcomes = {program: measure(program) for program in PROGRAMS}
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table(outcomes))
    assert [line for program in PROGRAMS for line in surprises(program, outcomes[program])] == []


def table(outcomes: Mapping[Program, Mapping[str, str]]) -> str:
    """The coverage of all primitives, as Markdown."""
    by_name: dict[str, list[Program]] = {}
    for program in outcomes:
        by_name.setdefault(program.primitive, []).append(program)
    rows = [_row(name, [outcomes[p] for p in by_name[name]]) for name in sorted(by_name)]
    rest = sorted(set(every_primitive()) - set(by_name))
    total = [sum(each[b] == PASSES for each in outcomes.values()) for b in BACKENDS]
    about = (
        f"Written by `make test-all` from `tests/frontends/jax_programs`: {len(outcomes)} programs "
        f"over {len(by_name)} primitives of JAX {jax.__version__}, each converted with "
        "`gw.from_jax` and compared with JAX on every backend. A cell says how many of a "
        "primitive's programs give the numbers of JAX."
    )
    others = (
        "JAX has more primitives: steps between devices, kernels, internals of transformations "
        "and of tracing. Those that a program could show are refused by name."
    )
    lines = [
        "# Primitives of JAX",
        "",
        about,
        "",
        "| primitive | programs | numpy | JAX | torch | ONNX | otherwise |",
        "|---|---|---|---|---|---|---|",
        f"| **all** | {len(outcomes)} | {' | '.join(map(str, total))} | |",
        *rows,
        "",
        "## Not in programs of one device",
        "",
        others,
        "",
        *(f"- `{name}`: {REFUSED[name]}" for name in rest if name in REFUSED),
        "- " + ", ".join(f"`{name}`" for name in rest if name not in REFUSED),
    ]
    return "\n".join([*lines, ""])


def _row(name: str, outcomes: Iterable[Mapping[str, str]]) -> str:
    found = list(outcomes)
    counts = [sum(each[backend] == PASSES for each in found) for backend in BACKENDS]
    notes = dict.fromkeys(_note(name, each) for each in found)
    cells = " | ".join(str(count) for count in counts)
    return f"| `{name}` | {len(found)} | {cells} | {'; '.join(filter(None, notes))} |"


def _note(name: str, outcomes: Mapping[str, str]) -> str:
    """Why a program does not pass, in a few words."""
    if all(outcome == PASSES for outcome in outcomes.values()):
        return ""
    if all(outcome.startswith("refused") for outcome in outcomes.values()):
        return f"refused: {REFUSED.get(name, 'by name')}"
    failing = [backend for backend, outcome in outcomes.items() if outcome != PASSES]
    return f"the sign of a zero on {', '.join(failing)}"
