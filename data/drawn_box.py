"""Where in a picture something is drawn, on a ground of one colour; it knows nothing of files or captions.

Shapes: `H W` pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

_LEVELS = 24
"""Levels of 255 by which a pixel must differ from the ground: compression leaves a halo."""
_PLAIN = 0.9
"""Share of the border's pixels that has the ground's colour where there is a ground."""
_MARGIN = 1 / 16
"""Of the side of the square that is kept: free on every side."""


@dataclass(frozen=True)
class DrawnBox:
    """The smallest rectangle around what is drawn, in pixels, and the ground that it is drawn on."""

    box: tuple[int, int, int, int]
    """Left, top, right, bottom; the last two are outside."""
    ground: tuple[int, int, int]
    """RGB of 0 to 255: the median of the border."""
    plain: bool
    """Whether the border has that colour nearly everywhere; a photograph's has not."""


def drawn_box(image: Image.Image) -> DrawnBox:
    """Find it in an RGB picture: what differs from the median colour of the border; everything, where nothing does."""
    pixels = np.asarray(image, dtype=np.int16)  # (H, W, 3)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    median = np.median(border, axis=0).astype(np.int16)
    drawn = np.abs(pixels - median).max(axis=2) > _LEVELS  # (H, W)
    plain = bool((np.abs(border - median).max(axis=1) <= _LEVELS).mean() >= _PLAIN)
    if not drawn.any():
        drawn[:] = True
    rows, columns = np.flatnonzero(drawn.any(axis=1)).tolist(), np.flatnonzero(drawn.any(axis=0)).tolist()
    red, green, blue = median.tolist()
    return DrawnBox((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), (red, green, blue), plain)


def trimmed(image: Image.Image) -> Image.Image:
    """The square around what is drawn, with a little of the ground; a picture without a ground as it is."""
    found = drawn_box(image)
    if not found.plain:
        return image
    left, top, right, bottom = found.box
    side = max(right - left, bottom - top)
    side += 2 * round(side * _MARGIN)
    square = Image.new("RGB", (side, side), found.ground)
    square.paste(image.crop(found.box), ((side - (right - left)) // 2, (side - (bottom - top)) // 2))
    return square
