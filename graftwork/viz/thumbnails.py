"""Heads standing still: a small picture of each, layer under layer, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from graftwork.viz.heads import Heads
from graftwork.viz.png import png
from graftwork.viz.still import still

_PIXELS, _SMALL, _LARGE = 48_000, 20, 64
_LEFT, _TOP = 58, 52
_STYLE = (
    ".gw-frame{fill:#eceef1}.gw-share{fill:#0b3a78}image{image-rendering:pixelated}"
    "@media(prefers-color-scheme:dark){.gw-frame{fill:#1c2027}.gw-share{fill:#a6cbf8}}"
)


def thumbnails_svg(title: str, note: str, layers: Sequence[Heads], top: float) -> str:
    """The heads of the first example; shares up to `top` have the fullest colour."""
    across = max(layer.shares.shape[1] for layer in layers)
    side = min(int((_PIXELS / (across * len(layers))) ** 0.5), _LARGE)
    side = max(1, min(side, max(layers[0].shares.shape[2:])))
    gap = max(1, side // 8)
    pixels = np.zeros(((side + gap) * len(layers), (side + gap) * across), np.uint8)
    for row, layer in enumerate(layers):
        for column, shares in enumerate(layer.shares[0]):
            y, x = row * (side + gap), column * (side + gap)
            pixels[y : y + side, x : x + side] = _steps(pooled(shares, side, side) / top)
    scale = max(_SMALL, min(_LARGE, 640 // across)) / side
    wide, high = (scale * extent for extent in pixels.shape[::-1])
    width = round(max(_LEFT + wide + 8, 20 + 7.6 * max(len(title), len(note))))
    height = _TOP + high
    place = f'x="{_LEFT}" y="{_TOP}" width="{wide:g}" height="{high:g}"'
    body = (
        f'<text class="gw-label" x="10" y="37">{escape(note)}</text>'
        f"{''.join(_frames(layers, side * scale, gap * scale))}"
        f'<mask id="gw-heads"><image {place} preserveAspectRatio="none" href="{png(pixels)}"/>'
        f'</mask><rect class="gw-share" mask="url(#gw-heads)" {place}/>'
    )
    return still(title, width, height, body, _STYLE)


def _steps(shares: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Shares in 31 steps of brightness; few steps make small files."""
    return np.asarray(np.round(31 * np.clip(shares, 0, 1)) * (255 // 31))


def pooled(shares: np.ndarray[Any, Any], rows: int, columns: int) -> np.ndarray[Any, Any]:
    """The greatest share of each of rows × columns tiles of the last two axes."""
    for axis, tiles in ((-2, rows), (-1, columns)):
        starts = np.arange(tiles) * shares.shape[axis] // tiles
        shares = np.maximum.reduceat(shares, starts, axis=axis)
    return shares


def _frames(layers: Sequence[Heads], size: float, gap: float) -> Iterator[str]:
    """A ground for each head, and the name of each layer."""
    for row, layer in enumerate(layers):
        y = _TOP + row * (size + gap)
        name = f"layer {row if layer.layer is None else layer.layer}"
        yield f'<text class="gw-label" x="10" y="{y + size / 2 + 4:g}">{name}</text>'
        for column in range(layer.shares.shape[1]):
            x = _LEFT + column * (size + gap)
            yield (
                f'<rect class="gw-frame" x="{x:g}" y="{y:g}" width="{size:g}" height="{size:g}"/>'
            )
