"""Distances between two sets of features: Fréchet, KID, precision and recall; it knows nothing of images.

Shapes: `N` `M` rows of the two sets, `D` width of a feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float64]
"""`(N, D)` float64."""

NEIGHBOURS = 3
"""k of precision and recall: each set needs one row more."""


@dataclass(frozen=True)
class Spread:
    """A figure estimated several times: its mean and the standard deviation of the estimates."""

    mean: float
    deviation: float


def frechet(first: Features, second: Features) -> float:
    """Fréchet distance between Gaussians fitted to rows `(N, D)` and `(M, D)` (FID, arXiv 1706.08500, equation 6).

    The covariances are divided by N − 1. The trace of (Σ₁Σ₂)^½ is taken as the sum of singular values of Σ₁^½Σ₂^½, which
    is symmetric, real and never negative however few rows there are.
    """
    assert min(len(first), len(second)) >= 2, "a covariance needs two rows"
    mean = float(np.square(first.mean(axis=0) - second.mean(axis=0)).sum())
    roots = _scatter(first), _scatter(second)  # Σ = RᵀR
    traces = float(sum(np.square(root).sum() for root in roots))
    overlap = float(np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum())
    return max(mean + traces - 2 * overlap, 0.0)


def frechet_deviation(real: Features, generated: Features, times: int = 20, seed: int = 0) -> float:
    """How far a Fréchet distance moves with the draw of its images: the deviation over bootstraps.

    Real rows `(N, D)`, generated rows `(M, D)`, which are drawn with replacement. Of one trained network and one set of
    reals: what another training would give, it does not say.
    """
    rng = np.random.Generator(np.random.Philox(key=seed))
    estimates = [frechet(real, generated[rng.integers(len(generated), size=len(generated))]) for _ in range(times)]
    return float(np.std(estimates))


def _scatter(rows: Features) -> Features:
    """The upper triangle R `(≤D, D)` of centred rows / √(N − 1), so that `RᵀR` is the covariance."""
    centred = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r"), dtype=np.float64)


def kid(first: Features, second: Features, subsets: int = 50, size: int = 100, seed: int = 0) -> Spread:
    """Kernel Inception Distance: unbiased MMD² with the kernel (x·y/D + 1)³ (arXiv 1801.01401, equation 4), over subsets.

    Rows `(N, D)` and `(M, D)`. `size` shrinks to the smaller set; negative values are what an unbiased estimate of zero
    looks like.
    """
    size = min(size, len(first), len(second))
    assert size >= 2, "an unbiased estimate needs two rows"
    rng = np.random.Generator(np.random.Philox(key=seed))
    draws = [
        mmd(rng.choice(first, size, replace=False), rng.choice(second, size, replace=False)) for _ in range(subsets)
    ]
    return Spread(float(np.mean(draws)), float(np.std(draws)))


def mmd(first: Features, second: Features) -> float:
    """The unbiased squared maximum mean discrepancy of all rows `(N, D)` and `(M, D)` under KID's kernel."""
    within = [(kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1)) for kernel in
              (_kernel(first, first), _kernel(second, second))]  # fmt: skip
    return float(within[0] + within[1] - 2 * _kernel(first, second).mean())


def _kernel(first: Features, second: Features) -> Features:
    """`(N, D)`, `(M, D)` → `(N, M)`."""
    return np.asarray((first @ second.T / first.shape[1] + 1) ** 3, dtype=np.float64)


def precision_recall(real: Features, generated: Features, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """Improved precision and recall (arXiv 1904.06991, equation 2): shares of rows inside the other set's k-NN balls.

    Real rows `(M, D)`, generated rows `(N, D)`; k is `neighbours`.
    """
    assert min(len(real), len(generated)) > neighbours, f"{neighbours} neighbours need more rows than that"
    across = distances(generated, real)  # (N, M)
    precision = (across <= _radii(real, neighbours)).any(axis=1).mean()
    recall = (_radii(generated, neighbours) >= across.T).any(axis=1).mean()
    return float(precision), float(recall)


def _radii(rows: Features, neighbours: int) -> Features:
    """Distance of each row to its k-th neighbour, `(N, D)` → `(N,)`; index 0 is the row itself."""
    return np.asarray(np.partition(distances(rows, rows), neighbours, axis=1)[:, neighbours], dtype=np.float64)


def neighbours(rows: Features, training: Features, count: int) -> tuple[NDArray[np.intp], Features]:
    """The `count` training rows `(M, D)` nearest to each row `(N, D)`: indices and distances `(N, count)`, nearest first."""
    apart = distances(rows, training)
    indices = np.argsort(apart, axis=1, kind="stable")[:, :count]
    return indices, np.take_along_axis(apart, indices, axis=1)


def diversity(groups: Features) -> float:
    """Mean distance between two seeds of a prompt: rows `(P, N, D)` of P prompts under N seeds each."""
    count = groups.shape[1]
    assert count >= 2, "diversity needs several rows of each prompt"
    return float(np.mean([distances(group, group)[np.triu_indices(count, 1)].mean() for group in groups]))


def distances(first: Features, second: Features) -> Features:
    """Euclidean distances `(N, M)` between rows `(N, D)` and `(M, D)`."""
    squares = np.square(first).sum(axis=1)[:, None] + np.square(second).sum(axis=1) - 2 * first @ second.T
    return np.sqrt(np.maximum(squares, 0.0))
