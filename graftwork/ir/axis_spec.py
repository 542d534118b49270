"""The little language in which callers name the axes of their inputs: `"batch seq"`.

Words stand for the dimensions in order. `seq` names a dynamic axis; `batch=1` names one and fixes
its size; `_` leaves a dimension unnamed and its size as the sample has it; `1` says that it is a
unit dimension. The frontends share this parser, and one convention: axes that nobody has named yet
are spelled `_0`, `_1`, ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from graftwork.ir.errors import AxisError, InputError, nearest

_WORD = re.compile(r"(?P<name>[^\W\d]\w*)(=(?P<size>\d+))?|(?P<unit>1)")
_UNNAMED = re.compile(r"_\d+")


@frozen
class AxisWord:
    """What a caller said of one dimension.

    Attributes:
        name: the axis, or None where the dimension has no name.
        size: the size that the axis is fixed to, or None.
    """

    name: str | None = None
    size: int | None = None


def is_unnamed(axis: str) -> bool:
    """Whether a frontend made this axis up, so that a better name may replace it."""
    return _UNNAMED.fullmatch(axis) is not None


def unnamed(number: int) -> str:
    """The axis that a frontend makes up."""
    return f"_{number}"


def parse_axes(text: str) -> tuple[AxisWord, ...]:
    """What `"batch=1 seq _"` says of each dimension.

    Raises:
        AxisError: for a word that is no axis, or one that occurs twice.
    """
    if not isinstance(text, str):
        raise AxisError(f'axes are written as "batch seq", not {text!r}')
    words: list[AxisWord] = []
    for word in text.split():
        match = _WORD.fullmatch(word)
        if match is None or is_unnamed(word):
            raise AxisError(
                f"{word!r} in axes {text!r} is no axis; write a name (seq), a name with a fixed "
                "size (batch=1), _ for an unnamed dimension or 1 for a unit one"
            )
        name, size = match["name"], match["size"]
        if name is None:
            words.append(AxisWord(None, 1))
        elif name == "_":
            words.append(AxisWord(None, None if size is None else int(size)))
        elif any(name == other.name for other in words):
            raise AxisError(f"axes {text!r} name {name!r} twice; one name is one axis")
        else:
            words.append(AxisWord(name, None if size is None else int(size)))
    return tuple(words)


def match_axes(
    axes: Mapping[str | int, str],
    shapes: Mapping[str, Sequence[int]],
    positions: Sequence[str],
) -> dict[str, tuple[AxisWord, ...]]:
    """What a caller's `axes=` says of each array among the arguments that it mentions.

    Args:
        axes: argument name, position or dotted path -> axes in words. A path to something that
            holds arrays speaks of all of them.
        shapes: dotted path -> shape of the sample, of every array.
        positions: the names of the arguments, in order.

    Raises:
        InputError: if no argument has that name or position.
        AxisError: if words and shapes disagree, within an array or between two.
    """
    found: dict[str, tuple[AxisWord, ...]] = {}
    for key, text in axes.items():
        words = parse_axes(text)
        for path in _paths(key, shapes, positions):
            _check(path, text, words, shapes[path])
            found[path] = words
    _check_shared(found, shapes)
    return found


def _paths(
    key: str | int, shapes: Mapping[str, Sequence[int]], positions: Sequence[str]
) -> list[str]:
    if isinstance(key, int):
        if not 0 <= key < len(positions):
            raise InputError(f"axes= names argument {key}, but there are {len(positions)}")
        key = positions[key]
    paths = [path for path in shapes if path == key or path.startswith(f"{key}.")]
    if not paths:
        raise InputError(f"axes= names {key!r}, which is no array argument{nearest(key, shapes)}")
    return paths


def _check(path: str, text: str, words: Sequence[AxisWord], shape: Sequence[int]) -> None:
    if len(words) != len(shape):
        raise AxisError(
            f"axes {text!r} of {path!r} have {len(words)} words, "
            f"but the sample has {len(shape)} dimensions {tuple(shape)}"
        )
    for word, extent in zip(words, shape, strict=True):
        if word.size is not None and word.size != extent:
            what = "a dimension" if word.name is None else f"axis {word.name!r}"
            raise AxisError(
                f"axes {text!r} of {path!r} fix {what} to {word.size}, but the sample has {extent}"
            )


def _check_shared(
    found: Mapping[str, Sequence[AxisWord]], shapes: Mapping[str, Sequence[int]]
) -> None:
    first: dict[str, tuple[str, int]] = {}
    for path, words in found.items():
        for word, extent in zip(words, shapes[path], strict=True):
            if word.name is None:
                continue
            other, known = first.setdefault(word.name, (path, extent))
            if known != extent:
                raise AxisError(
                    f"axis {word.name!r} has size {known} in {other!r} but {extent} in {path!r}"
                )


def fixed_sizes(words: Iterable[Sequence[AxisWord]]) -> dict[str, int]:
    """The axes that a caller fixed anywhere, and their sizes."""
    return {
        word.name: word.size
        for each in words
        for word in each
        if word.name is not None and word.size is not None
    }
