"""What to look for in a graph: words that are data, so that recipes can hold them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import field, frozen

from graftwork.ir.errors import SelectionError


def no_place(given: object) -> SelectionError:
    """The error for what names no place."""
    return SelectionError(
        f"a place is a name or a glob, as 'blocks.{{0,3}}.attn.z', or a Selector, not {given!r}"
    )


def _word(given: Any) -> str | None:
    if given is not None and not isinstance(given, str):
        raise no_place(given)
    return given


def _names(axes: str | Iterable[str]) -> tuple[str, ...]:
    return (axes,) if isinstance(axes, str) else tuple(axes)


@frozen
class Selector:
    """What to look for. All that is given must hold.

    Attributes:
        path: a glob over canonical sites or module paths, whichever it matches.
        site: a glob over canonical sites only.
        module: a glob over module paths only: the values that leave each call of the module;
            `f@1` is the second call of `f`.
        op: an op's name, inside composites and loops too.
        axes: axes that the value must have.
        count: how many places there must be.
        parameter: a glob over the names of parameters.
        nth: only one of the places, by position.
    """

    path: str | None = field(default=None, converter=_word)
    site: str | None = field(default=None, converter=_word)
    module: str | None = field(default=None, converter=_word)
    op: str | None = field(default=None, converter=_word)
    axes: tuple[str, ...] = field(default=(), converter=_names)
    count: int | None = None
    parameter: str | None = field(default=None, converter=_word)
    nth: int | None = None

    def __str__(self) -> str:
        if self.path is not None and self == Selector(self.path):
            return repr(self.path)
        words = ("path", "site", "module", "op", "axes", "count", "parameter", "nth")
        given = [(word, getattr(self, word)) for word in words]
        return ", ".join(f"{word}={value!r}" for word, value in given if value not in (None, ()))
