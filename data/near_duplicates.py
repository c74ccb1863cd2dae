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
_MARGIN = 4
"""Levels of 255 by which the pixel to the right must have more: what noise does to a plain background says nothing."""


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What two pictures are compared by."""

    pixels: bytes
    """Hash of size and pixels: equal for the very same picture."""
    look: NDArray[np.bool_]
    """`(192,)`: dHash of brightness and of two opponent colours, true where the pixel to the right has more."""


def fingerprint(image: Image.Image) -> Fingerprint:
    """The fingerprint of an RGB picture of any size.

    Its look hardly changes with size, compression or brightness, but changes with colour.
    """
    red, green, blue = np.asarray(image.resize((9, 8), Image.Resampling.BOX), dtype=np.float32).transpose(2, 0, 1)
    seen = np.stack([(red + green + blue) / 3, red - green, blue - (red + green) / 2])  # (3, 8, 9)
    more = seen[:, :, 1:] > seen[:, :, :-1] + _MARGIN
    return Fingerprint(hashlib.sha256(repr(image.size).encode() + image.tobytes()).digest(), more.ravel())


class Twins:
    """The pictures seen so far, by name, among which twins of the next one are looked up."""

    def __init__(self, near: int | None = None) -> None:
        """`near`: bits of `BITS` by which the looks of twins differ at most; None: only the very same pixels are twins."""
        self.near = near
        self._pixels: dict[bytes, str] = {}
        self._names: list[str] = []
        self._looks: NDArray[np.bool_] = np.empty((0, BITS), bool)  # (K, 192), and room for more

    def find(self, picture: Fingerprint, name: str) -> tuple[str, str] | None:
        """The first picture it is a twin of, and why; a picture that has none is remembered by `name`."""
        if (twin := self._pixels.get(picture.pixels)) is not None:
            return twin, "same pixels as another image"
        if self.near is not None and self._names:
            differing = (self._looks[: len(self._names)] != picture.look).sum(axis=1)  # (K,)
            if differing[nearest := int(differing.argmin())] <= self.near:
                return self._names[nearest], "nearly the same pixels as another image"
        self._remember(picture, name)
        return None

    def _remember(self, picture: Fingerprint, name: str) -> None:
        if len(self._names) == len(self._looks):
            self._looks = np.concatenate([self._looks, np.empty((max(64, len(self._looks)), BITS), bool)])
        self._looks[len(self._names)] = picture.look
        self._names.append(name)
        self._pixels[picture.pixels] = name
