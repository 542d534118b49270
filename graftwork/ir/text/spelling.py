"""How names, sizes and numbers are spelled in the text form, and read back exactly.

Whatever a name holds (quotes, newlines, control and direction marks, lone surrogates), its
spelling is printable and stays on its line.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from graftwork.ir.attributes import Literal
from graftwork.ir.dtypes import DType
from graftwork.ir.sizes import Size

RESERVED = {
    "none": None,
    "true": True,
    "false": False,
    "nan": float("nan"),
    "inf": float("inf"),
}
_CODE = "x[0-9a-f]{2}|u[0-9a-f]{4}|U000[0-9a-f]{5}|U0010[0-9a-f]{4}"
STRING = rf'"(?:[^"\\\x00-\x1f\x7f]|\\(?:["\\/bfnrt]|{_CODE}))*"'
WORD = r"[A-Za-z_][A-Za-z0-9_.]*"

_is_word = re.compile(WORD).fullmatch
_is_key = re.compile(r"[A-Za-z0-9_.]+").fullmatch
_ESCAPE = re.compile(r"\\(?:x(..)|u(.{4})|U(.{8})|(.))")
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_MOST_ELEMENTS = 32


def quote(text: str) -> str:
    """The text in double quotes, with everything escaped that is not printable."""
    return '"' + "".join(map(_escape, text)) + '"'


def _escape(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if char.isprintable() else char.encode("unicode_escape").decode()


def unquote(token: str) -> str:
    """The text that a token of the form `STRING` spells."""
    return _ESCAPE.sub(_unescape, token[1:-1]) if "\\" in token else token[1:-1]


def _unescape(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    return chr(int(code, 16)) if code else _CONTROLS.get(match[4], match[4])


def word(name: str) -> str:
    """A name: bare where it is a plain word, else in quotes."""
    return name if _is_word(name) and name not in RESERVED else quote(name)


def reference(sigil: str, name: str) -> str:
    """A value `%x` or a parameter `@x`; the names of parameters may start with a digit."""
    bare = _is_key(name) if sigil == "@" else _is_word(name)
    return sigil + (name if bare else quote(name))


def size_text(size: Size) -> str:
    """A size inside a line: a number, a plain word, or an expression in parentheses."""
    text = str(size)
    plain = isinstance(size, int) or (_is_word(text) and text not in RESERVED)
    return text if plain else f"({text})"


def number(token: str) -> int | float:
    """The number that a token spells.

    Raises:
        ValueError: for an integer too long to be meant.
    """
    return float(token) if any(mark in token for mark in ".en") else int(token)


def literal_text(literal: Literal) -> str:
    """A constant, compactly and bit-exactly."""
    shape = f"[{', '.join(map(str, literal.shape))}]" if literal.shape else ""
    return f"{literal.dtype.value}{shape}({_body(literal)})"


def _body(literal: Literal) -> str:
    flat = literal.array.reshape(-1)
    if literal.data == literal.data[: flat.itemsize] * flat.size:
        flat = flat[:1]
    if flat.size <= _MOST_ELEMENTS:
        tokens = [_element(x, literal.dtype) for x in flat]
        items = [RESERVED[t] if t in RESERVED else number(t) for t in tokens]
        if read_literal(literal.dtype, literal.shape, items) == literal:  # a NaN may have a payload
            return ", ".join(tokens)
    return quote(base64.b64encode(literal.data).decode())


def _element(x: Any, dtype: DType) -> str:
    token = str(x).lower()
    return token if not dtype.is_float or any(mark in token for mark in ".en") else f"{token}.0"


def read_literal(dtype: DType, shape: tuple[int, ...], items: Sequence[Any]) -> Literal:
    """A constant of all its elements in order, of one repeated, or of its bytes in base64.

    Raises:
        ValueError: if the elements do not fit the dtype or their number the shape.
    """
    count = math.prod(shape)
    if len(items) == 1 and isinstance(items[0], str):
        data = base64.b64decode(items[0], validate=True)
        if len(data) != count * dtype.numpy.itemsize:
            raise ValueError(f"{len(data)} bytes are no {dtype.value} of shape {shape}")
        return Literal(dtype, shape, data)
    kinds = {bool} if dtype is DType.boolean else {int, float} if dtype.is_float else {int}
    if not {type(item) for item in items} <= kinds:
        raise ValueError(f"the elements are no {dtype.value}")
    if len(items) not in (1, count):
        raise ValueError(f"{len(items)} elements do not fill the shape {shape}")
    try:
        with np.errstate(all="ignore"):
            array = np.array(items, dtype.numpy)
        return Literal(dtype, shape, array.tobytes() * (count if len(items) == 1 else 1))
    except (OverflowError, MemoryError) as error:
        raise ValueError(str(error) or "too many elements") from error
