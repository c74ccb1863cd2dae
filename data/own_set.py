"""What a configuration has to know of an image set: side, colours, caption columns, classes, slots; it knows no network.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from base.errors import BadInput
from base.runs import data_folder
from data.aspect_buckets import Size
from data.attributed import read_slots
from data.class_names import read_classes
from data.imagefolder import ImageFolder

_LOOKED_AT = 256
"""Images that colours and scale are told from."""
_SCALES = (16, 8, 4, 3, 2)
"""How many times a picture may show each of its pixels in each direction."""
SPLITS = ("train", "validation")
"""What training needs."""


@dataclass(frozen=True)
class OwnSet:
    """One set, as `opened` found it."""

    name: str
    data: str
    """The name or folder by which it was opened."""
    images: int
    """Of the training split."""
    side: int
    """Pixels of the square pictures' side; of several shapes, of a square as large as pictures of the fullest bucket."""
    grey: bool
    scale: int
    """Every pixel of the originals is so many in each direction."""
    captions: tuple[str, ...]
    """Columns of text: `text`, and what else begins with `text_`."""
    classes: tuple[str, ...]
    """Names of the classes, or their numbers where nothing names them; none: there is no column `label`."""
    slots: dict[str, list[str]]
    """Slot → attributes; none: the set has none."""
    sizes: tuple[Size, ...] = ()
    """Those of its buckets, (W, H), the fullest first; none: all pictures are squares of one size."""


def opened(name: str) -> OwnSet:
    """The set of a name or folder. BadInput: no such set or split, or pictures neither square nor in buckets."""
    train, *_ = (ImageFolder(data_folder(name), split) for split in SPLITS)
    height, width = train.shape
    sizes = tuple(train.buckets)
    if sizes in ((), ((width, height),)) and height == width:
        sizes = ()
    elif not sizes:
        raise BadInput(f"{train.name}: pictures of {width}x{height}; make them square with `ippo data build`")
    rows = next(iter(train.buckets.values()), [*range(len(train))])
    pixels = train.images(
        [rows[place] for place in np.linspace(0, len(rows) - 1, min(len(rows), _LOOKED_AT)).astype(int)]
    )
    texts = [column for column in train.columns if column == "text" or column.startswith("text_")]
    whole = [column for column in texts if all(isinstance(text, str) for text in train.column(column))]
    folder = Path(train.name)
    return OwnSet(
        name=Path(name).name,
        data=name,
        images=len(train),
        side=round(math.sqrt(pixels.shape[1] * pixels.shape[2])),
        grey=bool((pixels == pixels[..., :1]).all()),
        scale=_scale(pixels),
        captions=tuple(sorted(whole, key=lambda column: (column != "text", column))),
        classes=_classes(folder, train),
        slots=read_slots(folder),
        sizes=sizes,
    )


def _classes(folder: Path, train: ImageFolder) -> tuple[str, ...]:
    if names := read_classes(folder):
        return tuple(names)
    labels = train.column("label") if "label" in train.columns else []
    whole = [label for label in labels if isinstance(label, int) and label >= 0]
    return tuple(str(number) for number in range(max(whole) + 1)) if whole and len(whole) == len(labels) else ()


def _scale(pixels: NDArray[np.uint8]) -> int:
    """The greatest scale at which images `(N, H, W, 3)` consist of squares of one colour."""
    sides = pixels.shape[1:3]
    for scale in _SCALES:
        if all(side % scale == 0 and side // scale >= scale for side in sides):
            small = pixels[:, ::scale, ::scale]
            if np.array_equal(small.repeat(scale, axis=1).repeat(scale, axis=2), pixels):
                return scale
    return 1
