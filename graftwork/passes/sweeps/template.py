"""The words of a sweep: what is left open in a pass, and every way to fill it in.

`Patch("blocks.{layer}.attn.z", where={"heads": each}, source="clean")` leaves open a layer, which
is a word in a path, and a head, which is `each` position of an axis. Anything else is swept with
`each("scale", (1.0, 2.0))`. Positions and arrays are what runs tell apart by number: one edit of
the graph holds all of them; for anything else there is an edit for each way to fill it in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from attrs import evolve, frozen

from graftwork.ir.calls import modules
from graftwork.ir.errors import InputError, SelectionError, nearest
from graftwork.ir.glob import compiled
from graftwork.ir.graph import Graph
from graftwork.ir.selector import Selector
from graftwork.passes.base import Pass
from graftwork.passes.edit import OneOf
from graftwork.passes.positions import Swept
from graftwork.passes.spans import blocks

Word = str | int
Choice = Mapping[str, Any]
"""A value for each open word."""


@frozen
class Each:
    """Every value of something: of a position in `where=` if it stands there, else those given.

    Attributes:
        word: what the swept axis of the result is called; in `where=` its word there if None.
        values: what it takes; in `where=` all positions of the axis if None.
    """

    word: str | None = None
    values: tuple[Any, ...] | None = None

    def __call__(self, *given: Any) -> Each:
        """`each("scale", (1.0, 2.0))`, or for positions `each((3, 4, 5))`.

        Raises:
            InputError: for values that cannot be listed, or none.
        """
        word = given[0] if given and isinstance(given[0], str) else None
        rest = given[1:] if word is not None else given
        if len(rest) > 1 or not (given and all(hasattr(values, "__iter__") for values in rest)):
            raise InputError("each takes a name, values, or both: each('scale', (1.0, 2.0))")
        values = tuple(rest[0]) if rest else None
        if values == ():
            raise InputError("each() of no values sweeps nothing")
        return Each(word, values)


each = Each()

_OPEN = re.compile(r"\{(\w+)\}")


@frozen(eq=False)
class Template:
    """A pass with open words.

    Attributes:
        applied: the pass.
        choices: what the words in its paths and its other fields may be, all together, in order.
        positions: word -> the axis word and the positions of what is swept in `where=`, or of
            arrays, which count as positions of an axis of their own; None for all of the axis.
    """

    applied: Pass
    choices: tuple[Choice, ...]
    positions: Mapping[str, tuple[str, tuple[int, ...] | None]]

    def filled(self, choice: Choice, positions: Mapping[str, Any]) -> Pass:
        """The pass with its words filled in."""
        filled: Pass = _map(self.applied, _Filling(choice, positions))
        return filled


def template(graph: Graph, applied: Pass) -> Template:
    """Read the open words of a pass.

    Raises:
        SelectionError: if nothing in the model fits a path with open words.
        InputError: if nothing is open.
    """
    found = _Reading()
    _map(applied, found)
    known = _paths(graph)
    choices: list[dict[str, Any]] = [{}]
    for path in dict.fromkeys(found.paths):
        choices = list(_joined(choices, _matches(path, known)))
        if not choices:
            raise SelectionError(f"nothing fits {path!r}{nearest(path, known)}")
    for word, values in found.values.items():
        choices = [{**choice, word: value} for choice in choices for value in values]
    if not found.paths and not found.values and not found.positions:
        raise InputError(
            f"{applied!r} leaves nothing open to sweep over; write a word in a path, "
            "'blocks.{layer}.resid_pre', or where={'seq': gw.each}"
        )
    return Template(applied, tuple(choices), found.positions)


def _paths(graph: Graph) -> list[str]:
    """Whatever a pass may be given a path of: sites, spans, blocks, modules, parameters."""
    named = [*graph.sites, *graph.sites.spans, *blocks(graph), *modules(graph)]
    return named + [parameter.name for parameter in graph.parameters]


def _matches(path: str, known: Iterable[str]) -> Iterator[dict[str, Word]]:
    """What the words of a path are in the paths that fit it."""
    words = _OPEN.findall(path)
    glob = compiled(path, frozenset(words))
    fits = (glob.fullmatch(name) for name in known)
    found = (tuple(match[word] for word in words) for match in fits if match is not None)
    for each in dict.fromkeys(found):
        yield {word: _natural(text) for word, text in zip(words, each, strict=True)}


def _natural(text: str) -> Word:
    return int(text) if text.isdecimal() else text


def _joined(
    choices: Sequence[dict[str, Any]], found: Iterable[dict[str, Word]]
) -> Iterator[dict[str, Any]]:
    """Choices that agree with what another path leaves them."""
    listed = list(found)
    for choice in choices:
        for other in listed:
            if all(choice.get(word, value) == value for word, value in other.items()):
                yield choice | other


class _Reading:
    """Finds the open words."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.values: dict[str, tuple[Any, ...]] = {}
        self.positions: dict[str, tuple[str, tuple[int, ...] | None]] = {}

    def text(self, text: str) -> str:
        if _OPEN.search(text):
            self.paths.append(text)
        return text

    def each(self, found: Each, where: str | None) -> Any:
        if where is not None:
            self.positions[found.word or where] = (where, found.values)
            return found
        if found.word is None or found.values is None:
            raise InputError("outside of where=, each takes a name and values: each('scale', ...)")
        if not any(map(_is_array, found.values)):
            self.values[found.word] = found.values
            return found
        shapes = {np.shape(array) for array in found.values}
        if len(shapes) > 1:
            raise InputError(
                f"each({found.word!r}, ...) lists arrays of several shapes, {sorted(shapes)}; "
                "sweep those of one shape together"
            )
        self.positions[found.word] = (found.word, None)
        return found


def _is_array(value: Any) -> bool:
    return bool(getattr(value, "shape", ()))


@frozen(eq=False)
class _Filling:
    """Puts something in the place of the open words."""

    choice: Choice
    positions: Mapping[str, Any]

    def text(self, text: str) -> str:
        return _OPEN.sub(lambda match: str(self.choice[match[1]]), text)

    def each(self, found: Each, where: str | None) -> Any:
        word = str(found.word or where)
        if where is None and word in self.choice:
            return self.choice[word]
        at = self.positions[word]
        if where is not None:
            return at
        arrays = found.values or ()
        return OneOf(at.name, arrays) if isinstance(at, Swept) else arrays[at]


def _map(value: Any, change: _Reading | _Filling, where: str | None = None) -> Any:
    """A pass, or a part of one, with its open words changed; `where` is a position's axis word."""
    if isinstance(value, Each):
        return change.each(value, where)
    if isinstance(value, str):
        return change.text(value)
    if isinstance(value, Mapping):
        return {k: _map(v, change, k if isinstance(k, str) else None) for k, v in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_map(part, change, where) for part in value)
    if isinstance(value, Pass | Selector):
        record: Any = value
        fields = {f.name: getattr(record, f.name) for f in attrs.fields(type(record)) if f.init}
        new = {name: _map(part, change) for name, part in fields.items()}
        changed = {k: v for k, v in new.items() if v is not fields[k]}
        return evolve(record, **changed) if changed else record
    return value
