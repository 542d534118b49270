"""Reading sizes from text: Python's arithmetic on integers and symbols, as `str` writes them."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable

from graftwork.ir.errors import GraftworkError
from graftwork.ir.sizes import Size, maximum, minimum, symbol


class SizeSyntaxError(GraftworkError, ValueError):
    """A text is not a size; `column` (from 1) says where."""

    def __init__(self, reason: str, text: str, column: int) -> None:
        super().__init__(f"{reason} at column {column} of size {text!r}")
        self.text = text
        self.column = column


_TOKEN = re.compile(
    r'\s*(?:(?P<int>[0-9]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<quoted>"(?:[^"\\]|\\.)*")'
    r"|(?P<mark>//|[-+*%(),])|(?P<end>\Z)|(?P<unknown>.))"
)
_LITERALS: dict[str | None, Callable[[str], Size]] = {
    "int": int,
    "name": symbol,
    "quoted": lambda token: symbol(json.loads(token)),
}
_INFIX: dict[str, tuple[int, Callable[[Size, Size], Size]]] = {
    "+": (1, operator.add),
    "-": (1, operator.sub),
    "*": (2, operator.mul),
    "//": (2, operator.floordiv),
    "%": (2, operator.mod),
}
_CALLS: dict[str, Callable[..., Size]] = {"min": minimum, "max": maximum}
_MAX_DEPTH = 64


def parse_size(text: str) -> Size:
    """The size that `text` writes; ``parse_size(str(size)) == size``.

    Operators are Python's. Raises SizeSyntaxError, also for a division by 0 and for nesting
    deeper than 64.
    """
    tokens = [*_TOKEN.finditer(text)][::-1]
    size = _read(tokens, 1, 0)
    if tokens[-1].lastgroup != "end":
        raise _syntax_error("expected an operator", tokens[-1])
    return size


def _read(tokens: list[re.Match[str]], level: int, depth: int) -> Size:
    """Operands joined by operators that bind at least as tightly as `level`."""
    size = _read_operand(tokens, depth)
    while (found := _INFIX.get(_token(tokens[-1]))) and found[0] >= level:
        mark = tokens.pop()
        right = _read(tokens, found[0] + 1, depth)
        try:
            size = found[1](size, right)
        except ZeroDivisionError:
            raise _syntax_error("division by 0", mark) from None
    return size


def _read_operand(tokens: list[re.Match[str]], depth: int) -> Size:
    sign = 1
    while _token(match := tokens.pop()) == "-":
        sign = -sign
    token = _token(match)
    if token in ("(", "min", "max"):
        return sign * _read_group(match, tokens, depth + 1)
    if match.lastgroup not in _LITERALS:
        raise _syntax_error("expected a size", match)
    try:
        return sign * _LITERALS[match.lastgroup](token)
    except ValueError:
        raise _syntax_error("unreadable literal", match) from None


def _read_group(opening: re.Match[str], tokens: list[re.Match[str]], depth: int) -> Size:
    """The rest of a parenthesis or of a call."""
    if depth > _MAX_DEPTH:
        raise _syntax_error(f"nested deeper than {_MAX_DEPTH}", opening)
    call = _CALLS.get(_token(opening))
    if call and _token(mark := tokens.pop()) != "(":
        raise _syntax_error("expected '('", mark)
    sizes = [_read(tokens, 1, depth)]
    while call and _token(tokens[-1]) == ",":
        tokens.pop()
        sizes.append(_read(tokens, 1, depth))
    if _token(mark := tokens.pop()) != ")":
        raise _syntax_error("expected ')'", mark)
    return call(*sizes) if call else sizes[0]


def _token(match: re.Match[str]) -> str:
    return match[match.lastgroup or 0]


def _syntax_error(reason: str, match: re.Match[str]) -> SizeSyntaxError:
    column = match.start(match.lastgroup or 0) + 1
    return SizeSyntaxError(f"{reason}, found {_token(match) or 'the end'!r}", match.string, column)
