"""Where an equation came from in the user's model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from graftwork.frontends.jax import _jax

PACKAGE = str(Path(__file__).parents[2])


def segments(names: Sequence[str]) -> list[str]:
    """Module names in scopes; one with a dot says of which class a module is, not where."""
    return [part for name in names for part in name.split("/") if part and "." not in part]


@lru_cache(maxsize=4096)  # layers come from the same lines
def source_line(traceback: Any) -> str:
    """The innermost line of the user's own code, or else of the library that they call."""
    library = ""
    for frame in _jax.frames(traceback):
        if frame.file.startswith(PACKAGE):
            break
        if "site-packages" not in frame.file:
            return f"{frame.file}:{frame.line}"
        library = library or f"{frame.file}:{frame.line}"
    return library
