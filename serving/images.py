"""Pixels → PNG, JPEG or WebP with their provenance inside; it knows nothing about models or HTTP."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, PngImagePlugin

from serving.config import Format

MEDIA_TYPE: dict[Format, str] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
QUALITY = 90
"""Of JPEG and WebP, when a request names none."""


@dataclass(frozen=True)
class Provenance:
    """Where a picture came from: enough to draw it again."""

    inputs: Mapping[str, str]
    """`{"prompt": …}` or `{"label": …}`, whichever the model was asked with."""
    seed: int
    steps: int
    model: str
    software: str = "ippo"

    def told(self) -> dict[str, str | int]:
        """By name, as the file holds it."""
        others = ("seed", "steps", "model", "software")
        return {**self.inputs, **{name: getattr(self, name) for name in others}}


def encode(pixels: NDArray[np.uint8], format: Format, provenance: Provenance, quality: int = QUALITY) -> bytes:
    """`pixels` (H, W, 3) → a file's bytes. PNG carries provenance as text chunks, JPEG and WebP as JSON in EXIF.

    PNG is level 1 and WebP method 0: five times faster than the defaults for a few per cent of size.
    """
    image, file = Image.fromarray(pixels), io.BytesIO()
    if format == "png":
        image.save(file, "PNG", compress_level=1, pnginfo=_text_chunks(provenance))
    else:
        image.save(file, format.upper(), quality=quality, method=0, exif=_exif(provenance))
    return file.getvalue()


def _text_chunks(provenance: Provenance) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for name, value in provenance.told().items():
        chunks.add_text(name, str(value))
    return chunks


def _exif(provenance: Provenance) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = json.dumps(provenance.told())  # ASCII, as EXIF wants it
    exif[ExifTags.Base.Software] = provenance.software
    return exif
