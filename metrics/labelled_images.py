"""Real images with captions and labels, and even choices among them; it knows no folder and no network.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    attributes: tuple[tuple[str, ...], ...] = ()
    """What each image shows besides its label; none of any where nobody says."""

    def __post_init__(self) -> None:
        if not self.backgrounds:
            object.__setattr__(self, "backgrounds", (None,) * len(self))
        if not self.attributes:
            object.__setattr__(self, "attributes", ((),) * len(self))

    def __len__(self) -> int:
        return len(self.captions)

    def rows(self, indices: NDArray[np.intp]) -> LabelledImages:
        """The rows at `indices` `(M,)`, in that order."""
        captions = tuple(self.captions[index] for index in indices)
        backgrounds = tuple(self.backgrounds[index] for index in indices)
        attributes = tuple(self.attributes[index] for index in indices)
        return LabelledImages(self.images[indices], captions, self.labels[indices], backgrounds, attributes)

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

        Of several it is one that shows the same attributes, or most of them and little else. A row comes twice only where its
        label has fewer rows here than there.
        """
        rng = np.random.Generator(np.random.Philox(key=seed))
        order, uses = rng.permutation(len(self)), dict[int, NDArray[np.int64]]()
        names = {name: column for column, name in enumerate(sorted({name for row in other.attributes for name in row}))}
        ours, theirs = _shown(self.attributes, names), _shown(other.attributes, names)  # (N, A), (M, A)
        sizes = np.array([len(row) for row in self.attributes])  # those that nobody there shows count as well
        indices = []
        for row, label in enumerate(other.labels.tolist()):
            own = order[self.labels[order] == label]
            own = own if len(own) else order
            apart = sizes[own] - 2 * (ours[own] @ theirs[row])  # of equal label the distance but for a constant
            used = uses.setdefault(label, np.zeros(len(own), np.int64))
            best = np.lexsort((np.arange(len(own)), apart, used))[0]
            used[best] += 1
            indices.append(own[best])
        return self.rows(np.array(indices, dtype=np.intp))


def _shown(attributes: Sequence[Sequence[str]], names: Mapping[str, int]) -> NDArray[np.int64]:
    """Which of the names each of N rows shows: `(N, A)` of 0 and 1."""
    shown = np.zeros((len(attributes), len(names)), np.int64)
    for row, own in enumerate(attributes):
        shown[row, [names[name] for name in own if name in names]] = 1
    return shown


def join(sets: Sequence[LabelledImages]) -> LabelledImages:
    """All rows of several sets."""
    return LabelledImages(
        np.concatenate([one.images for one in sets]),
        tuple(caption for one in sets for caption in one.captions),
        np.concatenate([one.labels for one in sets]),
        tuple(background for one in sets for background in one.backgrounds),
        tuple(row for one in sets for row in one.attributes),
    )
