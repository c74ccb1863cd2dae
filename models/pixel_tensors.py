"""Images as tensors in [−1, 1] ↔ images as bytes, with the arithmetic of `models/pixels.py`; it knows no pipeline.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.pixels import from_levels, to_levels


def to_uint8(images: Tensor) -> NDArray[np.uint8]:
    """`(N, 3, H, W)` in [−1, 1] → `(N, H, W, 3)` uint8 on the host, rounded to nearest."""
    return as_bytes(images.float()).cpu().numpy()


def from_uint8(images: NDArray[np.uint8]) -> Tensor:
    """`(N, H, W, 3)` uint8 → `(N, 3, H, W)` float32 in [−1, 1] on the host."""
    levels: Tensor = from_levels(torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float())
    return levels


def as_bytes(images: Tensor) -> Tensor:
    """`(N, 3, H, W)` float32 in [−1, 1] → `(N, H, W, 3)` uint8 where it lies, without a branch."""
    pixels: Tensor = to_levels(images).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous()
