"""Numbers that decide everything, read one after another.

Any list of numbers is a legal list of choices: each is taken modulo what there is to choose from,
and where they have run out, the first option is chosen. So random lists never have to be
rejected, and a shorter list of smaller numbers means a simpler thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """A stream of choices."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._numbers: Iterator[int] = iter(numbers)

    def below(self, count: int) -> int:
        """A number from 0 to before `count`."""
        return next(self._numbers, 0) % count if count > 1 else 0

    def pick(self, *options: T) -> T:
        """One of the options."""
        return options[self.below(len(options))]
