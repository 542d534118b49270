"""Images that a browser took, looked at by a browser."""

from __future__ import annotations

import base64
from typing import Any

from playwright.sync_api import Page

_PIXELS = """const pixels = async (source) => {
  const image = new Image();
  image.src = `data:image;base64,${source}`;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height);
};"""


def difference(page: Page, one: bytes, other: bytes) -> float:
    """How far two images are apart, from 0 to 255, on average; 255 if their sizes differ."""
    found: float = _asked(
        page,
        """const [a, b] = await Promise.all(sources.map(pixels));
        if (a.width !== b.width || a.height !== b.height) return 255;
        return a.data.reduce((sum, x, i) => sum + Math.abs(x - b.data[i]), 0) / a.data.length;""",
        one,
        other,
    )
    return found


def colours(page: Page, image: bytes) -> int:
    """How many colours an image has."""
    found: int = _asked(
        page,
        """const [{data}] = await Promise.all(sources.map(pixels));
        return new Set(new Uint32Array(data.buffer)).size;""",
        image,
    )
    return found


def _asked(page: Page, question: str, *images: bytes) -> Any:
    sources = [base64.b64encode(image).decode() for image in images]
    return page.evaluate(f"async (sources) => {{ {_PIXELS} {question} }}", sources)
