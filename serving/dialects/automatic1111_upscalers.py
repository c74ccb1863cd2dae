"""Automatic1111's upscalers that are no networks: a picture resized by a factor or into a size; it knows no HTTP.

A part of the dialect in `automatic1111.py`.
"""

from __future__ import annotations

from PIL import Image, ImageOps

from base.errors import BadInput

UPSCALERS = {"None": None, "Lanczos": Image.Resampling.LANCZOS, "Nearest": Image.Resampling.NEAREST}
"""Name → how it resizes; None changes nothing, as in the web UI."""


def upscaled(picture: Image.Image, upscaler: str, size: tuple[float, float], cut: bool, most: int) -> Image.Image:
    """`picture` covering `size` (W, H), with `cut` of exactly that size. BadInput: no such upscaler, a side above `most`."""
    if upscaler not in UPSCALERS:
        raise BadInput(f"upscaler_1 {upscaler!r:.40} is not offered; accepted: {', '.join(UPSCALERS)}")
    resample = UPSCALERS[upscaler]
    if resample is None:
        return picture
    scale = max(size[0] / picture.width, size[1] / picture.height)
    around = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    if max(around) > most:
        raise BadInput(f"the picture would have {around[0]}x{around[1]} pixels; accepted: sides of at most {most}")
    if cut:
        return ImageOps.fit(picture, (max(1, round(size[0])), max(1, round(size[1]))), resample)
    return picture.resize(around, resample)
