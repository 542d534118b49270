"""Every exception that graftwork raises on purpose.

A message names the user's own words (a site, an axis, an op), where in their model the trouble
came from, and what to do. `GraftworkError` catches them all.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GraftworkError(Exception):
    """The base of all errors of this library."""


class AxisError(GraftworkError):
    """Axes that do not fit: two sizes disagree, an axis is missing, bound twice or captured."""


class AttributeTypeError(GraftworkError):
    """An op was given an attribute that its definition does not allow."""


class DTypeError(GraftworkError):
    """An op was given operands of a dtype that it is not defined on."""


class VerificationError(GraftworkError):
    """A graph breaks one of the numbered invariants of `graftwork.ir.verify`."""


class UnsupportedOpError(GraftworkError):
    """A framework's op that no frontend rule knows, or an op that a backend cannot lower."""


class ConversionError(GraftworkError):
    """A model that cannot be converted, and what in it prevents that."""


class InputError(GraftworkError):
    """Missing, extra or ill-shaped inputs of a run."""


class DeviceError(GraftworkError):
    """A device that was asked for and is not present."""


class SelectionError(GraftworkError):
    """A selector that matches nothing, too much, or is ambiguous."""


class UnreachableEditError(GraftworkError):
    """An edit that no output of the graph can ever see."""


class RewriteError(GraftworkError):
    """An edit or a rewrite rule that would make an ill-formed graph."""


class PassError(GraftworkError):
    """A pass failed; names the pass and those that ran before it."""


class TextError(GraftworkError):
    """Text that is not a graph; names the line and the column."""


class StorageError(GraftworkError):
    """A saved graph or recipe that is truncated or tampered with, or a path that cannot be used."""


def nearest(word: str, known: Iterable[str], limit: int = 3) -> str:
    """A clause for error messages that names the known words closest to `word`."""
    candidates = sorted(set(known))
    close = difflib.get_close_matches(word, candidates, n=limit, cutoff=0.5) or candidates[:limit]
    return f"; did you mean {', '.join(map(repr, close))}?" if close else ""


class RecompilationWarning(UserWarning):
    """A program is compiled again and again, because its inputs take many shapes."""
