"""Figures of the pixels themselves: high frequencies, spread, error; it knows no network.

Shapes: `N` batch, `P` prompts, `H W` pixels.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from metrics.distances import Features, distances

Images = NDArray[np.uint8]
"""`(N, H, W, 3)` uint8 RGB."""

LUMINANCE = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601."""


def laplacian(images: Images) -> float:
    """Mean absolute 4-neighbour Laplacian of the luminance of images `(N, H, W, 3)`, in grey levels; the border is left out."""
    grey = images @ LUMINANCE  # (N, H, W)
    inner = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return float(np.abs(4 * inner - around).mean())


def spread(images: NDArray[np.uint8]) -> float:
    """Pixel spread at a fixed prompt, in grey levels: images `(P, N, H, W, 3)` of P prompts under N seeds each.

    The standard deviation of each pixel over the seeds (divided by N − 1), averaged over pixels and prompts.
    """
    assert images.ndim == 5 and images.shape[1] >= 2, "a spread needs several images of each prompt"
    return float(images.astype(np.float64).std(axis=1, ddof=1).mean())


def psnr(found: Images, expected: Images) -> float:
    """Peak signal-to-noise ratio in dB of two sets `(N, H, W, 3)`, of their common mean square error; 100 at most."""
    error = float(np.mean((found.astype(np.float64) - expected) ** 2))
    return min(100.0, 10 * math.log10(255**2 / error)) if error else 100.0


def mean_psnr(first: Images, second: Images) -> float:
    """Mean of the pairs' own ratios in dB, of two sets `(N, H, W, 3)`; infinite where all images are equal."""
    squares = np.square(first.astype(np.float64) - second).reshape(len(first), -1).mean(axis=1)
    if not squares.any():
        return math.inf
    return float(np.mean(10 * np.log10(255**2 / np.maximum(squares, 1e-3))))  # equal images count as 78 dB


def nearest(rows: Features, training: Features) -> float:
    """Median distance of rows `(N, D)` to their nearest training row `(M, D)`; far below held-out reals' they repeat."""
    return float(np.median(distances(rows, training).min(axis=1)))
