"""Reading the parts of a line: sizes, types, attributes and layouts."""

from __future__ import annotations

import re
from typing import Any

from graftwork.ir.attributes import Attrs, Literal
from graftwork.ir.dtypes import dtype_of
from graftwork.ir.errors import GraftworkError
from graftwork.ir.op import Op
from graftwork.ir.size_text import SizeSyntaxError, parse_size
from graftwork.ir.sizes import Size
from graftwork.ir.text.lexer import Tokens
from graftwork.ir.text.spelling import RESERVED, STRING, WORD, number, read_literal, unquote
from graftwork.ir.types import Type

_AXIS = re.compile(rf"\s*({WORD}|{STRING})\s*(,|\Z)")
_MOST_TOKENS = 200  # of attributes, to look ahead for their end


class Terms(Tokens):
    """Tokens, and what they spell; equal types and attributes are read once."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._types: dict[str, Type] = {}
        self._attrs: dict[tuple[object, ...], Attrs] = {}

    def integer(self) -> int:
        value = self.number()
        if isinstance(value, float):
            raise self.refuse(self.at - 1, "this is no integer")
        return value

    def number(self) -> int | float:
        token = self.take("number", "a number")
        try:
            return number(token)
        except ValueError as error:
            raise self.refuse(self.at - 1, error) from error

    # Sizes

    def size(self) -> Size:
        """A number, a word, or an expression in parentheses."""
        if self.kind in ("number", "word"):
            return self.size_until(self.at + 1)
        self.expect("(")
        size = self.size_until(self.closing(")"))
        self.expect(")")
        return size

    def closing(self, *marks: str) -> int:
        """The next token that is one of `marks` and stands in no parentheses."""
        depth = 0
        for at in range(self.at, len(self.words)):
            token = self.words[at]
            if depth == 0 and token in marks:
                return at
            depth += (token == "(") - (token == ")")
        return len(self.words) - 1

    def size_until(self, end: int) -> Size:
        """The expression up to a token."""
        start, self.at = self.at, end
        try:
            return parse_size(" ".join(self.words[start:end]))
        except SizeSyntaxError as error:
            raise self.refuse(start, error) from error

    # Types

    def type(self) -> Type:
        found = self._types.get(self.words[self.at])
        if found is None:
            token = self.take("type", "a type such as f32{batch, seq}")
            found = self._types[token] = self._read_type(token)
        else:
            self.at += 1
        return found

    def _read_type(self, token: str) -> Type:
        dtype, _, inside = token[:-1].partition("{")
        axes: list[str] = []
        at, more = 0, bool(inside.strip())
        while more:
            match = _AXIS.match(inside, at)
            if match is None:
                raise self.refuse(self.at - 1, "expected names of axes between the braces")
            axes.append(unquote(match[1]) if match[1][0] == '"' else match[1])
            at, more = match.end(), bool(match[2])
        return Type(dtype_of(dtype), tuple(axes))

    def layout(self, axes: tuple[str, ...]) -> tuple[str | None, ...]:
        """The positional form of a port; it may be left out where it is `axes`."""
        if not self.accept("as"):
            return axes
        self.expect("[")
        return tuple(self.list_of(self._position, "]"))

    def _position(self) -> str | None:
        return None if self.accept("1") else self.name("an axis, or 1 for a unit dimension")

    # Attributes

    def attributes(self, op: Op) -> Attrs:
        """The attributes of a node, up to its colon."""
        start = self.at
        try:
            end = self.words.index(":", start, start + _MOST_TOKENS)
        except ValueError:
            end = start
        key = (op, *self.words[start:end])
        if end > start and (known := self._attrs.get(key)) is not None:
            self.at = end
            return known
        given: dict[str, Any] = {}
        while self.kind in ("word", "string"):
            name = self.new_name(given, "attribute")
            self.expect("=")
            given[name] = self.attribute()
        try:
            attrs = op.attributes(given)
        except GraftworkError as error:
            raise self.refuse(start, error) from error
        if self.at == end:
            self._attrs[key] = attrs
        return attrs

    def attribute(self) -> Any:
        """One value, as far as its spelling says; the op's definition makes the rest of it."""
        if self.kind == "word":
            word = self.name("a value")
            return self._literal(word) if self.word in ("(", "[") else RESERVED.get(word, word)
        if self.kind == "string":
            return self.name("a value")
        if self.kind == "number":
            return self.number()
        if self.accept("["):
            return tuple(self.list_of(self.attribute, "]"))
        if self.accept("{"):
            return tuple(self.list_of(self._axis_or_pair, "}"))
        if self.word == "(":
            return self.size()
        raise self.wrong("the value of an attribute")

    def _axis_or_pair(self) -> str | tuple[str, str]:
        first = self.name("an axis")
        return (first, self.name("an axis")) if self.accept("->") else first

    def _literal(self, dtype: str) -> Literal:
        start = self.at - 1
        shape = self.list_of(self.integer, "]") if self.accept("[") else []
        self.expect("(")
        items = self.list_of(self.attribute, ")")
        try:
            return read_literal(dtype_of(dtype), tuple(shape), items)
        except (GraftworkError, ValueError) as error:
            raise self.refuse(start, error) from error
