"""Pages of docs/coverage that several processes write, a row at a time."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COVERAGE = Path(__file__).parents[1] / "docs" / "coverage"


@contextmanager
def alone(page: Path) -> Iterator[None]:
    """No other process of these tests reads or writes the page meanwhile."""
    with (Path(tempfile.gettempdir()) / f"graftwork-{page.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
