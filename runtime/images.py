"""Pixels → PNG, JPEG or WebP with their provenance inside, and files → images to start from; it knows nothing about what draws.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from base.errors import BadInput
from base.files import atomic_file
from runtime.formats import ENDINGS, QUALITY, Format
from runtime.provenance import Provenance

MAX_PIXELS = 1 << 24
"""Most pixels of an image that a client sends: a small file can hold a huge image."""


def encode(
    pixels: NDArray[np.uint8], format: Format, provenance: Provenance | None = None, quality: int = QUALITY
) -> bytes:
    """Pixels `(H, W, 3)` → a file's bytes. PNG carries provenance as text chunks, JPEG and WebP as JSON in EXIF; all as XMP.

    PNG is level 1 and WebP method 0: five times faster than the defaults for a few per cent of size.
    """
    image, file = Image.fromarray(pixels), io.BytesIO()
    if format == "png":
        image.save(file, "PNG", compress_level=1, pnginfo=provenance.text_chunks() if provenance else None)
    else:
        metadata = {"exif": provenance.exif(), "xmp": provenance.xmp()} if provenance else {}
        image.save(file, format.upper(), quality=quality, method=0, **metadata)
    return file.getvalue()


def decode(file: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A client's PNG, JPEG or WebP → `(H, W, 3)` of `size` (W, H), as `fit` makes it. BadInput: none of these, or too large."""
    try:
        with Image.open(io.BytesIO(file), formats=("PNG", "JPEG", "WEBP")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise BadInput(f"image has {picture.width}x{picture.height} pixels; at most {MAX_PIXELS} are accepted")
            return fit(picture, size)
    except BadInput:
        raise
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BadInput("image cannot be read; accepted: PNG, JPEG or WebP") from error


def write(images: NDArray[np.uint8], provenance: Sequence[Provenance], out: Path) -> list[Path]:
    """Write images `(N, H, W, 3)` and where each came from as `out`, or where there are several as `out-0`, `out-1`, …

    BadInput: as `check_out`.
    """
    format = check_out(out)
    names = [out] if len(images) == 1 else [out.with_stem(f"{out.stem}-{number}") for number in range(len(images))]
    for file, image, source in zip(names, images, provenance, strict=True):
        with atomic_file(file) as hidden:
            hidden.write_bytes(encode(image, format, source))
    return names


def check_out(out: Path) -> Format:
    """The format of a file to write, by its ending. BadInput: another ending, or no such folder."""
    if out.suffix.lower() not in ENDINGS:
        raise BadInput(f"{out}: unknown image format '{out.suffix}'; accepted: {', '.join(ENDINGS)}")
    if not out.parent.is_dir():
        raise BadInput(f"{out.parent} is no folder")
    return ENDINGS[out.suffix.lower()]


def read(file: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image file → `(H, W, 3)` of `size` (W, H), as `fit` makes it. BadInput: no image that can be read."""
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
    """Images `(N, H, W, 3)` → one of all `(rows·(H + gap) − gap, columns·(W + gap) − gap, 3)`, row by row on white."""
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for number, image in enumerate(images):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas
