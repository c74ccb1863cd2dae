"""Captions that leave something open: of which training shows pictures that differ in a slot of the judge; it draws nothing.

Shapes: `N` images, `H W` pixels, `T` slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from metrics import attribute_accuracy as attributes
from metrics.features import Images
from metrics.judge_network import Judge
from metrics.labelled_images import LabelledImages

RESAMPLED = 20
"""Times that as many of a caption's real pictures are drawn as a source draws."""


@dataclass(frozen=True)
class OpenCaptions:
    """Captions whose real pictures differ in a slot, chosen evenly, and those pictures."""

    judge: Judge
    captions: tuple[str, ...]
    reals: tuple[Images, ...]
    """Of each caption `(M, H, W, 3)`."""
    slots: tuple[int, ...]
    """Columns of the slots that training's captions leave open."""

    @classmethod
    def of(cls, judge: Judge, train: LabelledImages, count: int) -> OpenCaptions | None:
        """`count` captions of the training pictures; None where the judge reads no slots, or captions say all."""
        if not judge.config.slots or not train.attributes[0]:
            return None
        seen = attributes.slot_indices(train.attributes, judge.config.slots).numpy()  # (N, T)
        rows: dict[str, list[int]] = {}
        for row, caption in enumerate(train.captions):
            rows.setdefault(caption, []).append(row)
        differing = {caption: np.ptp(seen[own], axis=0) > 0 for caption, own in rows.items()}  # (T,) each
        usable = [caption for caption, slots in differing.items() if slots.any()]
        if not usable:
            return None
        rng = np.random.Generator(np.random.Philox(key=4))
        chosen = [usable[index] for index in sorted(rng.permutation(len(usable))[:count].tolist())]
        left = np.flatnonzero(np.any([differing[caption] for caption in usable], axis=0))
        pictures = tuple(train.images[rows[caption]] for caption in chosen)
        return cls(judge, tuple(chosen), pictures, tuple(left.tolist()))

    def entropy(self, images: NDArray[np.uint8]) -> float:
        """Mean entropy in bits of what is seen in the open slots: images `(P, N, H, W, 3)`, N of each caption.

        Pictures in which the judge sees nothing of a slot do not count in it.
        """
        seen = attributes.read(self.judge, images.reshape(-1, *images.shape[2:])).reshape(*images.shape[:2], -1)
        return float(np.mean([_bits(seen[:, :, slot], len(self.judge.config.slots[slot])) for slot in self.slots]))

    def real_entropy(self, count: int) -> float:
        """The same of as many real pictures of each caption, drawn with replacement: few pictures show less than all."""
        rng, estimates = np.random.Generator(np.random.Philox(key=5)), []
        for _ in range(RESAMPLED):
            drawn = np.stack([own[rng.integers(len(own), size=count)] for own in self._read])  # (P, N, T)
            estimates += [_bits(drawn[:, :, slot], len(self.judge.config.slots[slot])) for slot in self.slots]
        return float(np.mean(estimates))

    def determined(self, requested: Sequence[Sequence[str]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Attributes of N rows → what captions say of each slot `(N, T)`, and where they say something the judge knows."""
        targets = attributes.slot_indices(requested, self.judge.config.slots).numpy()
        said = targets < np.array([len(slot) for slot in self.judge.config.slots])
        said[:, list(self.slots)] = False
        return targets, said

    @cached_property
    def _read(self) -> list[NDArray[np.int64]]:
        """What the judge sees in the real pictures of each caption, `(M, T)`."""
        ends = np.cumsum([len(own) for own in self.reals])[:-1]
        return np.split(attributes.read(self.judge, np.concatenate(self.reals)), ends)


def _bits(seen: NDArray[np.int64], known: int) -> float:
    """Entropy in bits of values below `known`, each row of `(P, N)` for itself; the mean over rows."""
    values = []
    for row in seen:
        counts = np.bincount(row[row < known], minlength=known)
        shares = counts[counts > 0] / max(1, counts.sum())
        values.append(float(-(shares * np.log2(shares)).sum()))
    return float(np.mean(values))
