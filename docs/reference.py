"""Writes docs/ops.md, the reference of all ops, from their definitions.

Run `python docs/reference.py`; a test holds the page to what this gives.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from graftwork.ir import ops
from graftwork.ir.op import REGISTRY, Op

PAGE = Path(__file__).parent / "ops.md"
HEAD = """# The ops

Written by `docs/reference.py` from the definitions in `graftwork/ir/ops`. Operands with `?` may be
left out, `*xs` is any number. Axes that no attribute names are free: they are zipped by name and
appear in every output. *Linear* says in which operands the op is linear, *each* where in each
alone; *derivative* that it has a rule of its own. Composites open into a body; their interior
sites stand in brackets.
"""
COLUMNS = "| op | what it computes | attributes | |\n| --- | --- | --- | --- |"


def home(op: Op) -> str:
    """The family that an op is defined in: the last word of its module."""
    for rule in (op.infer, op.evaluate, op.body, op.jvp):
        if rule is not None and "families" not in rule.__module__:
            return rule.__module__.removeprefix("graftwork.ir.ops.")
    return "elementwise"


def row(op: Op) -> str:
    """One line of a table."""
    attrs = ", ".join(
        f"`{spec.name}`: {spec.kind.name}" + ("" if spec.default is ... else f" = {spec.default!r}")
        for spec in op.attrs
    )
    words = []
    if op.body is not None:
        words.append("composite" + (f" [{', '.join(op.sites)}]" if op.sites else ""))
    if op.linear is not None:
        names = op.operands.split()
        places = ", ".join(names[i] if i < len(names) else f"operand {i}" for i in op.linear)
        words.append(f"linear in {places}{' each' if op.multilinear else ''}")
    if op.jvp is not None:
        words.append("derivative")
    call = f"`{op.name}({', '.join(op.operands.split())})`"
    return f"| {call} | {op.doc.replace('|', chr(92) + '|')} | {attrs} | {'; '.join(words)} |"


def page() -> str:
    """The whole page."""
    groups: dict[str, list[Op]] = defaultdict(list)
    for op in REGISTRY.values():
        groups[home(op)].append(op)
    parts = [HEAD]
    for name in sorted(groups):
        rows = "\n".join(row(op) for op in sorted(groups[name], key=lambda op: op.name))
        title = name.removeprefix("composites.").replace("_", " ")
        parts.append(f"## {title}\n\n{COLUMNS}\n{rows}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    assert ops
    PAGE.write_text(page())
