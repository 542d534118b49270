"""Lines of equal numbers over a grid of cells; `assets/contours.js` is the other side.

They are found by marching squares between the centres of cells, and joined. No line passes a cell
that is empty or infinite. Where two lines could part a square in two ways, the mean of its corners
decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from graftwork.ir.errors import InputError

Array = np.ndarray[Any, Any]
Line = list[tuple[float, float]]
DASHES = ("", "7 3", "3 3", "1 3")
"""How lines of successive levels are told apart; the first is solid."""
_QUANTILES = ((0.1, "a tenth of the cells"), (0.5, "half of the cells"), (0.9, "nine in ten cells"))
_CLOSE = 0.03


@frozen
class Level:
    """A number whose line is drawn.

    Attributes:
        words: what is special about it; may be empty.
    """

    number: float
    words: str = ""


def levels_of(numbers: Array, middle: float | None, words: str) -> list[Level]:
    """Levels that say something: the middle, and quantiles that are apart from it and each other.

    Args:
        middle: of the colours; 0 if None.
        words: what the middle is called.
    """
    finite = numbers[np.isfinite(numbers)].astype(np.float64)
    if not finite.size:
        return []
    low, high = float(finite.min()), float(finite.max())
    wanted = [Level(0.0 if middle is None else middle, words)]
    for share, cells in _QUANTILES:
        number = float(f"{np.quantile(finite, share):.3g}")
        wanted.append(Level(number, f"{cells} are below"))
    found: list[Level] = []
    for level in wanted:
        apart = all(abs(level.number - other.number) > _CLOSE * (high - low) for other in found)
        if low < level.number < high and apart:
            found.append(level)
    return found


def contours(numbers: Array, level: float) -> list[Line]:
    """Lines between what is below a level and what is not, over rows and columns.

    Points are (x, y) in cells from the upper left corner; a line that closes ends where it begins.
    """
    links = dict(_links(numbers, level))
    entered = set(links.values())
    lines = []
    for start in [*(edge for edge in links if edge not in entered), *links]:
        if start not in links:
            continue
        edges = [start]
        while edges[-1] in links:
            edges.append(links.pop(edges[-1]))
        lines.append([_point(numbers, level, edge) for edge in edges])
    return lines


def _links(numbers: Array, level: float) -> Iterator[tuple[int, int]]:
    """Within each square, from the edge where a line enters to that where it leaves.

    What is not below the level lies to the left. Between a cell and the one to its right is edge
    2n, and 2n + 1 between it and the one below, if it is the nth cell.
    """
    rows, columns = numbers.shape
    for row in range(rows - 1):
        for column in range(columns - 1):
            square = numbers[row : row + 2, column : column + 2].reshape(-1).tolist()
            if not all(map(np.isfinite, square)):
                continue
            a, b, d, c = (number >= level for number in square)  # clockwise: a, b, c, d
            first = 2 * (row * columns + column)
            top, right, bottom, left = first, first + 3, first + 2 * columns, first + 1
            ways = ((a, b, top), (b, c, right), (c, d, bottom), (d, a, left))
            leave = [edge for here, there, edge in ways if here and not there]
            enter = [edge for here, there, edge in ways if there and not here]
            if len(enter) > 1 and a != (sum(square) / 4 >= level):
                enter.reverse()
            yield from zip(enter, leave, strict=True)


def _point(numbers: Array, level: float, edge: int) -> tuple[float, float]:
    """Where a line crosses an edge."""
    row, column = divmod(edge // 2, numbers.shape[1])
    down = edge % 2
    here = float(numbers[row, column])
    there = float(numbers[row + down, column + 1 - down])
    along = (level - here) / (there - here)
    return column + 0.5 + (0.0 if down else along), row + 0.5 + (along if down else 0.0)


def named(levels: Sequence[float]) -> list[Level]:
    """Levels that the caller chose, the least first.

    Raises:
        InputError: if one is no finite number.
    """
    numbers = np.asarray(levels)
    if numbers.dtype.kind not in "iuf" or numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise InputError(f"contours= is True, False, or a list of finite numbers, not {levels!r}")
    return [Level(number) for number in np.unique(numbers).astype(float).tolist()]
