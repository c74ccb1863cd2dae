"""Pictures as an endless GIF; it knows nothing of what they show."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image


def encode_gif(pictures: Sequence[Image.Image], milliseconds: int, last: int, comment: str = "") -> bytes:
    """Pictures of one size as a GIF: `milliseconds` each, and `last` for the last one, on which it rests before it repeats."""
    durations = [milliseconds] * (len(pictures) - 1) + [last]
    first, *others = (picture.quantize(256, dither=Image.Dither.NONE) for picture in pictures)
    content = io.BytesIO()
    first.save(content, "GIF", save_all=True, append_images=others, duration=durations, loop=0, comment=comment)
    return content.getvalue()
