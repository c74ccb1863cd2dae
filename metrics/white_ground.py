"""How white a white ground is around what is drawn on it; it knows no network and no generator.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metrics.features import Images

LEVEL = 4
"""Of 255: what differs from white by more is seen as dirt."""
MARGIN = 3
"""Pixels of 128 around a picture that still belong to its edge."""


def stray_share(images: Images, reals: Images, level: int = LEVEL) -> float:
    """The share of pixels outside the picture that differ from white by more than `level` in any channel.

    Images and real ones of the same things on white `(N, H, W, 3)`, pair by pair: outside is what is white in the real one, up
    to its edge. NaN where nothing is outside, or there are no images.
    """
    assert images.shape == reals.shape, f"images {images.shape} and reals {reals.shape} must be pairs"
    if not len(images):
        return float("nan")
    outside = ~_grown(_not_white(reals, 0), round(MARGIN * images.shape[1] / 128))  # (N, H, W)
    if not outside.any():
        return float("nan")
    return float(_not_white(images, level)[outside].mean())


def _not_white(images: Images, level: int) -> NDArray[np.bool_]:
    """`(N, H, W, 3)` → `(N, H, W)`."""
    return np.asarray((images.astype(np.int16) < 255 - level).any(axis=3))


def _grown(mask: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """A mask `(N, H, W)` and whatever lies within a square of `margin` pixels around it."""
    height, width = mask.shape[1:]
    padded = np.pad(mask, ((0, 0), (margin, margin), (margin, margin)))
    rows = np.any([padded[:, turn : turn + height] for turn in range(2 * margin + 1)], axis=0)
    return np.asarray(np.any([rows[:, :, turn : turn + width] for turn in range(2 * margin + 1)], axis=0))
