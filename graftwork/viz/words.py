"""Tokens as they are shown: given as strings, or as ids and what spells them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from graftwork.ir.errors import InputError
from graftwork.viz.names import visible
from graftwork.viz.pack import Strings

LONGEST = 60


class Decoder(Protocol):
    """What spells ids, as a tokenizer of Hugging Face does."""

    def decode(self, token_ids: Any) -> str:
        """The text of one id."""
        ...


Tokenizer: TypeAlias = Decoder | Sequence[str]
"""A tokenizer, or the string of each id."""
Tokens: TypeAlias = Sequence[str] | Sequence[Sequence[str]] | tuple[Tokenizer, Any]
"""A string for each position; such a list for each example; or a tokenizer and ids."""


def spelled(tokenizer: Tokenizer, ids: Any) -> list[str]:
    """The token of each id, as it is shown.

    Raises:
        InputError: for what is no tokenizer, or an id that a list of strings does not have.
    """
    numbers = [int(i) for i in np.asarray(ids).reshape(-1)]
    if not isinstance(tokenizer, Sequence):
        if not hasattr(tokenizer, "decode"):
            raise InputError(
                f"this {type(tokenizer).__name__} spells no ids; give a tokenizer with decode(), "
                "or a list with the string of each id"
            )
        return [shown(tokenizer.decode(i)) for i in numbers]
    for i in numbers:
        if not 0 <= i < len(tokenizer):
            raise InputError(f"token {i} is none of the {len(tokenizer)} that have a string")
    return [shown(tokenizer[i]) for i in numbers]


def numbered(ids: Any, tokenizer: Tokenizer, strings: Strings) -> list[int]:
    """The tokens of ids, as numbers of strings."""
    known = {int(i): strings(spelled(tokenizer, [i])[0]) for i in np.unique(ids)}
    return [known[i] for i in np.asarray(ids).reshape(-1).tolist()]


def shown(token: str) -> str:
    """A token with everything unprintable visible; spaces are marked by the page."""
    return visible(token, LONGEST)


def words_of(tokens: Tokens, extents: dict[str, int], axis: str) -> list[list[str]]:
    """The words of an axis, one list for all examples or one for each.

    Args:
        tokens: as a caller gives them.
        extents: of the array that they are for, by `batch` and by the name of the axis.
        axis: which one they label.

    Raises:
        InputError: if their number is not that of the positions, or of the examples.
    """
    rows = _rows(tokens)
    for row in rows:
        if len(row) != extents.get(axis, len(row)):
            raise InputError(
                f"axis {axis!r} has {extents[axis]} positions, and there are {len(row)} tokens"
            )
    if len(rows) not in (1, extents.get("batch", 1)):
        raise InputError(f"there are {extents.get('batch', 1)} examples, and tokens of {len(rows)}")
    return rows


def ids_of(tokens: Tokens) -> tuple[Tokenizer, np.ndarray[Any, Any]]:
    """The tokenizer and the ids of one example.

    Raises:
        InputError: if tokens are strings, or of several examples.
    """
    if not _has_ids(tokens):
        raise InputError("logits need the ids of the tokens: give them as (tokenizer, ids)")
    tokenizer, ids = tokens
    numbers = np.asarray(ids)
    if numbers.ndim > 1 and len(numbers) != 1:
        raise InputError(f"there are ids of {len(numbers)} examples; give those of one")
    return tokenizer, numbers.reshape(-1)


def _rows(tokens: Any) -> list[list[str]]:
    if _has_ids(tokens):
        tokenizer, ids = tokens
        return [spelled(tokenizer, row) for row in np.atleast_2d(np.asarray(ids))]
    if not isinstance(tokens, Iterable) or isinstance(tokens, str):
        raise InputError(
            f"tokens are a list of strings, or (tokenizer, ids), and no {type(tokens).__name__}"
        )
    if all(isinstance(token, str) for token in tokens):
        return [[shown(token) for token in tokens]]
    return [[shown(token) for token in row] for row in tokens]


def _has_ids(tokens: Any) -> bool:
    """Whether these are a tokenizer and ids: two things, the second of whole numbers."""
    if not isinstance(tokens, tuple) or len(tokens) != 2 or isinstance(tokens[1], str):
        return False
    return np.asarray(tokens[1]).dtype.kind in "iu"
