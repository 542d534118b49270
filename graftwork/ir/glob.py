"""Dotted paths with globs: `*` matches one segment or part of one, `**` any number of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache


@cache
def compiled(pattern: str, words: frozenset[str] = frozenset()) -> re.Pattern[str]:
    """The regular expression that a glob means; `{a,b}` are alternatives.

    Args:
        words: `{word}` stands for any segment or part of one, the same everywhere: a group.
    """
    out, seen = "", set[str]()
    for segment in pattern.split("."):
        if segment == "**":
            out += r"(?:[^.]+(?:\.|$))*"
            continue
        body = r"(?=[^.])"  # no segment is empty
        for token in re.split(r"(\*|\{[^}]*\})", segment):
            word = token[1:-1]
            if token == "*":
                body += "[^.]*"
            elif token.startswith("{") and word in words:
                body += f"(?P={word})" if word in seen else f"(?P<{word}>[^.]+)"
                seen.add(word)
            elif token.startswith("{"):
                body += "(?:" + "|".join(map(re.escape, word.split(","))) + ")"
            else:
                body += re.escape(token)
        out += body + r"(?:\.|$)"
    return re.compile(out)


def matching(pattern: str, paths: Iterable[str]) -> list[str]:
    """The paths that a glob matches, in order."""
    if "*" not in pattern and "{" not in pattern:
        return [path for path in paths if path == pattern]
    whole = compiled(pattern)
    return [path for path in paths if whole.fullmatch(path) is not None]
