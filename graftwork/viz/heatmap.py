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
from graftwork.viz.contours import Level, levels_of, named
from graftwork.viz.facets import Look, faceted
from graftwork.viz.manifest import Manifest
from graftwork.viz.means import Counts, averaged
from graftwork.viz.names import visible
from graftwork.viz.pack import Strings
from graftwork.viz.sources import Source, sources_of
from graftwork.viz.view import View

MOST_EDITS, LONGEST_EDIT = 20_000, 600


def heatmap(
    values: NamedArray,
    *,
    rows: str | None = None,
    columns: str | None = None,
    mean: str | Sequence[str] = (),
    tokens: Mapping[str, Sequence[str]] | None = None,
    center: float | None = None,
    contours: bool | Sequence[float] = False,
    title: str | None = None,
) -> View:
    """A page that shows an array by two of its axes; the others have sliders or stand apart.

    A cell that is picked gives the code that makes it again. What a sweep found is coloured around
    the metric without any edit, unless that differs along an axis that was not swept.

    Args:
        values: what `Sweep.run` gives, or any named array of numbers; NaN is an empty cell.
        rows, columns: axes; if None, the first two that have several positions.
        mean: axes that cells are means over, such as `batch`. NaN is left out, and each cell says
            how many numbers it is the mean of.
        tokens: axis -> a word for each of its positions, such as the tokens of a prompt.
        center: the number that has the pale colour.
        contours: whether lines of equal numbers are shown at first, or at which numbers. The page
            has a switch for them; if none are given, they are at the center and where a tenth,
            half and nine in ten of all cells are below.

    Raises:
        InputError: if it is no named array.
        AxisError: for an axis that the array lacks, other than one word for each position, or means
            over all axes.
        DTypeError: if its elements are no real numbers.
    """
    over = (mean,) if isinstance(mean, str) else tuple(mean)
    (source,) = sources_of({"": values}, tokens or {})
    source, count = averaged(source, over) if over else (source, None)
    plain = _plain(values, over)
    look = Look(
        rows=rows,
        columns=columns,
        center=plain if center is None else center,
        levels=_levels(source, contours, center, plain),
        contoured=contours is not False,
    )
    strings, edits = Strings(), [] if _sweeps(values, over) else list(_edits(values))
    part = faceted(
        title or _title(values, source.axes) + _means(count),
        [source],
        look,
        facts={
            "plain": plain,
            "averaged": None if count is None else count.facts(),
            "edits": [strings(code) for code, _ in edits],
            "sites": [strings(site) for _, site in edits],
            "strings": strings.all(),
        },
        columns={} if count is None else {"counts": count.each.reshape(-1)},
        told=_told(count, bool(edits)),
    )
    return View.of(part, values)


def _levels(
    source: Source, contours: bool | Sequence[float], center: float | None, plain: float | None
) -> list[Level]:
    """The contours that were asked for, or those that say something, the middle one by its name."""
    if not isinstance(contours, bool):
        return named(contours)
    if center is not None:
        return levels_of(source.array, center, "the center")
    return levels_of(source.array, plain, "zero" if plain is None else "without any edit")


def _told(count: Counts | None, edits: bool) -> Manifest:
    holds = ("code and sites of edits",) if edits else ()
    if count is None:
        return Manifest(holds)
    return Manifest(holds, (f"numbers along {count.words}: cells are means",))


def _means(count: Counts | None) -> str:
    return "" if count is None else f", mean over {count.words}"


def _plain(values: NamedArray, over: Sequence[str]) -> float | None:
    """The metric without any edit, if that is one number; its mean where cells are means."""
    plain = getattr(values, "plain", None)
    if plain is None:
        return None
    array = np.asarray(plain, np.float64)
    along = tuple(i for i, axis in enumerate(plain.axes) if axis in over)
    found = array.mean(along).reshape(-1)
    return float(found[0]) if found.size and np.isfinite(found[0]) and np.ptp(found) == 0 else None


def _sweeps(values: NamedArray, over: Sequence[str]) -> bool:
    """Whether cells are means over edits, so that no single one makes them."""
    return any(axis in getattr(values, "labels", {}) for axis in over)


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
