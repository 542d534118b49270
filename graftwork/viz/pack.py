"""What a picture shows as one compact piece of text: facts, and columns of numbers, deflated.

Integers are stored as differences, by byte planes, which deflates well and is read by a loop of
two lines; 32-bit floats by byte planes, bytes as they are. The result is base64, which can never
end the element that holds it.
"""

from __future__ import annotations

import base64
import json
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeAlias, TypeVar

import numpy as np

Bytes: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
Integers: TypeAlias = np.ndarray[Any, np.dtype[np.int32]]

T = TypeVar("T")

_SAMPLE = 1 << 16


class Numbers(dict[T, int]):
    """The number of each thing, in the order in which they are first asked for."""

    def __missing__(self, thing: T) -> int:
        self[thing] = number = len(self)
        return number

    def of(self, things: Iterable[T]) -> list[int]:
        """The numbers of several things."""
        return list(map(self.__getitem__, things))


class Shared(Numbers[T]):
    """Numbers of things that many share and that are slow to compare: one object is sought once."""

    def of(self, things: Iterable[T]) -> list[int]:
        """The numbers of several things."""
        held = list(things)
        keys = list(map(id, held))
        number = {key: self[thing] for key, thing in dict(zip(keys, held, strict=True)).items()}
        return list(map(number.__getitem__, keys))


class Strings:
    """Strings by number; equal ones once, and number 0 is empty."""

    def __init__(self) -> None:
        self._numbers = Numbers({"": 0})

    def __call__(self, text: str) -> int:
        return self._numbers[text]

    def of(self, texts: Iterable[str]) -> list[int]:
        """The numbers of several strings."""
        return self._numbers.of(texts)

    def all(self) -> list[str]:
        return list(self._numbers)


class Rows:
    """Rows of integers of any length, as one column and one of where they end."""

    def __init__(self) -> None:
        self.items = array("i")
        self.ends = array("i")

    @classmethod
    def of(cls, rows: Iterable[Sequence[Any]], items: Iterable[int]) -> Rows:
        """Rows that are as long as others, and have these items."""
        made = cls()
        made.items.extend(items)
        made.ends.extend(accumulate(map(len, rows)))
        return made

    def add(self, row: Iterable[int]) -> None:
        self.items.extend(row)
        self.ends.append(len(self.items))


Plain: TypeAlias = "Sequence[int] | Integers | Bytes | Floats"
Column: TypeAlias = "Plain | Rows"


def packed(facts: Mapping[str, Any], columns: Mapping[str, Column]) -> str:
    """Facts as JSON and columns of numbers, in base64.

    Layout: the length of the head in four bytes; the head, JSON, with the name, length and kind
    (`i` integers, `f` floats, `b` bytes) of each column; the columns.
    """
    plain: dict[str, Plain] = {}
    for name, column in columns.items():
        if isinstance(column, Rows):
            plain[name], plain[f"{name}Ends"] = column.items, column.ends
        else:
            plain[name] = column
    layout = [[name, len(column), _kind(column)] for name, column in plain.items()]
    head = json.dumps({"facts": facts, "columns": layout}, separators=(",", ":")).encode()
    parts = (len(head).to_bytes(4, "little"), head, *map(_stored, plain.values()))
    return deflated(b"".join(parts))


def deflated(data: bytes) -> str:
    """Bytes as the page inflates them, in base64."""
    return base64.b64encode(_deflated(data)).decode()


def _deflated(data: bytes) -> bytes:
    """The shortest of three ways: numbers such as shares of attention repeat at most themselves,
    and are then shorter, and found faster, where no other repeats are sought.

    Of much data, the middle shows which way that is.
    """
    middle = max(0, len(data) - _SAMPLE) // 2
    sample = data[middle : middle + _SAMPLE]
    ways = zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY
    best = min(ways, key=lambda way: len(_by_way(sample, way)))
    return _by_way(data, best)


def _by_way(data: bytes, strategy: int) -> bytes:
    level = 9 if len(data) < 1_000_000 else 6
    coder = zlib.compressobj(level, zlib.DEFLATED, strategy=strategy)
    return coder.compress(data) + coder.flush()


_KINDS = {np.dtype(np.uint8): "b", np.dtype(np.float32): "f", np.dtype(np.int32): "i"}


def _kind(column: Plain) -> str:
    return _KINDS[column.dtype] if isinstance(column, np.ndarray) else "i"


def _stored(column: Plain) -> bytes:
    if _kind(column) == "i":
        numbers = np.asarray(column, "<i4")
        return _planes(np.diff(numbers, prepend=np.int32(0)).astype("<i4"))
    values = np.asarray(column)
    return _planes(values.astype("<f4")) if values.dtype == np.float32 else values.tobytes()


def _planes(words: np.ndarray[Any, Any]) -> bytes:
    """Four-byte words, their least bytes first."""
    return words.view(np.uint8).reshape(-1, 4).T.tobytes()
