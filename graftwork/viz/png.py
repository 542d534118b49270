"""Images as PNG: grey ones, which a still picture fills with a colour of its page, or coloured."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

from graftwork.viz.pack import Bytes


def png(pixels: Bytes, colours: Sequence[str] = ()) -> str:
    """A matrix from 0, black, to 255, white, as the address of an image.

    Args:
        colours: what the numbers of the matrix stand for, as `#rrggbb`; those beyond are clear.
    """
    palette = bytes.fromhex("".join(colour[1:] for colour in colours)) + bytes(3)
    coloured = ((b"PLTE", palette), (b"tRNS", b"\xff" * len(colours) + b"\0")) if colours else ()
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3 if colours else 0, 0, 0, 0)),
        *coloured,
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in parts)
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
