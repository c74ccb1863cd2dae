"""Gaussian noise drawn on the host, one stream an image, the same for every backend; it knows numpy and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_SEED = 2**63 - 1
"""The largest seed; the smallest is 0."""


def gaussian(seeds: Sequence[int], steps: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Standard normal noise `(steps, N, *shape)`: image i depends on `seeds[i]` alone, never on its neighbours."""
    streams = [np.random.Generator(np.random.Philox(key=seed)) for seed in seeds]
    return np.stack([stream.standard_normal((steps, *shape), dtype=np.float32) for stream in streams], axis=1)


def chosen(seed: int, count: int) -> int:
    """One of the numbers 0 to `count` − 1 by the seed, from a stream beside that of its noise: they are independent."""
    key = np.array([seed % 2**64, 1], np.uint64)  # a seed out of range is refused where it is drawn with
    return int(np.random.Philox(key=key).random_raw()) % count
