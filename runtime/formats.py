"""The image formats that ippo writes: their names, endings and media types. It knows no pixel."""

from __future__ import annotations

from typing import Literal

Format = Literal["png", "jpeg", "webp"]
MEDIA_TYPE: dict[Format, str] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
ENDINGS: dict[str, Format] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
"""A file's ending, in lower case → its format."""
QUALITY = 90
"""Quality of JPEG and WebP where a request names none."""
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".svg", ".pdf")
"""Endings of what people take for a picture, in lower case; not all of it is read."""
