"""Splitting the text of a graph into tokens, and saying where in it something is wrong.

One compiled expression does the work, and equal spellings are looked at once. A type such as
`f32{batch, seq}` is one token, since a graph has few different types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TypeVar

from graftwork.ir.dtypes import DType
from graftwork.ir.errors import TextError
from graftwork.ir.text.spelling import STRING, WORD, unquote

T = TypeVar("T")
_DTYPES = "|".join(dtype.value for dtype in DType)
_KINDS = {
    "ref": rf"[%@](?:[A-Za-z0-9_.]+|{STRING})",
    "type": rf'(?:{_DTYPES})\{{(?:[^{{}}"]|{STRING})*\}}',
    "word": WORD,
    "number": r"-?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?|-inf\b",
    "mark": r"->|<=|//|[-+*%(){}\[\],:=]",
    "origin": "![0-9]+",
    "string": STRING,
    "end": r"\Z",
}
_SPLIT = re.compile("|".join([*_KINDS.values(), r"\#[^\n]*", r"\S"]))
_KIND = re.compile("|".join(f"(?P<{kind}>{form})" for kind, form in _KINDS.items()))
_LONGEST_QUOTE = 40


class Tokens:
    """The tokens of a text, and a place among them.

    Attributes:
        text: what is read.
        words: how each token is spelled; the last is empty.
        kinds: what a spelling is: `ref`, `type`, `word`, `number`, `mark`, `origin`, `string`, or
            `end`.
        at: the token that is read next.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.words: list[str] = [word for word in _SPLIT.findall(text) if word[:1] != "#"]
        self.kinds: dict[str, str] = {}
        for word in set(self.words):
            match = _KIND.fullmatch(word)
            if match is None or match.lastgroup is None:
                self.at = self.words.index(word)
                raise self.wrong("the text of a graph")
            self.kinds[word] = match.lastgroup

    @property
    def kind(self) -> str:
        return self.kinds[self.words[self.at]]

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
        word = self.words[self.at]
        if self.kinds[word] != kind:
            raise self.wrong(what)
        self.at += 1
        return word

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
        words = self.words
        while words[self.at] != close:
            items.append(item())
            if words[self.at] != close:
                self.expect(",")
        self.at += 1
        return items

    def where(self, at: int) -> str:
        """The line and the column of a token."""
        tokens = (match for match in _SPLIT.finditer(self.text) if match[0][:1] != "#")
        start = next(islice(tokens, at, None)).start()
        line = self.text.count("\n", 0, start) + 1
        return f"line {line}, column {start - self.text.rfind(chr(10), 0, start)}"

    def wrong(self, expected: str) -> TextError:
        """The complaint that the next token is not what was expected."""
        shown = self.word[:_LONGEST_QUOTE] + "..." * (len(self.word) > _LONGEST_QUOTE)
        found = repr(shown) if shown else "the end"
        return self.refuse(self.at, f"expected {expected}, found {found}")

    def refuse(self, at: int, reason: object) -> TextError:
        """The complaint that a token, readable as it is, does not belong there."""
        return TextError(f"{self.where(at)}: {reason}")
