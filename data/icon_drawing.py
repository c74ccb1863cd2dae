"""Draw one SVG icon, centred and as large as every other, on a ground; it knows nothing of sets, names or captions.

`h w` pixels of the drawing, `S` of the finished picture's side.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image

from base.errors import BadInput
from data.icon_sets import Icon

Pixels = NDArray[np.uint8]
"""`(h, w, 4)` or `(S, S, 4)` RGBA."""

_RASTER = 256
"""Pixels of a drawing's side at least, and a whole number of them a unit: filters come out wrong at others."""
_SEEN = 16
"""Alpha, of 255, above which a pixel counts as part of the thing."""
_FILLED, _FACE, _WHOLE = 15 / 16, 29 / 32, 63 / 64
"""Shares of the frame: what the longer side of a thing fills, what a plain face fills, what nothing leaves."""
_VISIBLE = 96
"""The distance in RGB from which an edge stands out from the ground."""


@dataclass(frozen=True)
class Box:
    """A rectangle of a drawing, in its pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def longest(self) -> float:
        """The longer side, in pixels."""
        return max(self.right - self.left, self.bottom - self.top)


def rasterize(icon: Icon) -> Pixels:
    """Rasterize an icon: `(h, w, 4)` RGBA, cut off where the icon's frame ends. BadInput: markup that cannot be drawn."""
    scale = -(-_RASTER // int(max(icon.width, icon.height)))
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{icon.width * scale}" height="{icon.height * scale}" '
        f'viewBox="{icon.left} {icon.top} {icon.width} {icon.height}">{icon.body}</svg>'
    )
    try:
        encoded = bytes(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True))
    except ValueError as error:
        raise BadInput(f"icon '{icon.name}' is no SVG that can be drawn: {error}") from None
    return np.array(Image.open(io.BytesIO(encoded)).convert("RGBA"))


def extent(drawing: Pixels) -> Box | None:
    """The smallest box around all that shows in a drawing `(h, w, 4)`; None: nothing does."""
    visible = drawing[..., 3] > _SEEN
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    if not len(rows):
        return None
    return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def view(thing: Box) -> Box:
    """The square to show so that the thing stands in the middle and fills the frame but for a margin."""
    return _square((thing.left + thing.right) / 2, (thing.top + thing.bottom) / 2, thing.longest / _FILLED)


def view_like(face: Box, thing: Box) -> Box:
    """The square in which the set's plain `face` stands in the middle, moved or widened only to keep `thing` whole.

    So the faces of a set lie on one another, whatever hat or hand is added to them.
    """
    side = max(face.longest / _FACE, thing.longest / _WHOLE)
    room = side * _WHOLE / 2
    x = float(np.clip((face.left + face.right) / 2, thing.right - room, thing.left + room))
    y = float(np.clip((face.top + face.bottom) / 2, thing.bottom - room, thing.top + room))
    return _square(x, y, side)


def fit(drawing: Pixels, shown: Box, size: int) -> Pixels:
    """The square `shown` of a drawing `(h, w, 4)`, at `(S, S, 4)` with S = `size`, transparent beyond its edges."""
    height, width = drawing.shape[:2]
    beyond = max(0.0, -shown.left, -shown.top, shown.right - width, shown.bottom - height)
    rim = int(beyond) + 8  # for the resampling to see
    padded = Image.fromarray(np.pad(drawing, ((rim, rim), (rim, rim), (0, 0))))
    box = (shown.left + rim, shown.top + rim, shown.right + rim, shown.bottom + rim)
    return np.array(padded.resize((size, size), Image.Resampling.LANCZOS, box=box))


def on_ground(picture: Pixels, ground: tuple[int, int, int]) -> Image.Image:
    """The `(S, S, 4)` picture on a plain colour, RGB."""
    blended = Image.new("RGB", picture.shape[1::-1], ground)
    thing = Image.fromarray(picture)
    blended.paste(thing, (0, 0), thing)
    return blended


def standing_out(picture: Pixels, ground: tuple[int, int, int]) -> float:
    """The share, from 0 to 1, of the edge of a thing `(S, S, 4)` that differs visibly from a ground of this RGB colour."""
    solid = np.pad(picture[..., 3] > 127, 1)
    inside = solid[:-2, 1:-1] & solid[2:, 1:-1] & solid[1:-1, :-2] & solid[1:-1, 2:]
    edge = picture[solid[1:-1, 1:-1] & ~inside][:, :3].astype(np.float32)
    if not len(edge):
        return 0.0
    return float((np.linalg.norm(edge - np.array(ground, np.float32), axis=1) >= _VISIBLE).mean())


def thumbnail(picture: Pixels) -> NDArray[np.float32]:
    """Colour and shape of a picture `(S, S, 4)` to compare pictures by: `(4096,)` of 32 × 32 RGBA, premultiplied by alpha."""
    small = Image.fromarray(picture).resize((32, 32), Image.Resampling.BOX)
    return np.asarray(small.convert("RGBa"), dtype=np.float32).ravel()


def _square(x: float, y: float, side: float) -> Box:
    return Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)
