"""Pixels → a PNG file, quickly; it knows nothing about what they show, nor what the file says of them.

Shapes: `H W` pixels.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LEVEL = 1
"""Of ISA-L's deflate: about the size of zlib's, in a quarter of its time."""
UP = 2
"""The filter: what differs from the row above."""
RGB = 2
"""The colour type, of eight bits a channel."""


def png(pixels: NDArray[np.uint8], chunks: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Pixels `(H, W, 3)` → a file's bytes, with further `chunks` (type, content) before them.

    One filter for all rows: Pillow tries five for each, which takes it longer than to compress. A file has about the size of
    Pillow's at level 1, in a seventh of the time (64x64 to 512x512, measured); its bytes depend on the kind of processor.
    """
    height, width, channels = pixels.shape
    assert channels == 3 and pixels.dtype == np.uint8, "only RGB of eight bits is written"
    header = struct.pack(">IIBBBBB", width, height, 8, RGB, 0, 0, 0)
    content = [(b"IHDR", header), *chunks, (b"IDAT", isal_zlib.compress(_filtered(pixels).data, LEVEL)), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in content)


def _filtered(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels `(H, W, 3)` → rows `(H, 1 + 3W)`: the filter, and what it leaves of the row."""
    rows = pixels.reshape(len(pixels), -1)
    filtered = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = isal_zlib.crc32(data, isal_zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)))
