"""Numbers laid over a graph: any node, value, site or selector's words -> a number.

A closed group shows what its reducer makes of the numbers inside of it, and the legend names the
reducer, so that no colour claims more than it says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from graftwork.ir.errors import SelectionError, nearest
from graftwork.viz.cells import Cell
from graftwork.viz.keys import Key, cells_of
from graftwork.viz.names import visible
from graftwork.viz.scene import Scene

REDUCERS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "max": lambda numbers: math.nan if any(map(math.isnan, numbers)) else max(numbers),
    "mean": lambda numbers: sum(numbers) / len(numbers),
}


@frozen(eq=False)
class Overlay:
    """Numbers of cells.

    Attributes:
        label: what is measured, and in which unit.
        reduce: the name of the reducer.
        values: cell -> its number, reduced where it holds several.
    """

    label: str
    reduce: str
    values: Mapping[Cell, float]

    def facts(self) -> dict[str, str]:
        """What its legend says, as JSON."""
        return {"label": self.label, "reduce": self.reduce}

    def range(self, cells: Iterable[Cell]) -> tuple[float, float]:
        """The least and greatest finite number of some cells, around zero if signs differ."""
        shown = [self.values[cell] for cell in cells if cell in self.values]
        finite = [number for number in shown if math.isfinite(number)] or [0.0]
        low, high = min(finite), max(finite)
        if low < 0 < high:
            low, high = -max(-low, high), max(-low, high)
        return low, high


def overlaid(scene: Scene, values: Mapping[Key, float], label: str, reduce: str) -> Overlay:
    """The numbers of all cells of a scene.

    Raises:
        SelectionError: for a key that is nowhere in the graph, for what is not a number, and for
            an unknown reducer.
    """
    if reduce not in REDUCERS:
        raise SelectionError(f"no reducer {reduce!r}{nearest(reduce, REDUCERS)}")
    own: dict[Cell, list[float]] = {}
    for key, number in values.items():
        real = number_of(key, number)
        for cell in cells_of(scene, key):
            own.setdefault(cell, []).append(real)
    return Overlay(visible(label, 200), reduce, dict(_reduced(scene, own, REDUCERS[reduce])))


def number_of(key: object, number: object) -> float:
    """What an overlay has for a key.

    Raises:
        SelectionError: if that is no number.
    """
    try:
        return float(number)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        shown = f"{type(number).__name__} of {key!r}"
        raise SelectionError(f"an overlay needs a number for each key, not the {shown}") from error


def _reduced(
    scene: Scene, own: Mapping[Cell, Sequence[float]], reducer: Callable[[Sequence[float]], float]
) -> Iterator[tuple[Cell, float]]:
    """Each cell with what its reducer makes of all that it holds, parameters too."""
    held: dict[Cell, list[float]] = {}
    for cell in reversed(scene.cells):
        numbers = [*own.get(cell, ()), *held.pop(cell, ())]
        if not numbers:
            continue
        yield cell, reducer(numbers)
        if cell.parent is not None:
            held.setdefault(cell.parent, []).extend(numbers)
