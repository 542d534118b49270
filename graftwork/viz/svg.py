"""The still picture: the open groups of a scene as SVG, without scripts and foreign content."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from xml.sax.saxutils import escape

from graftwork.viz.arrange import Arrangement
from graftwork.viz.cells import Cell, Kind, inside
from graftwork.viz.merge import Change
from graftwork.viz.names import sized
from graftwork.viz.overlay import Overlay
from graftwork.viz.place import Placed, Size, place
from graftwork.viz.scene import Scene

_WIDE, _SMALL, _ROW = 7.3, 6.1, 17.0
_MORE, _LESS = (224, 122, 31), (63, 124, 224)
_SIGN = {Change.ADDED: "+", Change.REMOVED: "−", Change.CHANGED: "~"}
_STYLE = """
svg{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;background:#fafaf8}
.b{fill:#fff;stroke:#d5d7dd}.g{fill:#f3f3ef;stroke:#d9dad5}.t{fill:#1d2129;font-weight:600}
.s{fill:#6a7080;font-size:11px}.l{fill:none;stroke:#b3b8c4;stroke-width:1.4}
.a{stroke:#1a7f4b;stroke-width:2}.r{stroke:#c02b3c;stroke-width:2;stroke-dasharray:5 4}
.c{stroke:#a05a00;stroke-width:2}
@media(prefers-color-scheme:dark){svg{background:#0f1115}.b{fill:#1b1e25;stroke:#343945}
.g{fill:#14171c;stroke:#2a2e37}.t{fill:#e8eaf0}.s{fill:#9aa1b1}.l{stroke:#525a69}
.a{stroke:#46c384}.r{stroke:#f2707f}.c{stroke:#e5a13d}}
"""


def to_svg(
    scene: Scene,
    arranged: Mapping[Cell, Arrangement],
    opened: Collection[Cell],
    title: str,
    overlay: Overlay | None = None,
) -> str:
    """The picture of a scene with the groups in `opened` open."""
    root = scene.cells[0]
    notes: dict[Cell, str] = {}

    def size(cell: Cell) -> Size:
        notes[cell] = _note(cell, scene)
        if overlay is not None and cell in overlay.values:
            notes[cell] = f"{overlay.values[cell]:.3g}  {notes[cell]}"
        return _size(cell, notes[cell])

    last = len(scene.versions) - 1
    placed = place(root, arranged, frozenset(opened), size)
    tints = {} if overlay is None else _tints(overlay, notes)
    width, height = round(placed.width), round(placed.height)
    body = "".join(_group(placed, arranged[root], arranged, notes, tints, last))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img"><title>{_text(title)}</title>'
        f"<style>{_STYLE}</style>{body}</svg>"
    )


def _note(cell: Cell, scene: Scene) -> str:
    """The second line of a box: its type, or how much it holds."""
    if cell.kind is Kind.GROUP:
        within = inside(scene.cells, cell)
        count = sum([inner.kind is Kind.OP and not inner.within for inner in within])
        return " · ".join(filter(None, [cell.note, f"{count:,} op{'s' * (count != 1)}"]))
    wires = cell.makes[:1] or cell.reads[:1]
    axes = scene.axes
    return " ".join(sized(axis, axes[axis]) for wire in wires for axis in wire.type.axes)


def _size(cell: Cell, note: str) -> Size:
    return max(len(_short(cell.title)) * _WIDE, len(_short(note, 44)) * _SMALL) + 34, 44.0


def _group(
    placed: Placed,
    made: Arrangement,
    arranged: Mapping[Cell, Arrangement],
    notes: Mapping[Cell, str],
    tints: Mapping[Cell, str],
    last: int,
) -> Iterator[str]:
    versions = made.versions()
    for net, (x, y), (to_x, to_y) in placed.lines:
        half = (y + to_y) / 2
        curve = f"M{x:.0f} {y:.0f}C{x:.0f} {half:.0f} {to_x:.0f} {half:.0f} {to_x:.0f} {to_y:.0f}"
        bits = versions[net]
        mark = {(0, 1): " a", (1, 0): " r"}.get((bits & 1, bits >> last & 1), "")
        yield f'<path class="l{mark}" d="{curve}"/>'
    for box in placed.boxes:
        cell = box.cell
        mark = {1: " a", 2: " r", 3: " c"}.get(cell.change, "")
        sign = _SIGN.get(cell.change, "")
        frame = f'width="{box.width:.0f}" height="{box.height:.0f}" rx="8"'
        title = _text(_short(f"{sign} {cell.title}".strip()))
        yield f'<g transform="translate({box.x:.0f} {box.y:.0f})">'
        yield f'<rect class="{"b" if box.inside is None else "g"}{mark}" {frame}/>'
        if box.inside is None and cell in tints:
            yield f'<rect fill="{tints[cell]}" {frame}/>'
        yield f'<text class="t" x="14" y="{19 if box.inside is None else 22}">{title}</text>'
        if box.inside is None:
            yield f'<text class="s" x="14" y="36">{_text(_short(notes[cell], 44))}</text>'
        else:
            yield from _group(box.inside, arranged[cell], arranged, notes, tints, last)
        yield "</g>"


def _tints(overlay: Overlay, cells: Iterable[Cell]) -> dict[Cell, str]:
    """The colours of numbers: orange for more, blue for less than zero; thin enough to read on."""
    shown = [cell for cell in cells if math.isfinite(overlay.values.get(cell, math.nan))]
    low, high = overlay.range(shown)
    reach = max(abs(low), abs(high)) if low < 0 else high - low
    tints = {}
    for cell in shown:
        number = overlay.values[cell] if low < 0 else overlay.values[cell] - low
        strength = 0.75 * abs(number) / reach if reach else 0.0
        red, green, blue = _LESS if number < 0 else _MORE
        tints[cell] = f"rgba({red},{green},{blue},{strength:.2f})"
    return tints


def _short(text: str, limit: int = 30) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _text(text: str) -> str:
    return escape(text)
