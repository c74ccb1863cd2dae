"""How one image file becomes one picture of a set, square or of a bucket's shape; it knows nothing of captions or splits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, cast, get_args

from PIL import Image, ImageColor, ImageOps

from base.errors import BadInput
from data.aspect_buckets import AspectBuckets, BucketsConfig
from data.changed_pictures import Converted
from data.decode import UnreadableError, to_rgb
from data.drawn_box import trimmed
from data.near_duplicates import fingerprint

Fit = Literal["crop", "pad"]
"""How a picture takes another shape: cut on its longer side, or padded with the background."""
SMALLEST = 16
"""Pixels of the shorter side; a smaller image is dropped."""


@dataclass(frozen=True)
class Form:
    """How one file becomes one picture of the set."""

    size: int
    """Pixels of the square's side."""
    background: tuple[int, int, int]
    """RGB of 0 to 255, under what is transparent and around what is padded."""
    fit: Fit
    trim: bool = False
    """Whether only the square around what is drawn is kept, of pictures on a ground of one colour."""
    buckets: AspectBuckets | None = None
    """The sizes that pictures take in place of the square."""

    @classmethod
    def checked(
        cls, size: int, background: str, fit: str, trim: bool = False, buckets: BucketsConfig | None = None
    ) -> Self:
        """A form from what a user writes. BadInput: a size out of range, an unknown colour or fit, no bucket, or both ways."""
        if trim and buckets:
            raise BadInput("trim keeps a square, buckets keep the picture's shape: accepted is one of them")
        checked = _checked_size(size)
        sizes = AspectBuckets.of(buckets, checked) if buckets else None
        return cls(checked, _colour(background), _checked_fit(fit), trim, sizes)

    def convert(self, source: Path, target: Path) -> Converted:
        """Write `source` as a PNG of the square or its bucket to `target`.

        UnreadableError: the file gives no image, or a smaller one than `SMALLEST`.
        """
        image = to_rgb(source, self.background)
        if min(image.size) < SMALLEST:
            raise UnreadableError(f"smaller than {SMALLEST} pixels")
        shown = trimmed(image) if self.trim else image
        resized = self.resize(shown)
        resized.save(target, compress_level=1)
        return Converted(fingerprint(image), shown.size, resized.size)

    def resize(self, image: Image.Image) -> Image.Image:
        """The RGB image at (size, size) or in its bucket, cropped or padded as `fit` says."""
        box = self.buckets.nearest(image.size) if self.buckets else (self.size, self.size)
        if self.fit == "crop":
            return ImageOps.fit(image, box, Image.Resampling.LANCZOS)
        return ImageOps.pad(image, box, Image.Resampling.LANCZOS, color=self.background)


def _checked_size(size: int) -> int:
    if not SMALLEST <= size <= 4096:
        raise BadInput(f"size {size}: accepted are {SMALLEST} to 4096 pixels")
    return size


def _checked_fit(fit: str) -> Fit:
    if fit not in get_args(Fit):
        raise BadInput(f"fit '{fit}': accepted are crop and pad")
    return cast(Fit, fit)


def _colour(background: str) -> tuple[int, int, int]:
    try:
        red, green, blue = ImageColor.getrgb(background)[:3]
    except ValueError:
        raise BadInput(
            f"background '{background}': accepted are names such as white and codes such as #ffcc00"
        ) from None
    return red, green, blue
