"""Splitting the text of a graph into tokens, and saying where in it something is wrong.

One compiled expression does the work, so the cost is that of `re`. A type such as
`f32{batch, seq}` is one token: few different types make up a graph, so each is read once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from graftwork.ir.dtypes import DType
from graftwork.ir.errors import TextError
from graftwork.ir.text.spelling import STRING, WORD, unquote

T = TypeVar("T")
_DTYPES = "|".join(dtype.value for dtype in DType)
_TOKEN = re.compile(
    rf"""
    (?:\s+|\#[^\n]*)*
    (?:
        (?P<ref>[%@](?:[A-Za-z0-9_.]+|{STRING}))
      | (?P<type>(?:{_DTYPES})\{{(?:[^{{}}"]|{STRING})*\}})
      | (?P<word>{WORD})
      | (?P<number>-?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?|-inf\b)
      | (?P<mark>->|<=|//|[-+*%(){{}}\[\],:=])
      | (?P<origin>![0-9]+)
      | (?P<string>{STRING})
      | (?P<end>\Z)
      | (?P<unknown>.)
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_LONGEST_QUOTE = 40


class Tokens:
    """The tokens of a text, and a place among them.

    Attributes:
        kinds: what each token is: `ref`, `type`, `word`, `number`, `mark`, `origin`, `string`, and
            `end` after the last.
        words: how each is spelled.
        starts: where in the text each begins.
        at: the token that is read next.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.kinds: list[str] = []
        self.words: list[str] = []
        self.starts: list[int] = []
        self.at = 0
        for match in _TOKEN.finditer(text):
            kind = match.lastgroup or ""
            self.kinds.append(kind)
            self.words.append(match[kind])
            self.starts.append(match.start(kind))
            if kind == "unknown":
                self.at = len(self.kinds) - 1
                raise self.wrong("the text of a graph")

    @property
    def kind(self) -> str:
        return self.kinds[self.at]

    @property
    def word(self) -> str:
        return self.words[self.at]

    def accept(self, word: str) -> bool:
        """Take the next token if it is `word`."""
        if self.words[self.at] != word:
            return False
        self.at += 1
        return True

    def expect(self, word: str) -> None:
        """Take the next token, which must be `word`."""
        if self.words[self.at] != word:
            raise self.wrong(repr(word))
        self.at += 1

    def take(self, kind: str, what: str) -> str:
        """Take the next token, which must be of a kind."""
        if self.kinds[self.at] != kind:
            raise self.wrong(what)
        self.at += 1
        return self.words[self.at - 1]

    def name(self, what: str) -> str:
        """Take a name: a word, or any text in quotes."""
        token = self.take("string" if self.kind == "string" else "word", what)
        return unquote(token) if token[0] == '"' else token

    def new_name(self, known: Mapping[str, object], what: str) -> str:
        """Take a name that is not in `known`."""
        start = self.at
        name = self.name(f"the name of {what}")
        if name in known:
            raise self.refuse(start, f"{what} {name!r} stands here twice")
        return name

    def list_of(self, item: Callable[[], T], close: str) -> list[T]:
        """Take items between commas, up to a closing mark; a comma may stand before that."""
        items: list[T] = []
        while not self.accept(close):
            items.append(item())
            if self.word != close:
                self.expect(",")
        return items

    def where(self, at: int) -> str:
        """The line and the column of a token."""
        start = self.starts[at]
        line = self.text.count("\n", 0, start) + 1
        return f"line {line}, column {start - self.text.rfind(chr(10), 0, start)}"

    def wrong(self, expected: str) -> TextError:
        """The complaint that the next token is not what was expected."""
        word = self.word
        shown = word if len(word) <= _LONGEST_QUOTE else f"{word[:_LONGEST_QUOTE]}..."
        return self.refuse(self.at, f"expected {expected}, found {shown or 'the end'!r}")

    def refuse(self, at: int, reason: object) -> TextError:
        """The complaint that a token, readable as it is, does not belong there."""
        return TextError(f"{self.where(at)}: {reason}")
