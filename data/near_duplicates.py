"""Find pictures that are the same, or nearly the same, as one seen before; it knows nothing of files or captions.

Shapes: `K` pictures seen.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS = 192
"""Bits of a picture's look: 8×8 each for brightness, red against green, and blue against yellow."""
NEAR = "nearly the same pixels as another image"
"""Why a twin of other pixels is dropped."""
_MARGIN = 4
"""Levels of 255 by which the pixel to the right must have more: what noise does to a plain background says nothing."""
_SIDE = 12
"""Cells of a picture's side by which a likeness is confirmed."""
_GROUND = 16
"""Levels of 255 by which a cell differs from the ground, the median of the border's cells, where something is drawn."""
_SAME = 24.0
"""Levels of 255 by which the drawn cells of twins differ at most, but for a twentieth of them: other sizes, formats and light
stay below (of 606 emoji, 99 in 100 of each are), pictures of one outline and other content are above."""


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What two pictures are compared by."""

    pixels: bytes
    """Hash of size and pixels: equal for the very same picture."""
    look: NDArray[np.bool_]
    """`(192,)`: dHash of brightness and of two opponent colours, true where the pixel to the right has more."""
    cells: NDArray[np.float32]
    """`(144, 3)`: RGB of 12×12 cells, less the ground's."""


def fingerprint(image: Image.Image) -> Fingerprint:
    """The fingerprint of an RGB picture of any size.

    Its look hardly changes with size, compression or brightness, but changes with colour.
    """
    red, green, blue = np.asarray(image.resize((9, 8), Image.Resampling.BOX), dtype=np.float32).transpose(2, 0, 1)
    seen = np.stack([(red + green + blue) / 3, red - green, blue - (red + green) / 2])  # (3, 8, 9)
    more = seen[:, :, 1:] > seen[:, :, :-1] + _MARGIN
    cells = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float32)  # (12, 12, 3)
    ground = np.median(np.concatenate([cells[0], cells[-1], cells[:, 0], cells[:, -1]]), axis=0)
    pixels = hashlib.sha256(repr(image.size).encode() + image.tobytes()).digest()
    return Fingerprint(pixels, more.ravel(), (cells - ground).reshape(-1, 3))


class Twins:
    """The pictures seen so far, by name, among which twins of the next one are looked up."""

    def __init__(self, near: int | None = None) -> None:
        """`near`: bits of `BITS` by which the looks of twins differ at most; None: only the very same pixels are twins."""
        self.near = near
        self._pixels: dict[bytes, str] = {}
        self._seen: list[tuple[str, Fingerprint]] = []
        self._looks: NDArray[np.bool_] = np.empty((0, BITS), bool)  # (K, 192), and room for more

    def find(self, picture: Fingerprint, name: str) -> tuple[str, str] | None:
        """The first picture it is a twin of, and why; a picture that has none is remembered by `name`."""
        if (twin := self._pixels.get(picture.pixels)) is not None:
            return twin, "same pixels as another image"
        if self.near is not None and self._seen:
            differing = (self._looks[: len(self._seen)] != picture.look).sum(axis=1)  # (K,)
            for index in np.flatnonzero(differing <= self.near).tolist():
                if _alike(self._seen[index][1], picture):
                    return self._seen[index][0], NEAR
        self._remember(picture, name)
        return None

    def _remember(self, picture: Fingerprint, name: str) -> None:
        if len(self._seen) == len(self._looks):
            self._looks = np.concatenate([self._looks, np.empty((max(64, len(self._looks)), BITS), bool)])
        self._looks[len(self._seen)] = picture.look
        self._seen.append((name, picture))
        self._pixels[picture.pixels] = name


def _alike(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether the cells in which something is drawn agree with what the looks promise.

    The looks of small creatures on white agree in the white alone.
    """
    drawn = np.maximum(np.abs(one.cells), np.abs(other.cells)).max(axis=1) > _GROUND  # (144,)
    if not drawn.any():
        return True
    return bool(np.quantile(np.abs(one.cells - other.cells)[drawn].max(axis=1), 0.95) <= _SAME)
