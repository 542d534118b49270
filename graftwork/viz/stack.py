"""Several still pictures as one, under each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

_SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"')
GAP = 16


def stacked(title: str, pictures: Sequence[str]) -> str:
    """One SVG of SVGs; of a single one, itself."""
    if len(pictures) == 1:
        return pictures[0]
    sizes = [_size(picture) for picture in pictures]
    width, top = max(width for width, _ in sizes), 0.0
    placed = []
    for picture, (_, height) in zip(pictures, sizes, strict=True):
        placed.append(picture.replace("<svg ", f'<svg y="{top:g}" ', 1))
        top += height + GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{top - GAP:g}" '
        f'role="img"><title>{escape(title)}</title>{"".join(placed)}</svg>'
    )


def _size(picture: str) -> tuple[float, float]:
    found = _SIZE.match(picture)
    assert found, "every picture of ours says its width and height first"
    return float(found[1]), float(found[2])
