"""Heat maps: what a sweep found, or any array with named axes, two axes at a time.

Of a sweep, each cell gives the code that makes its edit alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from graftwork.ir.array import NamedArray
from graftwork.ir.errors import AxisError, nearest
from graftwork.viz.gridded import grid_svg
from graftwork.viz.names import visible
from graftwork.viz.pack import Column, Strings, packed
from graftwork.viz.part import Part
from graftwork.viz.scales import Scale, scale
from graftwork.viz.view import View

Array = np.ndarray[Any, Any]
MOST_EDITS = 20_000


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
        rows, columns: axes; if None, the first two.
        tokens: axis -> a word for each of its positions, such as the tokens of a prompt.
        center: the number that has the pale colour.

    Raises:
        AxisError: for an axis that the array lacks, or other than one word for each position.
    """
    array = np.asarray(values.squeeze(), np.float64)
    names = tuple(map(str, values.squeeze().axes))
    if not names or not array.size:
        raise AxisError(f"an array of the sizes {values.sizes} has no cells to show")
    labels = {name: _labels(values, name, tokens or {}) for name in names}
    for name in {*(tokens or {}), *filter(None, (rows, columns))} - set(names):
        raise AxisError(f"no axis {name!r} among {list(names)}{nearest(name, names)}")
    first, second = _shown(names, rows, columns)
    middle = _plain(values) if center is None else center
    colours = scale(array, middle)
    words = title or _title(values, names)
    still = _still(array, names, labels, first, second)
    svg = grid_svg(visible(words, 200), *still, colours)
    data = _data(values, array, labels, (first, second), colours, visible(words, 200))
    return View.of(Part("heatmap", visible(words, 200), data, svg, height=520), values)


def _labels(values: NamedArray, axis: str, tokens: Mapping[str, Sequence[str]]) -> list[str]:
    """A word for each position: a token behind its number, what was swept, or the number."""
    extent = values.sizes[axis]
    swept: Sequence[object] = getattr(values, "labels", {}).get(axis, range(extent))
    if axis not in tokens:
        return [visible(str(label), 60) for label in swept]
    words = tokens[axis]
    if not len(swept) == extent <= len(words):
        raise AxisError(f"axis {axis!r} has {extent} positions, and tokens= {len(words)} words")
    at = [label if isinstance(label, int) else i for i, label in enumerate(swept)]
    return [f"{i} {visible(words[i], 60)}" for i in at]


def _shown(names: Sequence[str], rows: str | None, columns: str | None) -> tuple[str, str | None]:
    """The axes of the rows and of the columns; no columns for an array with one axis."""
    if len(names) == 1:
        return names[0], None
    first = rows or next(name for name in names if name != columns)
    return first, columns or next(name for name in names if name != first)


def _plain(values: NamedArray) -> float | None:
    """The metric without any edit, if that is one number."""
    plain = getattr(values, "plain", None)
    array = np.asarray(plain if plain is not None else [], np.float64)
    return float(array.reshape(-1)[0]) if array.size and np.ptp(array) == 0 else None


def _title(values: NamedArray, names: Sequence[str]) -> str:
    template = getattr(values, "template", None)
    what = f"{type(template.applied).__name__}: " if template is not None else ""
    return what + " × ".join(names)


def _still(
    array: Array,
    names: Sequence[str],
    labels: Mapping[str, list[str]],
    first: str,
    second: str | None,
) -> tuple[Array, list[str], list[str]]:
    """The matrix at the first positions of all other axes, with its labels."""
    if second is None:
        return array[:, None], labels[first], [""]
    key = tuple(slice(None) if name in (first, second) else 0 for name in names)
    matrix = array[key]
    matrix = matrix if names.index(first) < names.index(second) else matrix.T
    return matrix, labels[first], labels[second]


def _data(
    values: NamedArray,
    array: Array,
    labels: Mapping[str, list[str]],
    shown: tuple[str, str | None],
    colours: Scale,
    title: str,
) -> str:
    strings = Strings()
    edits = list(_edits(values))
    facts = {
        "title": title,
        "axes": [[visible(name), repr(name), words] for name, words in labels.items()],
        "rows": list(labels).index(shown[0]),
        "columns": -1 if shown[1] is None else list(labels).index(shown[1]),
        "scale": colours.facts(),
        "plain": _plain(values),
    }
    columns: dict[str, Column] = {
        "numbers": array.astype(np.float32).reshape(-1),
        "edit": [strings(code) for code, _ in edits],
        "site": [strings(site) for _, site in edits],
    }
    return packed({**facts, "strings": strings.all()}, columns)


def _edits(values: NamedArray) -> Iterator[tuple[str, str]]:
    """The code of each edit of a sweep and its site, in the order of the swept axes."""
    edit: Callable[..., object] | None = getattr(values, "edit", None)
    labels: Mapping[str, Sequence[object]] = getattr(values, "labels", {})
    if edit is None or np.prod([len(words) for words in labels.values()]) > MOST_EDITS:
        return
    for choice in product(*labels.values()):
        applied = edit(**dict(zip(labels, choice, strict=True)))
        site = getattr(applied, "site", "")
        yield visible(f"graph.apply(p.{applied!r})", 600), site if isinstance(site, str) else ""
