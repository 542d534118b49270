"""A scene as one compact piece of text: columns of integers and a table of strings, deflated.

Integers are stored as differences, by byte planes, which deflates well and is read by a loop of
two lines. The result is base64, which can never end the element that holds it.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np


class Strings:
    """Strings by number; equal ones once, and number 0 is empty."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    def __call__(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    def all(self) -> list[str]:
        return list(self._numbers)


class Rows:
    """Rows of integers of any length, as one column and one of where they end."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.ends: list[int] = []

    def add(self, row: Iterable[int]) -> None:
        self.items.extend(row)
        self.ends.append(len(self.items))


def packed(facts: Mapping[str, Any], columns: Mapping[str, Sequence[int] | Rows]) -> str:
    """Facts as JSON and columns of integers, in base64.

    Layout: the length of the head in four bytes; the head, JSON, with the names and lengths of
    the columns; the columns.
    """
    plain: dict[str, Sequence[int]] = {}
    for name, column in columns.items():
        if isinstance(column, Rows):
            plain[name], plain[f"{name}Ends"] = column.items, column.ends
        else:
            plain[name] = column
    layout = [[name, len(column)] for name, column in plain.items()]
    head = json.dumps({"facts": facts, "columns": layout}, separators=(",", ":")).encode()
    body = b"".join(map(_planes, plain.values()))
    data = zlib.compress(len(head).to_bytes(4, "little") + head + body, 9)
    return base64.b64encode(data).decode()


def _planes(column: Sequence[int]) -> bytes:
    """The differences of a column, least bytes first."""
    numbers = np.array(column, "<i4")
    steps = np.diff(numbers, prepend=np.int32(0)).astype("<i4")
    return steps.view(np.uint8).reshape(-1, 4).T.tobytes()
