"""Real images with captions and labels, and even choices among them; it knows no folder and no network.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelledImages:
    """Images `(N, H, W, 3)` uint8, their captions, labels `(N,)`, and the background that a caption names, if it does."""

    images: NDArray[np.uint8]
    captions: tuple[str, ...]
    labels: NDArray[np.int64]
    backgrounds: tuple[str | None, ...] = ()
    """None of any where nobody says."""

    def __post_init__(self) -> None:
        if not self.backgrounds:
            object.__setattr__(self, "backgrounds", (None,) * len(self))

    def __len__(self) -> int:
        return len(self.captions)

    def rows(self, indices: NDArray[np.intp]) -> LabelledImages:
        """The rows at `indices` `(M,)`, in that order."""
        captions = tuple(self.captions[index] for index in indices)
        backgrounds = tuple(self.backgrounds[index] for index in indices)
        return LabelledImages(self.images[indices], captions, self.labels[indices], backgrounds)

    def even(self, count: int, seed: int = 0) -> LabelledImages:
        """`count` rows, or all: labels take turns, in an order drawn by `seed`, so that none is missed or doubled."""
        rng = np.random.Generator(np.random.Philox(key=seed))
        order = rng.permutation(len(self))
        turns = np.empty(len(self), dtype=np.int64)
        for name in np.unique(self.labels):
            own = order[self.labels[order] == name]
            turns[own] = np.arange(len(own))
        return self.rows(order[np.argsort(turns[order], kind="stable")][:count])

    def alike(self, other: LabelledImages, seed: int = 0) -> LabelledImages:
        """A row for each of `other`, of the same label where there is one: the same shares, so that only images differ.

        A row comes twice only where its label has fewer rows here than there.
        """
        rng = np.random.Generator(np.random.Philox(key=seed))
        order, counts = rng.permutation(len(self)), dict[int, int]()
        indices = []
        for name in other.labels.tolist():
            own = order[self.labels[order] == name]
            own = own if len(own) else order
            indices.append(own[counts.get(name, 0) % len(own)])
            counts[name] = counts.get(name, 0) + 1
        return self.rows(np.array(indices, dtype=np.intp))


def join(sets: Sequence[LabelledImages]) -> LabelledImages:
    """All rows of several sets."""
    return LabelledImages(
        np.concatenate([one.images for one in sets]),
        tuple(caption for one in sets for caption in one.captions),
        np.concatenate([one.labels for one in sets]),
        tuple(background for one in sets for background in one.backgrounds),
    )
