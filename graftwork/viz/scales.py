"""Colours for numbers, in light and dark: the one table that pages and still pictures share.

The colours go from one hue to another through a pale or a dark middle, never from red to green,
and differ in lightness, so that they are told apart by anyone and on paper.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from attrs import frozen

_BLUES = (
    ("#f3f5f7", "#cfdcec", "#93b8de", "#4f8cc9", "#1f5fa8", "#0b3a78", "#061f47"),
    ("#1a1d24", "#1e3350", "#275184", "#3d78bb", "#69a3e6", "#a6cbf8", "#e4f0ff"),
)
_RED_TO_BLUE = (
    ("#8a1020", "#c8473f", "#ec9f8c", "#f4f3f0", "#93b8de", "#3f7cc0", "#0b3a78"),
    ("#ffb3a4", "#e8705f", "#8e3b34", "#1a1d24", "#275184", "#5793dc", "#b4d5ff"),
)
LEVELS = 25


@frozen
class Scale:
    """Colours from `low` to `high`; what is beyond has the colours of the ends.

    Attributes:
        light, dark: the colours for low to high, at equal steps, as `#rrggbb`.
    """

    low: float
    high: float
    light: tuple[str, ...]
    dark: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """What the page reads; `assets/scales.js` is the other side."""
        return {"low": self.low, "high": self.high, "light": self.light, "dark": self.dark}

    def level(self, number: float) -> int:
        """Which of `LEVELS` classes of `style` has its colour."""
        span = (self.high - self.low) or 1.0
        return round(min(max((number - self.low) / span, 0.0), 1.0) * (LEVELS - 1))

    def is_strong(self, number: float) -> bool:
        """Whether white is what can be read on its colour, where the page is light."""
        channels = bytes.fromhex(_between(self.light, self.level(number) / (LEVELS - 1))[1:])
        return sum(w * c for w, c in zip((0.299, 0.587, 0.114), channels, strict=True)) < 140

    def steps(self) -> tuple[list[str], list[str]]:
        """The colours of the levels, where the page is light and where it is dark."""
        light, dark = (
            [_between(colours, i / (LEVELS - 1)) for i in range(LEVELS)]
            for colours in (self.light, self.dark)
        )
        return light, dark

    def style(self) -> str:
        """The style of the classes `q0` to `q24` in a still picture."""
        light, dark = (
            "".join(f".q{i}{{fill:{colour}}}" for i, colour in enumerate(colours))
            for colours in self.steps()
        )
        return f"{light}@media(prefers-color-scheme:dark){{{dark}}}"


def scale(numbers: np.ndarray[Any, Any], center: float | None = None) -> Scale:
    """The scale of some numbers: around `center` if they lie on both of its sides, else upwards.

    Args:
        numbers: of any shape; NaN and infinities are left out.
        center: what has the pale colour; 0 if None.
    """
    finite = np.asarray(numbers, np.float64)
    finite = finite[np.isfinite(finite)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    middle = 0.0 if center is None else center
    if low < middle < high or (center is not None and low < high):
        reach = max(high - middle, middle - low)
        return Scale(middle - reach, middle + reach, *_RED_TO_BLUE)
    if high <= 0 and low < 0:
        return Scale(low, 0.0, *(colours[:4] for colours in _RED_TO_BLUE))
    return Scale(min(low, 0.0) if low < 0.5 * high else low, high, *_BLUES)


def _between(colours: tuple[str, ...], t: float) -> str:
    at = t * (len(colours) - 1)
    i = min(math.floor(at), len(colours) - 2)
    a, b = (bytes.fromhex(colours[j][1:]) for j in (i, i + 1))
    return "#" + bytes(round(x + (y - x) * (at - i)) for x, y in zip(a, b, strict=True)).hex()
