"""Pictures as an endless GIF; it knows nothing of what they show."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from base.errors import BadInput
from base.files import atomic_file

MILLISECONDS, LEAST, LAST = 4000, 50, 1500
"""Of an animation: about the whole of it, the least for a picture, and the last one's."""


def encode_gif(pictures: Sequence[Image.Image], milliseconds: int, last: int, comment: str = "") -> bytes:
    """Pictures of one size as a GIF: `milliseconds` each, and `last` for the last one, on which it rests before it repeats."""
    durations = [milliseconds] * (len(pictures) - 1) + [last]
    first, *others = (picture.quantize(256, dither=Image.Dither.NONE) for picture in pictures)
    content = io.BytesIO()
    first.save(content, "GIF", save_all=True, append_images=others, duration=durations, loop=0, comment=comment)
    return content.getvalue()


def animate(pictures: Sequence[Image.Image], out: Path, comment: str = "") -> Path:
    """Write an endless GIF that rests on its last picture, `comment` stored in it.

    BadInput: another ending, or no such folder.
    """
    if out.suffix.lower() != ".gif":
        raise BadInput(f"{out}: an animation is a .gif")
    if not out.parent.is_dir():
        raise BadInput(f"{out.parent} is no folder")
    each = max(LEAST, MILLISECONDS // len(pictures))
    with atomic_file(out) as hidden:
        hidden.write_bytes(encode_gif(pictures, each, LAST, comment))
    return out
