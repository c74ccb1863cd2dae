"""Is it what was requested: images are named by the nearest label's prototype; it knows no network and no generator.

Shapes: `N` batch, `L` labels, `D` width of an embedding, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.distances import Features

Labels = NDArray[np.int64]
"""`(N,)` int64."""


@dataclass(frozen=True)
class Accuracy:
    """Shares of images whose own label is the nearest, and among the five nearest."""

    top1: float
    top5: float


@dataclass(frozen=True)
class Prototypes:
    """One direction a label, `(L, D)` of length 1, and the label of each row."""

    directions: Features
    labels: Labels

    @classmethod
    def of(cls, embeddings: Features, labels: Labels) -> Prototypes:
        """The mean embedding of each label's real images (prototypical networks, arXiv 1703.05175, equation 1).

        Embeddings `(N, D)` with their labels `(N,)`. A label that no judge was trained on has one as well, as long as
        there are real images of it.
        """
        names = np.unique(labels)
        means = np.stack([embeddings[labels == name].mean(axis=0) for name in names])
        return cls(means / np.linalg.norm(means, axis=1, keepdims=True), names)

    def ranked(self, embeddings: Features) -> Labels:
        """All labels from the nearest by cosine to the farthest: `(N, D)` → `(N, L)`."""
        return self.labels[np.argsort(-embeddings @ self.directions.T, axis=1, kind="stable")]

    def accuracy(self, embeddings: Features, labels: Labels) -> Accuracy:
        """How often embeddings `(N, D)` are taken for the labels `(N,)` that were requested."""
        hits = self.ranked(embeddings)[:, :5] == labels[:, None]
        return Accuracy(float(hits[:, 0].mean()), float(hits.any(axis=1).mean()))


def background_colour(images: NDArray[np.uint8]) -> Features:
    """The colour of the background, the median of the outermost pixels: `(N, H, W, 3)` → `(N, 3)`."""
    ring = [images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1]]
    return np.asarray(np.median(np.concatenate(ring, axis=1), axis=1), dtype=np.float64)


def background_colours(images: NDArray[np.uint8], names: Sequence[str | None]) -> dict[str, Features]:
    """The median background colour `(3,)` of the real images `(N, H, W, 3)` under each of N names."""
    colours = background_colour(images)
    known = sorted({name for name in names if name is not None})
    return {name: np.median(colours[[other == name for other in names]], axis=0) for name in known}


def background_hits(
    images: NDArray[np.uint8], requested: Sequence[str | None], colours: Mapping[str, Features]
) -> list[bool]:
    """Whether the named colour nearest to an image's background is the requested one: images `(N, H, W, 3)`, N names or None.

    Images that no background was requested for are left out.
    """
    if not colours:
        return []
    names = list(colours)
    apart = np.linalg.norm(background_colour(images)[:, None] - np.stack([colours[name] for name in names]), axis=2)
    nearest = [names[index] for index in apart.argmin(axis=1)]
    return [own == name for own, name in zip(nearest, requested, strict=True) if name is not None]
