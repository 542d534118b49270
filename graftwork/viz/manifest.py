"""What a picture holds, what it leaves out, and how exactly it keeps numbers.

Every picture says so: at its foot in words, there as JSON in `data-manifest`, and in Python as
`View.manifests`.
"""

from __future__ import annotations

import html
import json
from typing import Any

from attrs import asdict, frozen

NAMES = "names of modules, parameters, axes and sites"
SOURCES = "files and lines of the source code"
VALUES = "values of constants, and attributes that are numbers or free text"
ARGUMENTS = "arguments of passes"
PARAMETERS = "values of parameters"
WORDS = "names of axes, and words for their positions"
TOKENS = "tokens of the text"


@frozen
class Numbers:
    """How a picture keeps one kind of numbers.

    Attributes:
        what: which numbers.
        bits: of each of them.
        steps: into how many equal steps from `low` to `high` they are rounded; None if they are
            floats or integers of so many bits.
    """

    what: str
    bits: int = 32
    steps: int | None = None
    low: float = 0.0
    high: float = 0.0

    @property
    def error(self) -> float:
        """How far off a number between `low` and `high` may be, beside what its bits round."""
        return 0.0 if self.steps is None else (self.high - self.low) / self.steps / 2

    def __str__(self) -> str:
        if self.steps is None:
            return f"{self.what}: {self.bits} bits each"
        scale = f"{self.steps} steps from {self.low:.4g} to {self.high:.4g}"
        return f"{self.what}: {self.bits} bits each, {scale}, off by at most {self.error:.2g}"


@frozen
class Manifest:
    """What a picture holds and what it leaves out.

    Attributes:
        holds: in words, beside numbers and the ops and types of graphs.
        left_out: in words.
        numbers: what it keeps of numbers.
        share_safe: whether values, files and lines of the source are left out.
    """

    holds: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    numbers: tuple[Numbers, ...] = ()
    share_safe: bool = False

    def also(self, other: Manifest) -> Manifest:
        """What two parts of a picture hold and leave out."""
        return Manifest(
            self.holds + other.holds,
            self.left_out + other.left_out,
            self.numbers + other.numbers,
            self.share_safe and other.share_safe,
        )

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        numbers = [{**asdict(kept), "error": kept.error} for kept in self.numbers]
        return {**asdict(self), "numbers": numbers}

    def html(self) -> str:
        """The foot of a picture: words that open, and the same as JSON in an attribute."""
        title = "What this picture holds"
        lists = (("Holds", self.holds), ("Leaves out", self.left_out), ("Numbers", self.numbers))
        rows = "".join(
            f"<dt>{name}</dt>" + "".join(f"<dd>{html.escape(str(item))}</dd>" for item in items)
            for name, items in lists
            if items
        )
        safe = " · safe to share: no values, files or lines of source" * self.share_safe
        data = html.escape(json.dumps(self.facts()))
        return (
            f'<details class="manifest" data-manifest="{data}">'
            f"<summary>{title}{safe}</summary><dl>{rows}</dl></details>\n"
        )


EMPTY = Manifest()
