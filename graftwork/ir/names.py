"""Names that are still free."""

from __future__ import annotations

from collections.abc import Container


def unused(name: str, taken: Container[str], sep: str = "_") -> str:
    """The name, with a number behind it if it is taken."""
    free, count = name, 2
    while free in taken:
        free, count = f"{name}{sep}{count}", count + 1
    return free
