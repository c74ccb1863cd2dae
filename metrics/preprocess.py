"""How a pretrained network prepares its images, from its `preprocessor_config.json`; it knows no network.

Shapes: `N` batch, `H W` pixels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional
from transformers.utils import cached_file

from base.errors import BadInput

FILE = "preprocessor_config.json"
MODES = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of the two filters that feature networks use."""


@dataclass(frozen=True)
class Preprocess:
    """Resize, crop the centre, normalise."""

    height: int
    width: int
    shortest: bool
    """`height` is that of the shorter edge and the shape is kept; else the image becomes height × width."""
    crop: tuple[int, int] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mode: str = "bicubic"

    def __call__(self, images: Tensor) -> Tensor:
        """`(N, 3, H, W)` in [−1, 1] → `(N, 3, height, width)`, normalised for the network."""
        images = ((resize(images, self._size(images), self.mode) + 1) / 2).clamp(0, 1)
        if self.crop is not None:
            top, left = ((own - cut) // 2 for own, cut in zip(images.shape[2:], self.crop, strict=True))
            images = images[:, :, top : top + self.crop[0], left : left + self.crop[1]]
        mean, std = (images.new_tensor(row).view(1, 3, 1, 1) for row in (self.mean, self.std))
        return (images - mean) / std

    def _size(self, images: Tensor) -> tuple[int, int]:
        if not self.shortest:
            return self.height, self.width
        factor = self.height / min(images.shape[2:])
        height, width = (max(self.height, round(side * factor)) for side in images.shape[2:])
        return height, width


def resize(images: Tensor, size: tuple[int, int], mode: str = "bicubic") -> Tensor:
    """Antialiased, as Pillow resizes: `(N, 3, H, W)` → `(N, 3, *size)`."""
    if tuple(images.shape[2:]) == size:
        return images
    return functional.interpolate(images, size, mode=mode, align_corners=False, antialias=True)


def read(name: str | Path, side: int) -> Preprocess:
    """Read the preprocessing of a folder or Hub name; without the file, `side`² in [−1, 1] (as `ippo train clip` sees them)."""
    file = cached_file(str(name), FILE, _raise_exceptions_for_missing_entries=False)
    return Preprocess(side, side, False, None, (0.5,) * 3, (0.5,) * 3) if file is None else parse(_load(Path(file)))


def parse(values: Mapping[str, Any]) -> Preprocess:
    """The fields of Hugging Face's image processors. BadInput: no size there."""
    size = values.get("size")
    shortest = isinstance(size, Mapping) and "shortest_edge" in size
    if isinstance(size, int):  # old files: the shorter edge where a crop follows, else both
        height, width, shortest = size, size, bool(values.get("do_center_crop"))
    elif isinstance(size, Mapping) and (shortest or {"height", "width"} <= set(size)):
        height, width = (size["shortest_edge"],) * 2 if shortest else (size["height"], size["width"])
    else:
        raise BadInput(f"{FILE} gives no size: it needs shortest_edge, or height and width")
    crop = values.get("crop_size", size) if values.get("do_center_crop") else None
    if isinstance(crop, Mapping):
        crop = (crop["height"], crop["width"])
    elif crop is not None:
        crop = (crop, crop)
    mean, std = (tuple(values.get(key, (0.5,) * 3)) for key in ("image_mean", "image_std"))
    return Preprocess(height, width, shortest, crop, mean, std, MODES.get(values.get("resample", 3), "bicubic"))


def _load(file: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(file.read_text())
    return values
