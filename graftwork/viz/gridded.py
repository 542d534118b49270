"""A grid of coloured numbers standing still, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from graftwork.viz.contours import DASHES, Level, contours
from graftwork.viz.png import png
from graftwork.viz.scales import LEVELS, Scale
from graftwork.viz.still import still

_LETTER = 6.6
_MANY = 600
_STYLE = (
    ".gw-band,.gw-line{fill:none;stroke:#fafaf8;stroke-width:4}"
    ".gw-line{stroke:#1b1f27;stroke-width:1.6}.gw-end{text-anchor:end}.gw-mid{text-anchor:middle}.gw-none{fill:none;stroke:#d3d6dd}"
    "image{image-rendering:pixelated}.gw-night{display:none}@media(prefers-color-scheme:dark){"
    ".gw-band{stroke:#0f1115}.gw-line{stroke:#e9ebf1}.gw-none{stroke:#353b47}.gw-day{display:none}.gw-night{display:inline}}"
)


def grid_svg(
    title: str,
    numbers: np.ndarray[Any, Any],
    rows: Sequence[str],
    columns: Sequence[str],
    scale: Scale,
    text: Sequence[Sequence[str]] | None = None,
    levels: Sequence[Level] = (),
) -> str:
    """The picture of a matrix with labels; of a very large one, every so many rows and columns.

    Args:
        numbers: rows by columns; NaN is an empty cell.
        text: what is written in the cells.
        levels: of the contours that are drawn over the cells, with a key below.
    """
    thin = [1 + (count - 1) // 64 for count in numbers.shape]
    numbers = numbers[:: thin[0], :: thin[1]]
    rows, columns = rows[:: thin[0]], columns[:: thin[1]]
    many = not text and numbers.size > _MANY
    wide = 74.0 if text else 14.0
    left = 14 + max((min(len(r), 22) for r in rows), default=0) * _LETTER
    steep = max((min(len(c), 16) for c in columns), default=0) * _LETTER
    top = 34 + (14 if steep <= wide else steep)
    keys = [f"{level.number:.4g} {level.words}".strip() for level in levels]
    least = max([len(title) * 7.4, *(40 + len(key) * _LETTER for key in keys)])
    width = round(max(left + wide * len(columns) + 12, 14 + least))
    low = top + 16 * len(rows) + 12
    lines = _contours(numbers, levels, keys, (left, top, low), wide)
    cells = (
        _images(numbers, scale, (left, top), wide)
        if many
        else "".join(_cells(numbers, scale, text, (left, top), wide))
    )
    labels = "".join(_labels(rows, columns, (left, top), wide, steep > wide))
    height = round(low + 16 * len(levels))
    return still(title, width, height, labels + cells + "".join(lines), _STYLE + scale.style())


def _contours(
    numbers: np.ndarray[Any, Any],
    levels: Sequence[Level],
    keys: Sequence[str],
    corner: tuple[float, float, float],
    wide: float,
) -> Iterator[str]:
    """Lines on a band of the colour of the ground, to be seen on every cell; and their key."""
    left, top, low = corner
    for i, (level, key) in enumerate(zip(levels, keys, strict=True)):
        path = "".join(
            "M" + "L".join(f"{left + x * wide:.1f} {top + y * 16:.1f}" for x, y in line)
            for line in contours(numbers, level.number)
        )
        y = low + 16 * i
        sample, dash = f"M10 {y:g}h28", DASHES[i % len(DASHES)]
        yield f'<path class="gw-band" d="{path}"/>' if path else ""
        yield f'<path class="gw-line" stroke-dasharray="{dash or "none"}" d="{path}{sample}"/>'
        yield f'<text class="gw-label" x="44" y="{y + 4:g}">{escape(key)}</text>'


def _images(
    numbers: np.ndarray[Any, Any], scale: Scale, corner: tuple[float, float], wide: float
) -> str:
    """Many cells as one image, for light pages and for dark ones."""
    levels = np.full(numbers.shape, LEVELS, np.uint8)
    for place in np.argwhere(np.isfinite(numbers)):
        levels[tuple(place)] = scale.level(float(numbers[tuple(place)]))
    x, y, (rows, columns) = *corner, numbers.shape
    return "".join(
        f'<image class="{kind}" x="{x:g}" y="{y:g}" width="{wide * columns:g}" '
        f'height="{16 * rows}" preserveAspectRatio="none" href="{png(levels, colours)}"/>'
        for kind, colours in zip(("gw-day", "gw-night"), scale.steps(), strict=True)
    )


def _cells(
    numbers: np.ndarray[Any, Any],
    scale: Scale,
    text: Sequence[Sequence[str]] | None,
    corner: tuple[float, float],
    wide: float,
) -> Iterator[str]:
    left, top = corner
    for (row, column), number in np.ndenumerate(numbers):
        x, y = left + column * wide, top + row * 16
        kind = f"q{scale.level(float(number))}" if np.isfinite(number) else "gw-none"
        yield f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{wide - 1:g}" height="15"/>'
        if text:
            ink = "#fff" if scale.is_strong(float(number)) else "#12151b"
            word = escape(text[row][column][:11])
            yield (
                f'<text class="gw-mid" fill="{ink}" x="{x + wide / 2:g}" y="{y + 11.5:g}">'
                f"{word}</text>"
            )


def _labels(
    rows: Sequence[str],
    columns: Sequence[str],
    corner: tuple[float, float],
    wide: float,
    steep: bool,
) -> Iterator[str]:
    left, top = corner
    for i, row in enumerate(rows):
        yield (
            f'<text class="gw-label gw-end" x="{left - 5:g}" y="{top + 16 * i + 11.5:g}">'
            f"{escape(_cut(row, 22))}</text>"
        )
    for i, column in enumerate(columns):
        x, y = left + (i + 0.5) * wide, top - 5
        turned = f' transform="rotate(-90 {x:g} {y:g})"' if steep else ""
        side = "" if steep else " gw-mid"
        yield (
            f'<text class="gw-label{side}" x="{x + 4 * steep:g}" y="{y:g}"{turned}>'
            f"{escape(_cut(column, 16))}</text>"
        )


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
