"""One image file, of any kind Pillow reads, to plain RGB pixels; it knows nothing of captions, sizes or folders."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from base.pointers import absence

SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".ico", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pcx", ".pgm", ".png", ".ppm", ".qoi", ".tga", ".tif", ".tiff", ".webp"),
)
"""Endings of the files that are read as images."""
FOREIGN_SUFFIXES = (".cr2", ".dng", ".eps", ".heic", ".heif", ".jxl", ".mp4", ".nef", ".pdf", ".psd", ".svg", ".webm")
"""Endings of pictures and films that are not read, and are listed so that nobody misses them."""
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
"""Pillow's modes of greys deeper than 8 bits."""
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, MemoryError, OverflowError),
    struct.error,
)
"""What Pillow raises of damaged files."""


class UnreadableError(Exception):
    """Why a file gives no image, in a few words."""


def to_rgb(source: Path | bytes, background: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """The first frame as upright 8-bit sRGB, transparency over `background`.

    UnreadableError: no image, a damaged one, or so many pixels that it may be a bomb.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
                raise Image.DecompressionBombError
            image.load()
            return _opaque(_srgb(ImageOps.exif_transpose(image)), background)
    except Image.DecompressionBombError:
        raise UnreadableError(f"more than {Image.MAX_IMAGE_PIXELS} pixels: too large") from None
    except UnidentifiedImageError:
        raise UnreadableError(_absence(source) or "not an image") from None
    except FileNotFoundError:
        raise UnreadableError(_absence(source) or "damaged or truncated image") from None
    except _DAMAGE:
        raise UnreadableError("damaged or truncated image") from None


def _absence(source: Path | bytes) -> str | None:
    why = absence(source) if isinstance(source, Path) else None
    return why and why.removeprefix("is ")


def _srgb(image: Image.Image) -> Image.Image:
    """Deep greys to 8 bits, and the colours of an embedded profile (CMYK, Display P3, …) to sRGB."""
    if image.mode in _DEEP:
        return _eight_bits(image)
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "CMYK"):
        try:
            embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, embedded, ImageCms.createProfile("sRGB"), outputMode="RGB")
            return converted or image
        except (OSError, ImageCms.PyCMSError):
            return image  # a broken profile: the colours as they stand
    return image


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit and float greys to L. A float image is read as 0 to 1, or as 0 to its brightest pixel if that is more."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    brightest = values.max(initial=0)
    full = 255 if image.mode == "I" and brightest <= 255 else 65535
    if image.mode == "F":
        full = max(brightest, 1)
    return Image.fromarray(np.clip(values * (255 / full) + 0.5, 0, 255).astype(np.uint8))


def _opaque(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    below = Image.new("RGBA", image.size, (*background, 255))
    return Image.alpha_composite(below, image.convert("RGBA")).convert("RGB")
