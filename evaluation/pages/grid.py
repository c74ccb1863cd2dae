"""Pictures of pictures: columns of prompts under rows of images; it knows no network.

Shapes: `N` columns, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from base.files import atomic_file
from base.typeface import Font, font
from metrics.sharpness import Images

CELL = 128
"""Least side of a picture in the grid, in pixels; smaller ones are enlarged by a whole factor."""
GAP, MARGIN, CORNER = 10, 24, 10
CAPTION, TITLE = 13, 15
"""Sizes of the type."""
PAPER, INK, FAINT = (255, 255, 255), (40, 42, 48), (228, 230, 234)
LINES = 4
"""Of a caption; the rest is cut."""


def grid(rows: Mapping[str, Images], captions: Sequence[str], columns: int = 8) -> Image.Image:
    """One row of images `(N, H, W, 3)` a title, `{"teacher, 50 steps": …, "student, 1 step": …}`, N captions below.

    More captions than `columns` make further bands, one below the other.
    """
    assert rows and captions, "a grid needs a row and a caption"
    assert all(len(images) == len(captions) for images in rows.values()), "every row needs an image for each caption"
    starts = range(0, len(captions), columns)
    bands = [_Band({title: images[i : i + columns] for title, images in rows.items()}, captions[i : i + columns])
             for i in starts]  # fmt: skip
    pictures = [band.draw() for band in bands]
    width, height = max(picture.width for picture in pictures), sum(picture.height for picture in pictures)
    sheet = Image.new("RGB", (width, height + 2 * MARGIN), PAPER)
    top = MARGIN
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    return sheet


def save_png(picture: Image.Image, file: Path) -> Path:
    """Write a picture atomically, as small as PNG has it, and return its file."""
    with atomic_file(file) as hidden:
        picture.save(hidden, "PNG", optimize=True)
    return file


class _Band:
    """Rows of images above one another, and below them the captions."""

    def __init__(self, rows: Mapping[str, Images], captions: Sequence[str]) -> None:
        self.rows, self.captions = rows, captions
        side = next(iter(rows.values())).shape[1:3]
        self.factor = max(1, -(-CELL // max(side)))
        self.high, self.wide = side[0] * self.factor, side[1] * self.factor
        self.caption_font, self.title_font = font(CAPTION), font(TITLE)
        self.wrapped = [wrap(caption, self.caption_font, self.wide) for caption in captions]
        self.gutter = MARGIN + max(int(self.title_font.getlength(part)) for part in self._title_parts()) + 2 * GAP

    def _title_parts(self) -> list[str]:
        return [part for title in self.rows for part in _broken(title)]

    def draw(self) -> Image.Image:
        lines = max(len(wrapped) for wrapped in self.wrapped)
        high = len(self.rows) * (self.high + GAP) + lines * (CAPTION + 4) + 2 * GAP
        wide = self.gutter + len(self.captions) * (self.wide + GAP) + MARGIN - GAP
        sheet = Image.new("RGB", (wide, high), PAPER)
        pen = ImageDraw.Draw(sheet)
        for turn, (title, images) in enumerate(self.rows.items()):
            top = turn * (self.high + GAP)
            pen.multiline_text(
                (self.gutter - 2 * GAP, top + self.high // 2), "\n".join(_broken(title)), INK, self.title_font,
                anchor="rm", align="right", spacing=5,
            )  # fmt: skip
            for column, image in enumerate(images):
                self._picture(sheet, image, (self._left(column), top))
        top = len(self.rows) * (self.high + GAP)
        for column, wrapped in enumerate(self.wrapped):
            middle = self._left(column) + self.wide // 2
            pen.multiline_text((middle, top), "\n".join(wrapped), INK, self.caption_font, anchor="ma", align="center")
        return sheet

    def _left(self, column: int) -> int:
        return self.gutter + column * (self.wide + GAP)

    def _picture(self, sheet: Image.Image, pixels: NDArray[np.uint8], at: tuple[int, int]) -> None:
        """Crisp: every pixel becomes a square; rounded corners and a hairline hold white pictures together."""
        picture = Image.fromarray(pixels).resize((self.wide, self.high), Image.Resampling.NEAREST)
        mask = Image.new("L", (4 * self.wide, 4 * self.high))
        box = (0, 0, 4 * self.wide - 1, 4 * self.high - 1)
        ImageDraw.Draw(mask).rounded_rectangle(box, 4 * CORNER, 255)
        frame = Image.new("L", mask.size)
        ImageDraw.Draw(frame).rounded_rectangle(box, 4 * CORNER, None, 255, width=4)
        size = (self.wide, self.high)
        sheet.paste(picture, at, mask.resize(size, Image.Resampling.LANCZOS))
        sheet.paste(Image.new("RGB", size, FAINT), at, frame.resize(size, Image.Resampling.LANCZOS))


def wrap(text: str, face: Font, width: int) -> list[str]:
    """Lines no wider than `width` pixels, `LINES` at most; what does not fit ends in an ellipsis."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and face.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    shown = lines[:LINES]
    if len(lines) > LINES:
        shown[-1] += "…"
    return [_fit(line, face, width) for line in shown]


def _fit(line: str, face: Font, width: int) -> str:
    """A single word may be wider than a picture: cut it."""
    if face.getlength(line) <= width:
        return line
    while line and face.getlength(line + "…") > width:
        line = line[:-1]
    return line + "…"


def _broken(title: str) -> list[str]:
    """A title, a line for each of its parts."""
    return [part.strip() for part in title.split(",")]
