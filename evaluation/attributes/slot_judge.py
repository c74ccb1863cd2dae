"""A judge of attributes by the names of its slots: how often each is seen right; it draws nothing and opens nothing.

Shapes: `N` images, `H W` pixels, `T` slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metrics import attribute_accuracy as attributes
from metrics.features import Images
from metrics.judge_network import Judge


@dataclass(frozen=True)
class SlotJudge:
    """A judge of attributes, and what its slots are called."""

    judge: Judge
    slots: tuple[str, ...]

    def shares(self, images: Images, requested: Sequence[Sequence[str]]) -> tuple[dict[str, float], np.ndarray]:
        """Slot → share of images `(N, H, W, 3)` in which it is seen right, and which images are right in all `(N,)`.

        What a slot does not know, a thing or a style that training never shows, is not counted in it.
        """
        known = np.array([len(slot) for slot in self.judge.config.slots])
        targets = attributes.slot_indices(requested, self.judge.config.slots).numpy()  # (N, T)
        counted, right = targets < known, attributes.read(self.judge, images) == targets
        by_slot = {
            name: float(right[counted[:, column], column].mean()) if counted[:, column].any() else float("nan")
            for column, name in enumerate(self.slots)
        }
        return by_slot, (right | ~counted).all(axis=1)
