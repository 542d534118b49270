"""Arrays by named axes, two at a time: what heat maps and pictures of arrays share.

The page chooses which axes are rows, columns and small multiples; the others have sliders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.viz.contours import Level
from graftwork.viz.gridded import grid_svg
from graftwork.viz.manifest import EMPTY, WORDS, Manifest, Numbers
from graftwork.viz.names import visible
from graftwork.viz.pack import Column, packed
from graftwork.viz.part import Part
from graftwork.viz.pooled import Pool, pooled
from graftwork.viz.scales import Scale, scale
from graftwork.viz.sources import Source, require_axes
from graftwork.viz.stored import STEPS, Kept, columns_of, kept, step
from graftwork.viz.summary import summary

Array = np.ndarray[Any, Any]
FEW = 32
_STILL = 48
_SHELL_BYTES = 150_000


@frozen(eq=False)
class Look:
    """How arrays are shown.

    Attributes:
        rows, columns: axes; if None, the first two that have several positions.
        last: the last two instead.
        center: the number that has the pale colour.
        robust: whether the few largest numbers are beyond the colours.
        digits: whether integers and truth values are shown as digits.
        alarm: whether a NaN stands out; else it is an empty cell.
        pool: what a block of neighbours becomes.
        max_mb: the size that the page stays below, in millions of bytes.
        spelled: integer -> the token that it is the number of.
        levels: of contours that the page can show.
        contoured: whether it shows them at first.
    """

    rows: str | None = None
    columns: str | None = None
    last: bool = False
    center: float | None = None
    robust: bool = False
    digits: bool = False
    alarm: bool = False
    pool: Pool = "max-abs"
    max_mb: float = 2.0
    spelled: Mapping[int, str] = {}
    levels: Sequence[Level] = ()
    contoured: bool = False


def shown(source: Source, look: Look) -> tuple[str, str | None]:
    """The axes of the rows and of the columns; no columns for an array with one axis.

    Raises:
        AxisError: for one that the array lacks.
    """
    axes = source.axes
    require_axes(filter(None, (look.rows, look.columns)), axes)
    if len(axes) == 1:
        return axes[0], None
    order = axes[-2:] + axes[:-2] if look.last else axes
    extents = dict(zip(axes, source.array.shape, strict=True))
    wide = [*(a for a in order if extents[a] > 1), *(a for a in order if extents[a] == 1)]
    rows = look.rows or next(axis for axis in wide[:2] if axis != look.columns)
    columns = look.columns or next(axis for axis in wide if axis != rows)
    if look.rows or look.columns or axes.index(rows) < axes.index(columns):
        return rows, columns
    return columns, rows


def faceted(
    title: str,
    sources: Sequence[Source],
    look: Look,
    facts: Mapping[str, Any] = {},
    columns: Mapping[str, Column] = {},
    told: Manifest = EMPTY,
) -> Part:
    """The picture of arrays with one scale of colours.

    Args:
        facts, columns: what else the page shall know; see `assets/array.js`.
        told: what that holds, and leaves out.
    """
    total = sum(source.array.size for source in sources)
    room = max(look.max_mb * 1e6 - _SHELL_BYTES, 0)
    small = [kept(s.array, look.pool, room * s.array.size / total) for s in sources]
    colours = _colours([k.array for k in small], look)
    stored: dict[str, Column] = dict(columns)
    described = []
    for number, (source, keeping) in enumerate(zip(sources, small, strict=True)):
        for name, column in columns_of(keeping, colours.low, colours.high).items():
            stored[f"{name}{number}"] = column
        described.append(_described(source, keeping, look, colours))
    words = visible(title, 200)
    all_facts = {
        "title": words,
        "arrays": described,
        "scale": colours.facts(),
        "pool": look.pool,
        "alarm": look.alarm,
        "contours": [[level.number, level.words] for level in look.levels],
        "contoured": look.contoured,
        "spelled": {str(number): word for number, word in look.spelled.items()},
        **facts,
    }
    drawn = look.levels if look.contoured else ()
    svg = grid_svg(words, *_still(sources[0], look), colours, levels=drawn)
    manifest = _manifest(sources, small, look, colours).also(told)
    return Part("array", words, packed(all_facts, stored), svg, manifest, height=560)


def _manifest(
    sources: Sequence[Source], small: Sequence[Kept], look: Look, colours: Scale
) -> Manifest:
    pairs = [*zip(sources, small, strict=True)]
    numbers = [_stored(source, keeping, colours) for source, keeping in pairs]
    left_out = [words for source, keeping in pairs for words in _pooled(source, keeping, look)]
    return Manifest((WORDS,), tuple(left_out), (*numbers, Numbers("statistics", 64)))


def _stored(source: Source, keeping: Kept, colours: Scale) -> Numbers:
    """How an array is kept; numbers beyond the colours are 32 bits each whatever the others are."""
    name = visible(source.name, 200) or "array"
    if keeping.exact:
        return Numbers(f"{name}, of {source.dtype}")
    return Numbers(f"{name}, of {source.dtype}", 8, STEPS, colours.low, colours.high)


def _pooled(source: Source, keeping: Kept, look: Look) -> Iterator[str]:
    """What of an array was left out to keep the page small."""
    blocks = zip(source.axes, keeping.blocks, strict=True)
    pooled = ", ".join(f"{block} of {visible(axis)}" for axis, block in blocks if block > 1)
    if pooled:
        yield f"{visible(source.name, 200) or 'array'}: {pooled} are one number, by {look.pool}"


def _colours(arrays: Sequence[Array], look: Look) -> Scale:
    """One scale for all; robust, it leaves out what is far beyond 999 of 1000 numbers."""
    numbers = np.concatenate([_sampled(array) for array in arrays])
    numbers = numbers[np.isfinite(numbers)]
    if look.robust and numbers.size:
        center = look.center or 0.0
        away = np.abs(numbers - center)
        usual = float(np.quantile(away, 0.999, method="lower"))
        if away.size > FEW and 0 < 2 * usual < float(away.max()):
            numbers = np.clip(numbers, center - usual, center + usual)
    return scale(numbers, look.center)


def _sampled(array: Array) -> Array:
    """At most a million numbers, and the ends."""
    flat = array.reshape(-1)
    some = flat[:: 1 + flat.size // 1_000_000].astype(np.float64)
    finite = flat[np.isfinite(flat)]
    ends = [finite.min(), finite.max()] if finite.size else []
    return np.append(some, np.array(ends, np.float64))


def _described(source: Source, keeping: Kept, look: Look, colours: Scale) -> dict[str, Any]:
    rows, columns = shown(source, look)
    named = zip(source.axes, source.array.shape, keeping.blocks, strict=True)
    return {
        "name": visible(source.name, 200),
        "code": f"values[{source.name!r}]" if source.name else "values",
        "dtype": source.dtype,
        "axes": [
            [visible(axis), repr(axis), extent, block, source.labels.get(axis)]
            for axis, extent, block in named
        ],
        "rows": source.axes.index(rows),
        "columns": -1 if columns is None else source.axes.index(columns),
        "digits": look.digits and keeping.array.dtype.kind in "bi",
        "error": 0.0 if keeping.exact else step(colours.low, colours.high) / 2,
        "summary": summary(source.array).facts(),
    }


def _still(source: Source, look: Look) -> tuple[Array, list[str], list[str]]:
    """The matrix at the first positions of all others, with its labels; pooled if large."""
    rows, columns = shown(source, look)
    key = tuple(slice(None) if axis in (rows, columns) else 0 for axis in source.axes)
    matrix = source.array[key]
    if columns is None:
        matrix = matrix[:, None]
    elif source.axes.index(rows) > source.axes.index(columns):
        matrix = matrix.T
    blocks = tuple(1 + (extent - 1) // _STILL for extent in matrix.shape)
    small = pooled(matrix, blocks, look.pool).astype(np.float64)
    names = [
        list(_words(source, axis, extent))[::block]
        for axis, extent, block in zip((rows, columns), matrix.shape, blocks, strict=True)
    ]
    return small, names[0], names[1]


def _words(source: Source, axis: str | None, extent: int) -> Sequence[str]:
    if axis is None:
        return [""]
    return source.labels.get(axis) or list(map(str, range(extent)))
