"""Pixels as bytes and as numbers in [−1, 1], for numpy and for a graph that is written; it knows no torch.

Tensors are in `models/pixel_tensors.py`. Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = Any
"""A numpy array, a tensor, or the symbol of one."""

HALF = 127.5
"""Half the range of a byte: −1 becomes 0, and 1 becomes 255."""


def to_levels(images: Array) -> Array:
    """Numbers of any shape, cut to [−1, 1] → grey levels from 0 to 255, not rounded yet."""
    return (images.clip(-1.0, 1.0) + 1.0) * HALF


def from_levels(levels: Array) -> Array:
    """Grey levels of any shape from 0 to 255, as floats → numbers in [−1, 1]."""
    return levels / HALF - 1.0


def to_bytes(images: NDArray[np.floating]) -> NDArray[np.uint8]:
    """`(N, 3, H, W)` in [−1, 1] → `(N, H, W, 3)` uint8, rounded to nearest."""
    pixels = np.rint(to_levels(images)).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def from_bytes(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """`(N, H, W, 3)` uint8 → `(N, 3, H, W)` float32 in [−1, 1]."""
    levels = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32)
    return np.asarray(from_levels(levels))
