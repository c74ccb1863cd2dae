"""The typeface in which captions are drawn into pictures: one that has the letters; it knows nothing of what is written."""

from __future__ import annotations

from PIL import ImageFont

FACES = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "Helvetica.ttc")
"""Of which almost every machine has one; Pillow's own has no accents."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def font(size: int) -> Font:
    """The first of `FACES` that this machine has, in `size` pixels, else Pillow's own."""
    for name in FACES:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
