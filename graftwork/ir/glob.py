"""Dotted paths with globs: `*` matches one segment or part of one, `**` any number of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression that a glob means; `{a,b}` are alternatives."""
    out = ""
    for segment in pattern.split("."):
        if segment == "**":
            out += r"(?:[^.]+(?:\.|$))*"
            continue
        body = r"(?=[^.])"  # no segment is empty
        for token in re.split(r"(\*|\{[^}]*\})", segment):
            if token == "*":
                body += "[^.]*"
            elif token.startswith("{"):
                body += "(?:" + "|".join(map(re.escape, token[1:-1].split(","))) + ")"
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
