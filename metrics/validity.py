"""Is the judge fit to judge: does its distance rise as real images are spoilt? It knows no generator.

Shapes: `N` batch, `H W` pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics import distances
from metrics.features import Extract, Images

BLURS = (0.5, 1.0, 2.0)
"""Standard deviations of a Gaussian, in pixels."""
NOISES = (4.0, 16.0, 64.0)
"""Standard deviations of white noise, in grey levels of 255."""
DROPS = (0.25, 0.5, 0.75)
"""Shares of the labels that are left out."""
MARGIN = 1.5
"""How much farther than the teacher the reals blurred by σ = 1 must lie."""


@dataclass(frozen=True)
class Validity:
    """Fréchet distances of spoilt held-out reals from the held-out reals, in the order of `BLURS`, `NOISES`, `DROPS`."""

    blur: tuple[float, ...]
    noise: tuple[float, ...]
    dropped: tuple[float, ...]
    teacher: float
    """The teacher's own distance."""

    @property
    def margin(self) -> float:
        """FD of the reals blurred by σ = 1 px ÷ FD of the teacher."""
        return self.blur[BLURS.index(1.0)] / max(self.teacher, 1e-12)

    @property
    def rises(self) -> bool:
        """Whether each distance rises with the damage."""
        return all(list(row) == sorted(set(row)) for row in (self.blur, self.noise, self.dropped))

    @property
    def valid(self) -> bool:
        """Whether figures of this judge mean anything."""
        return self.rises and self.margin >= MARGIN


def examine(extract: Extract, images: Images, labels: NDArray[np.int64], teacher: float) -> Validity:
    """Spoil held-out reals `(N, H, W, 3)` with labels `(N,)` in three ways; `teacher` is its FD from the same reals."""
    reals = extract(images)

    def distance(spoilt: Images) -> float:
        return distances.frechet(reals, extract(spoilt))

    return Validity(
        blur=tuple(distance(blurred(images, sigma)) for sigma in BLURS),
        noise=tuple(distance(noisy(images, level)) for level in NOISES),
        dropped=tuple(distances.frechet(reals, reals[_remaining(labels, share)]) for share in DROPS),
        teacher=teacher,
    )


def blurred(images: Images, sigma: float) -> Images:
    """Gaussian blur of σ pixels of images `(N, H, W, 3)`, the border's colour continued."""
    reach = int(np.ceil(3 * sigma))
    weights = np.exp(-np.square(np.arange(-reach, reach + 1) / sigma) / 2)
    pixels = images.astype(np.float64)
    for axis in (1, 2):
        padding = [(reach, reach) if dimension == axis else (0, 0) for dimension in range(4)]
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(pixels, padding, mode="edge"), len(weights), axis)
        pixels = windows @ (weights / weights.sum())
    return np.rint(pixels).astype(np.uint8)


def noisy(images: Images, level: float, seed: int = 0) -> Images:
    """White noise of standard deviation `level` grey levels on images `(N, H, W, 3)`, clipped."""
    noise = np.random.Generator(np.random.Philox(key=seed)).standard_normal(images.shape)
    return np.rint(np.clip(images + level * noise, 0, 255)).astype(np.uint8)


def _remaining(labels: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Which rows are left, `(N,)`, where this share of the labels is dropped; two rows at least, as a covariance needs."""
    names, counts = np.unique(labels, return_counts=True)
    least = 1 + int(np.searchsorted(np.cumsum(counts), 2))
    return np.isin(labels, names[: max(least, round(len(names) * (1 - share)))])
