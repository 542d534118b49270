"""Showing text that anyone may have written, and that may have been written to do harm.

What is not printable (control and direction marks, lone surrogates, line separators) is shown as
an escape, so that a name looks like what it is; and a name as long as a book is cut.
"""

from __future__ import annotations

import re

from graftwork.ir.attributes import AXIS_MAP, Attrs, Kind, Literal
from graftwork.ir.dtypes import DType
from graftwork.ir.op import Op
from graftwork.ir.sizes import Size, symbol

LONGEST = 2_000
HIDDEN = "…"
_CALLED = re.compile(r"[^\W\d]\w*(?:\.\w+)*")


def visible(text: str, limit: int = LONGEST) -> str:
    """The text with everything unprintable escaped, and cut after `limit` characters."""
    if len(text) <= limit:
        return text if text.isprintable() else _escaped(text)
    return f"{_escaped(text[:limit])}… ({len(text):,} characters)"


def _escaped(text: str) -> str:
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()


def bare(name: str) -> str:
    """What a pass is called, without its arguments: `Scale` of `Scale(factor=2.0)`."""
    found = _CALLED.match(name)
    return found[0] if found else "pass"


def sized(axis: str, size: Size) -> str:
    """`embed:768`; an axis whose size is the symbol of its own name is just `seq`."""
    if not isinstance(size, int) and axis.isprintable() and size == symbol(axis):
        return axis
    return f"{visible(axis)}:{visible(str(size))}"


def attribute_words(op: Op, attrs: Attrs, values: bool = True) -> list[tuple[str, str]]:
    """The attributes of a node in words, those left out that have their default value.

    Args:
        values: whether numbers, constants and free text are told; else only that they are there.
    """
    words = []
    for spec, (name, value) in zip(op.attrs, attrs.items, strict=True):
        if spec.default is not ... and Attrs(((name, value),)) == _default(op.name, name, spec):
            continue
        if not values and not _is_structure(spec.kind, value):
            words.append((name, HIDDEN))
            continue
        maps = spec.kind is AXIS_MAP
        words.append((name, visible(_mapping(value) if maps else _word(value))))
    return words


def _is_structure(kind: Kind, value: object) -> bool:
    """Whether an attribute says what is computed over which axes, as sizes, places and words of a
    fixed list do, and not with which numbers.
    """
    if tuple(kind.axes(value)) or kind.name.startswith("one of "):
        return True
    items = value if isinstance(value, tuple) else (value,)
    return not any(isinstance(item, str | float | Literal | tuple) for item in items)


def _default(op: str, name: str, spec: object) -> Attrs:
    return Attrs(((name, spec.coerce(op, spec.default)),))  # type: ignore[attr-defined]


def _mapping(value: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{old} → {new}" for old, new in value)


def _word(value: object) -> str:
    match value:
        case None | bool():
            return str(value).lower()
        case DType():
            return value.value
        case Literal():
            return literal_word(value)
        case tuple():
            return ", ".join(map(_word, value))
    return str(value)


def literal_word(literal: Literal, values: bool = True) -> str:
    """A constant: its number, or its dtype and shape where there are many or values are hidden."""
    if values and literal.array.size == 1:
        number = literal.array.reshape(-1)[0]
        return str(number).lower() if literal.dtype is DType.boolean else f"{number}"
    shape = ", ".join(map(str, literal.shape))
    return f"{literal.dtype.value}[{shape}]"
