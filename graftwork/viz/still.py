"""Pictures that stand still: SVG without scripts, under a title, for light pages and dark ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote
from xml.sax.saxutils import escape

_GAP = 16
_SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"')
_MARKS = re.compile(r"[^-!$()*+,./0-9:;=@A-Z_a-z~ ]+")
_STYLE = (
    'svg{font:11px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}'
    ".gw-ground{fill:#fafaf8}.gw-head{fill:#1b1f27;font-size:13px;font-weight:600}"
    ".gw-label{fill:#666d7c}@media(prefers-color-scheme:dark){.gw-ground{fill:#0f1115}"
    ".gw-head{fill:#e9ebf1}.gw-label{fill:#9aa2b2}}"
)


def still(title: str, width: float, height: float, body: str, style: str) -> str:
    """A picture with its title at the top, for which it leaves 28 pixels.

    Args:
        body: SVG, in which all text is escaped.
        style: of the classes in it; `gw-label` is there.
    """
    name, width, height = escape(title), round(width), round(height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img"><title>{name}</title>'
        f"<style>{_STYLE}{style}</style>"
        f'<rect class="gw-ground" width="{width}" height="{height}"/>'
        f'<text class="gw-head" x="10" y="20">{name}</text>{body}</svg>'
    )


def stacked(title: str, pictures: Sequence[str]) -> str:
    """Several pictures under each other; of a single one, itself.

    Each is an image, so that their styles do not meet.
    """
    if len(pictures) == 1:
        return pictures[0]
    sizes, top, placed = list(map(_size, pictures)), 0.0, []
    for svg, (width, height) in zip(pictures, sizes, strict=True):
        placed.append(
            f'<image y="{top:g}" width="{width:g}" height="{height:g}" href="{address_of(svg)}"/>'
        )
        top += height + _GAP
    across, high = max(width for width, _ in sizes), top - _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across:g} {high:g}" '
        f'width="{across:g}" height="{high:g}" role="img"><title>{escape(title)}</title>'
        f"{''.join(placed)}</svg>"
    )


def address_of(svg: str) -> str:
    """A picture as the address of an image, as it may stand in quotes.

    Marks are escaped, and little else: base64 would make a third more of the images in it, which
    are base64 already.
    """
    return "data:image/svg+xml," + _MARKS.sub(lambda found: quote(found[0]), svg)


def _size(picture: str) -> tuple[float, float]:
    found = _SIZE.match(picture)
    assert found, "every picture of ours says its width and height first"
    return float(found[1]), float(found[2])
