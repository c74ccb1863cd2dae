"""Between what a client asks for and what a model draws: sizes, pictures to start from, masks; it knows no dialect, no model.

A size that the model does not offer is drawn at its own size that is nearest in shape and resized: a drawing from noise whole,
with its border continued beside it; one that started from a picture fills the size, with the picture's place in it kept.
Shapes: `H W` pixels; sizes are (W, H).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter, ImageOps

from base.errors import BadInput
from runtime import images
from serving.refused import Refused

Size = tuple[int, int]
Pixels = NDArray[np.uint8]
SAME_SHAPE = 0.02
"""How far apart the proportions of a picture and its mask may be: sizes are whole numbers."""


@dataclass(frozen=True)
class Mask:
    """Which part of a picture is drawn anew; what the rest shows is kept to the bit."""

    file: bytes
    """PNG, JPEG or WebP of the picture's proportions."""
    transparent: bool = False
    """Whether transparent pixels are drawn anew, and the file must have some; otherwise white ones."""
    inverted: bool = False
    """The other part is drawn anew."""
    blur: float = 0.0
    """Pixels of the answer over which the drawing begins, inside of the part that is drawn anew."""


@dataclass(frozen=True)
class Kept:
    """What an answer keeps of a client's picture."""

    picture: Pixels
    """(H, W, 3)"""
    anew: Pixels
    """(H, W, 1): 255 where it is drawn anew."""


def start(file: bytes, size: Size, answered: Size, mask: Mask | None) -> tuple[Pixels, Kept | None]:
    """A client's file → the picture (H, W, 3) of `size` that a model starts from, and what the answer keeps of it.

    Refused: a file that is no picture; a mask of other proportions.
    """
    picture = opened(file, "image")
    pixels = images.fit(picture, size) if _alike(size, answered) else _onto(images.fit(picture, answered), size)
    if mask is None:
        return pixels, None
    anew = _anew(mask, picture.size)
    kept = np.array(ImageOps.fit(images.opaque(picture), answered, Image.Resampling.LANCZOS))  # (H, W, 3)
    hard = ImageOps.fit(anew, answered, Image.Resampling.NEAREST)
    if mask.blur:
        hard = ImageChops.darker(hard, hard.filter(ImageFilter.GaussianBlur(mask.blur)))
    return pixels, Kept(kept, np.array(hard)[..., None])


def finish(drawn: Pixels, answered: Size, resample: Image.Resampling, covers: bool, kept: Kept | None) -> Pixels:
    """What a model drew (h, w, 3) → the answer (H, W, 3) of size `answered`, which it `covers` or lies in as a whole."""
    size = drawn.shape[1], drawn.shape[0]
    if size != answered:
        drawn = _covering(drawn, answered, resample) if covers else _whole(drawn, answered, resample)
    if kept is None:
        return drawn
    anew, old = kept.anew.astype(np.uint16), kept.picture.astype(np.uint16)
    return ((drawn * anew + old * (255 - anew) + 127) // 255).astype(np.uint8)


def _whole(drawn: Pixels, answered: Size, resample: Image.Resampling) -> Pixels:
    """(h, w, 3) → (H, W, 3): scaled to lie in it, its border continued to the sides."""
    inside = _scaled((drawn.shape[1], drawn.shape[0]), answered, covers=False)
    scaled = np.array(Image.fromarray(drawn).resize(inside, resample))
    return _padded(scaled, answered)


def _covering(drawn: Pixels, answered: Size, resample: Image.Resampling) -> Pixels:
    """(h, w, 3) → (H, W, 3): scaled to fill it, the middle cut out. Undoes `_onto`."""
    around = _scaled((drawn.shape[1], drawn.shape[0]), answered, covers=True)
    left, top = (around[0] - answered[0]) // 2, (around[1] - answered[1]) // 2
    scaled = Image.fromarray(drawn).resize(around, resample)
    return np.array(scaled.crop((left, top, left + answered[0], top + answered[1])))


def _onto(picture: Pixels, size: Size) -> Pixels:
    """(H, W, 3) → (h, w, 3) of another shape: the whole picture, its border continued to the sides, scaled."""
    around = _scaled(size, (picture.shape[1], picture.shape[0]), covers=True)
    return np.array(Image.fromarray(_padded(picture, around)).resize(size, Image.Resampling.LANCZOS))


def _padded(picture: Pixels, size: Size) -> Pixels:
    """(h, w, 3) → (H, W, 3), in the middle, its border continued."""
    beside = [(size[1] - picture.shape[0]), (size[0] - picture.shape[1])]
    return np.pad(picture, [*((room // 2, room - room // 2) for room in beside), (0, 0)], mode="edge")


def _scaled(shape: Size, into: Size, covers: bool) -> Size:
    """The size of the proportions of `shape` that lies in `into`, or covers it."""
    scales = [outer / inner for outer, inner in zip(into, shape, strict=True)]
    if covers:
        return max(into[0], round(shape[0] * max(scales))), max(into[1], round(shape[1] * max(scales)))
    width, height = (max(1, round(side * min(scales))) for side in shape)
    return min(into[0], width), min(into[1], height)


def _alike(first: Size, second: Size) -> bool:
    """Whether two sizes have one shape."""
    return abs(math.log(first[0] * second[1] / (first[1] * second[0]))) < SAME_SHAPE


def opened(file: bytes, key: str) -> Image.Image:
    """A client's picture. Refused: as `open_picture`, and the key to blame."""
    try:
        return images.open_picture(file, key)
    except BadInput as error:
        raise Refused(str(error), key) from None


def _anew(mask: Mask, size: Size) -> Image.Image:
    """255 where the picture of `size` is drawn anew. Refused: proportions that differ, no transparency."""
    picture = opened(mask.file, "mask")
    if not _alike(picture.size, size):
        sides = f"{picture.width}x{picture.height} pixels; accepted: the picture's {size[0]}x{size[1]}"
        raise Refused(f"mask has {sides}, or its proportions", "mask")
    alpha = picture.convert("RGBA").getchannel("A")
    if mask.transparent:
        if alpha.getextrema()[0] == 255:
            raise Refused("mask has no transparent pixels; accepted: a PNG, transparent where to draw anew", "mask")
        anew = ImageChops.invert(alpha)
    else:
        anew = alpha if alpha.getextrema() != (255, 255) else images.opaque(picture).convert("L")
        anew = anew.point(lambda value: 255 if value > 127 else 0)
    return ImageChops.invert(anew) if mask.inverted else anew
