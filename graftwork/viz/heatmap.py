"""Heat maps: what a sweep found, or any array with named axes, two axes at a time.

Of a sweep, each cell gives the code that makes its edit alone.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.viz.facets import Look, faceted
from graftwork.viz.names import visible
from graftwork.viz.pack import Strings
from graftwork.viz.sources import sources_of
from graftwork.viz.view import View

MOST_EDITS, LONGEST_EDIT = 20_000, 600


def heatmap(
    values: NamedArray,
    *,
    rows: str | None = None,
    columns: str | None = None,
    tokens: Mapping[str, Sequence[str]] | None = None,
    center: float | None = None,
    title: str | None = None,
) -> View:
    """A page that shows an array by two of its axes; the others have sliders or stand apart.

    A cell that is picked gives the code that makes it again. What a sweep found is coloured around
    the metric without any edit, unless that differs along an axis that was not swept.

    Args:
        values: what `Sweep.run` gives, or any named array of numbers; NaN is an empty cell.
        rows, columns: axes; if None, the first two that have several positions.
        tokens: axis -> a word for each of its positions, such as the tokens of a prompt.
        center: the number that has the pale colour.

    Raises:
        InputError: if it is no named array.
        AxisError: for an axis that the array lacks, or other than one word for each position.
        DTypeError: if its elements are no real numbers.
    """
    (source,) = sources_of({"": values}, tokens or {})
    middle = _plain(values) if center is None else center
    strings, edits = Strings(), list(_edits(values))
    part = faceted(
        title or _title(values, source.axes),
        [source],
        Look(rows=rows, columns=columns, center=middle),
        facts={
            "plain": _plain(values),
            "edits": [strings(code) for code, _ in edits],
            "sites": [strings(site) for _, site in edits],
            "strings": strings.all(),
        },
    )
    return View.of(part, values)


def _plain(values: NamedArray) -> float | None:
    """The metric without any edit, if that is one number."""
    plain = getattr(values, "plain", None)
    array = np.asarray(plain if plain is not None else [], np.float64).reshape(-1)
    return float(array[0]) if array.size and np.isfinite(array[0]) and np.ptp(array) == 0 else None


def _title(values: NamedArray, names: Sequence[str]) -> str:
    template = getattr(values, "template", None)
    what = f"{type(template.applied).__name__}: " if template is not None else ""
    return what + " × ".join(names)


def _edits(values: NamedArray) -> Iterator[tuple[str, str]]:
    """The code of each edit of a sweep and its site, in the order of the swept axes."""
    edit: Callable[..., object] | None = getattr(values, "edit", None)
    labels: Mapping[str, Sequence[Any]] = getattr(values, "labels", {})
    if edit is None or np.prod([len(words) for words in labels.values()]) > MOST_EDITS:
        return
    for choice in product(*labels.values()):
        words = dict(zip(labels, choice, strict=True))
        applied = edit(**words)
        site = getattr(applied, "site", "")
        yield visible(_code(applied, words)), site if isinstance(site, str) else ""


def _code(applied: object, words: Mapping[str, Any]) -> str:
    """What makes an edit: by itself if it is short and plain; else by the sweep's result.

    An edit that holds arrays or other objects has no text that Python reads back.
    """
    written = repr(applied)
    if len(written) <= LONGEST_EDIT and sum(isinstance(n, ast.Call) for n in _parsed(written)) == 1:
        return f"graph.apply(p.{written})"
    named = ", ".join(f"{word}={value!r}" for word, value in words.items())
    return f"graph.apply(effect.edit({named}))"


def _parsed(text: str) -> Iterator[ast.AST]:
    try:
        yield from ast.walk(ast.parse(text, mode="eval"))
    except SyntaxError:
        return
