"""Drawn images → files, and files → images to start from; it knows nothing about what draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from base.errors import BadInput
from base.files import atomic_file

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def write(images: NDArray[np.uint8], out: Path, columns: int, grid: bool) -> list[Path]:
    """Write `(N, H, W, 3)` as `out`, as `out-0`, `out-1`, … where there are several, or as one grid."""
    if out.suffix.lower() not in FORMATS:
        raise BadInput(f"{out}: unknown image format '{out.suffix}'; accepted: {', '.join(FORMATS)}")
    if not out.parent.is_dir():
        raise BadInput(f"{out.parent} is no folder")
    if grid:
        return [_save(tile(images, columns), out)]
    if len(images) == 1:
        return [_save(images[0], out)]
    return [_save(image, out.with_stem(f"{out.stem}-{number}")) for number, image in enumerate(images)]


def read(file: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture → `(H, W, 3)` of `size` (W, H), as `fit` makes it. BadInput: no picture that can be read."""
    try:
        with Image.open(file) as picture:
            return fit(picture, size)
    except FileNotFoundError as error:
        raise BadInput(f"no image {file}") from error
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BadInput(f"{file} is no image that can be read") from error


def fit(picture: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """`(H, W, 3)` of `size` (W, H): turned upright, transparency on white, the middle cut out, then scaled."""
    upright = ImageOps.exif_transpose(picture).convert("RGBA")
    white = Image.new("RGBA", upright.size, "white")
    return np.array(ImageOps.fit(Image.alpha_composite(white, upright).convert("RGB"), size, Image.Resampling.LANCZOS))


def tile(images: NDArray[np.uint8], columns: int, gap: int = 2) -> NDArray[np.uint8]:
    """`(N, H, W, 3)` → one picture, row by row, with a white gap."""
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for number, image in enumerate(images):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def _save(pixels: NDArray[np.uint8], file: Path) -> Path:
    with atomic_file(file) as hidden:
        Image.fromarray(pixels).save(hidden, FORMATS[file.suffix.lower()])
    return file
