"""Draw emoji with a colour bitmap font and set them on a background; it knows nothing of captions or splits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

from base.errors import BadInput

DEFAULT_FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
"""Where Debian's and Ubuntu's package installs the font."""
_STRIKE = 109
"""The one size of the font's bitmaps."""
_CELL = (136, 128)
"""Width and height of one bitmap in pixels."""
_PROBE = "😀"
"""The emoji that a font is tried with: one that has colours, and the width of a single glyph."""
_ACCEPTED = f"NotoColorEmoji.ttf with bitmaps of size {_STRIKE}"
_RIM = 4
"""Pixels of background around the bitmap, for the resampling to see."""
_MARGIN = 0.5
"""Pixels between the glyph and the edge of the frame."""


@dataclass(frozen=True)
class Placement:
    """Where a glyph stands in its frame."""

    scale: float
    """Width of the bitmap as a fraction of the frame."""
    shift: tuple[float, float]
    """x and y from the middle, in pixels of the finished picture."""
    tilt: float
    """Degrees."""


def open_font(path: Path | None) -> ImageFont.FreeTypeFont:
    """Open the emoji font, laid out by raqm. BadInput, with what to install: the font or raqm's libraries are missing."""
    path = path or DEFAULT_FONT
    if not path.is_file():
        raise BadInput(
            f"no emoji font at {path}: apt-get install fonts-noto-color-emoji, or give the path of {_ACCEPTED}"
        )
    if not (features.check("raqm") and features.check("fribidi")):
        raise BadInput("joined emoji need Pillow with raqm and the fribidi library: apt-get install libfribidi0")
    try:
        font = ImageFont.truetype(str(path), _STRIKE, layout_engine=ImageFont.Layout.RAQM)
        probe = np.asarray(draw(font, _PROBE))
    except OSError as error:
        raise BadInput(f"{path} is not a colour bitmap font ({error}): accepted is {_ACCEPTED}") from None
    colours = probe[probe[..., 3] > 0][:, :3]
    if len(colours) == 0 or np.ptp(colours, axis=1).max() < 32:
        raise BadInput(f"{path} draws no colours: accepted is {_ACCEPTED}")
    return font


def draw(font: ImageFont.FreeTypeFont, char: str) -> Image.Image:
    """Draw one emoji as RGBA, 136 by 128 pixels."""
    canvas = Image.new("RGBA", _CELL)
    left, top, _, _ = font.getbbox(char, anchor="la")
    ImageDraw.Draw(canvas).text((-left, -top), char, font=font, embedded_color=True, anchor="la")
    return canvas


def fault(font: ImageFont.FreeTypeFont, char: str, glyph: Image.Image) -> str | None:
    """Why the font's glyph of an emoji cannot be used; None: it can."""
    if font.getlength(char) > 1.5 * font.getlength(_PROBE):
        return "drawn as several glyphs: the font does not join them"
    if glyph.getchannel("A").getextrema()[1] == 0:
        return "blank: the font has no glyph for it"
    return None


def outline(glyph: Image.Image) -> NDArray[np.float64]:
    """The corners of the outermost visible pixels of every row, `(4R, 2)` for R rows: x and y from the centre of the cell."""
    visible = np.asarray(glyph.getchannel("A")) > 8
    rows = np.flatnonzero(visible.any(axis=1))
    first = visible[rows].argmax(axis=1)
    last = visible.shape[1] - visible[rows, ::-1].argmax(axis=1)
    corners = [(x, y + edge) for x, y in ((first, rows), (last, rows)) for edge in (0, 1)]
    points = np.concatenate([np.stack(corner, axis=1) for corner in corners]).astype(np.float64)
    centred: NDArray[np.float64] = points - np.array([visible.shape[1] / 2, visible.shape[0] / 2])
    return centred


def composite(
    glyph: Image.Image, points: NDArray[np.float64], background: tuple[int, int, int], at: Placement, size: int
) -> Image.Image:
    """The glyph on a background: (size, size) RGB. `points` is its `outline`, `(4R, 2)`.

    It always stays whole: it is made smaller or moved back where it would leave the frame. The glyph is blended first
    and resampled with its background, in one affine step at twice the size or more, then reduced: no fringes.
    """
    unit = max(2, -(-128 // size))
    frame = size * unit
    cos, sin = np.cos(np.radians(at.tilt)), np.sin(np.radians(at.tilt))
    turned = points @ np.array([[cos, -sin], [sin, cos]])
    low, high = turned.min(axis=0), turned.max(axis=0)
    room = frame - 2 * _MARGIN * unit
    scale = min(at.scale * frame / glyph.width, *(room / (high - low)))
    shift = np.clip(np.array(at.shift) * unit, -room / 2 - scale * low, room / 2 - scale * high)
    centre = frame / 2 + shift
    a, b = cos / scale, -sin / scale
    c = glyph.width / 2 + _RIM - a * centre[0] - b * centre[1]
    d, e = sin / scale, cos / scale
    f = glyph.height / 2 + _RIM - d * centre[0] - e * centre[1]
    blended = Image.new("RGB", (glyph.width + 2 * _RIM, glyph.height + 2 * _RIM), background)
    blended.paste(glyph, (_RIM, _RIM), glyph)
    where, fine = Image.Transform.AFFINE, Image.Resampling.BICUBIC
    picture = blended.transform((frame, frame), where, (a, b, c, d, e, f), fine, fillcolor=background)
    return picture.resize((size, size), Image.Resampling.LANCZOS)
