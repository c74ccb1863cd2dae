"""Real images of which thing, style and ground are known; it knows nothing of what is asked with them.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metrics.features import Images


@dataclass(frozen=True)
class StyledImages:
    """Real images `(N, H, W, 3)`, the thing, style and ground that each shows, and its caption."""

    images: Images
    things: tuple[str, ...]
    styles: tuple[str, ...]
    grounds: tuple[str, ...]
    captions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.things)

    def rows(self, indices: Sequence[int]) -> StyledImages:
        """The rows at `indices`."""
        chosen = [tuple(names[i] for i in indices) for names in (self.things, self.styles, self.grounds, self.captions)]
        return StyledImages(self.images[list(indices)], *chosen)

    def even(self, count: int) -> StyledImages:
        """`count` rows, evenly spaced, or all."""
        return self.rows(np.linspace(0, len(self) - 1, min(count, len(self))).astype(int).tolist())


@dataclass(frozen=True)
class StyledReals:
    """Real images whose thing and style are known: trained ones, held-out ones, and combinations that training lacks."""

    train: StyledImages
    held_out: StyledImages
    combinations: StyledImages
