"""Make a clean, split imagefolder of any folder of captioned images; it knows nothing of models."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self, cast, get_args

import PIL
from PIL import Image, ImageColor, ImageOps
from rich.console import Console
from rich.progress import track

from base.config import nearest
from base.errors import BadInput
from base.files import atomic_folder
from data.cleaning_report import CleaningReport, Dropped, write_metadata
from data.decode import UnreadableError, to_rgb
from data.near_duplicates import BITS, Fingerprint, Twins, fingerprint
from data.sources import CaptionedFile, CaptionedImages, Scalar, find

Fit = Literal["crop", "pad"]
"""How an oblong picture becomes a square: cut on its longer side, or padded with the background."""
MADE_BY = "ippo data build"
SMALLEST = 16
"""Pixels of the shorter side; a smaller image is dropped."""
_SHARES = ("train", "train", "train", "train", "validation", "train", "train", "train", "train", "test")
"""The splits of ten rows in turn, 80/10/10; among any five that follow one another, one is held out."""


@dataclass(frozen=True)
class Form:
    """How one file becomes one picture of the set."""

    size: int
    """Pixels of the square's side."""
    background: tuple[int, int, int]
    """RGB of 0 to 255, under what is transparent and around what is padded."""
    fit: Fit

    @classmethod
    def checked(cls, size: int, background: str, fit: str) -> Self:
        """A form from what a user writes. BadInput: a size out of range, an unknown colour or fit."""
        return cls(_checked_size(size), _colour(background), _checked_fit(fit))

    def convert(self, source: Path, target: Path) -> Fingerprint:
        """Write `source` as a (size, size) PNG to `target`; return the fingerprint of its pixels as decoded.

        UnreadableError: the file gives no image, or a smaller one than `SMALLEST`.
        """
        image = to_rgb(source, self.background)
        if min(image.size) < SMALLEST:
            raise UnreadableError(f"smaller than {SMALLEST} pixels")
        self.resize(image).save(target, compress_level=1)
        return fingerprint(image)

    def resize(self, image: Image.Image) -> Image.Image:
        """The RGB image at (size, size), cropped or padded as `fit` says."""
        square = (self.size, self.size)
        if self.fit == "crop":
            return ImageOps.fit(image, square, Image.Resampling.LANCZOS)
        return ImageOps.pad(image, square, Image.Resampling.LANCZOS, color=self.background)


Describe = Callable[[Sequence[Path], Sequence[CaptionedFile]], list[str]]
"""Cleaned pictures and their rows → captions."""


@dataclass(frozen=True)
class Making:
    """Where a set comes from and goes to, and how it is cleaned and split. BadInput: `out` cannot be written."""

    source: Path
    out: Path
    form: Form
    seed: int = 0
    stratify: str | None = None
    near: int | None = None

    def __post_init__(self) -> None:
        if self.near is not None and not 0 <= self.near < BITS // 2:
            raise BadInput(f"near {self.near}: accepted are 0 to {BITS // 2 - 1} of {BITS} bits; 12 finds other sizes")
        if self.out.exists() and not (self.out.is_dir() and not any(self.out.iterdir())):
            raise BadInput(f"{self.out} exists and is not an empty folder: give a new one")
        if self.out.is_relative_to(self.source):
            raise BadInput(f"{self.out} lies inside {self.source}: give a folder outside the images")


def build(
    source: Path,
    out: Path,
    size: int = 512,
    background: str = "white",
    fit: Fit = "crop",
    seed: int = 0,
    stratify: str | None = None,
    near: int | None = None,
) -> CleaningReport:
    """Write `out` as a Hugging Face imagefolder of (size, size) RGB PNGs, 80/10/10 train, validation and test.

    Dropped and listed: files that cannot be read, images below 16 pixels or of the very same pixels as another, images
    without a caption and captions without an image; with `near`, images whose look differs in so few of 192 bits from
    another's (`near_duplicates.py`), which across splits would make held-out figures too good. `stratify` names the column of
    the captions' table whose values all splits share alike; without it that is `label` where there is one, else the subfolder.
    BadInput: see `sources.find`; parameters out of range; `out` not empty; nothing left.
    """
    source, out = Path(source).absolute(), Path(out).absolute()
    making = Making(source, out, Form.checked(size, background, fit), seed, stratify, near)
    parameters = {"size": size, "background": background, "fit": fit, "seed": seed, "stratify": stratify, "near": near}
    return make(making, find(source), parameters)


def _own_captions(pictures: Sequence[Path], rows: Sequence[CaptionedFile]) -> list[str]:
    return [row.text for row in rows]


def make(
    making: Making,
    images: CaptionedImages,
    parameters: dict[str, object],
    describe: Describe = _own_captions,
    finish: Callable[[Path], None] = lambda _: None,
) -> CleaningReport:
    """Clean, caption and split the images of a source; `finish` adds to the folder before it appears.

    BadInput: no image can be used, none has a caption, or there is no column to stratify by.
    """
    source = making.source
    strata = _strata(images.captioned, source, making.stratify)
    with atomic_folder(making.out) as folder:
        usable, dropped = _convert_all(making, images.captioned, folder)
        pictures = [_staged(folder, item) for item in usable]
        texts = dict(zip(usable, describe(pictures, [images.captioned[item] for item in usable]), strict=True))
        for silent in [item for item, text in texts.items() if not text]:
            dropped.append(Dropped(_relative_name(images.captioned[silent], source), "image without a caption"))
            _staged(folder, silent).unlink()
        chosen = {item: replace(images.captioned[item], text=text) for item, text in texts.items() if text}
        if not chosen:
            raise BadInput(f"none of the {len(usable)} images of {source} has a caption")
        names = [_relative_name(row, source) for row in chosen.values()]
        splits = split([strata[item] for item in chosen], names, making.seed)
        counts = _write(folder, [_staged(folder, item) for item in chosen], list(chosen.values()), splits, source)
        versions = {"pillow": PIL.__version__}
        report = CleaningReport(MADE_BY, making.out, counts, (*images.dropped, *dropped), parameters, versions)
        report.save(folder)
        finish(folder)
    return report


def split(strata: Sequence[str], names: Sequence[str], seed: int) -> list[str]:
    """The split of each row, by a hash of its name: 80/10/10 to within one row, overall and in every stratum."""
    hashes = [hashlib.sha256(f"{seed}/{name}".encode()).digest() for name in names]
    order = sorted(range(len(names)), key=lambda row: (strata[row], hashes[row]))
    splits = [""] * len(names)
    for turn, row in enumerate(order):
        splits[row] = _SHARES[turn % len(_SHARES)]
    return splits


def _convert_all(making: Making, captioned: Sequence[CaptionedFile], folder: Path) -> tuple[list[int], list[Dropped]]:
    """Decode everything into `folder`; return the indices of the usable images, in order, and what was dropped."""

    def convert(item: int) -> Fingerprint | str:
        try:
            return making.form.convert(captioned[item].path, _staged(folder, item))
        except UnreadableError as reason:
            return str(reason)

    usable: list[int] = []
    dropped: list[Dropped] = []
    seen = Twins(making.near)
    progress = Console(stderr=True)
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks about single files; what matters is in the report
        converted = pool.map(convert, range(len(captioned)))
        for item, result in enumerate(track(converted, "reading images", len(captioned), console=progress)):
            name = _relative_name(captioned[item], making.source)
            if isinstance(result, str):
                dropped.append(Dropped(name, result))
            elif twin := seen.find(result, name):
                dropped.append(Dropped(f"{name} (same as {twin[0]})", twin[1]))
                _staged(folder, item).unlink()
            else:
                usable.append(item)
    if not usable:
        raise BadInput(
            f"none of the {len(captioned)} captioned images can be used: {dropped[0].what}: {dropped[0].why}"
        )
    return usable, dropped


def _write(
    folder: Path, pictures: Sequence[Path], rows: Sequence[CaptionedFile], splits: Sequence[str], source: Path
) -> dict[str, int]:
    """Move the pictures into their splits and write the metadata; a split of no rows gets no folder."""
    columns = _uniform([row.columns for row in rows])
    metadata: dict[str, list[dict[str, object]]] = {"train": [], "validation": [], "test": []}
    for picture, row, name, more in zip(pictures, rows, splits, columns, strict=True):
        (folder / name).mkdir(exist_ok=True)
        file_name = f"{len(metadata[name]):05d}.png"
        picture.rename(folder / name / file_name)
        metadata[name].append(
            {**more, "file_name": file_name, "text": row.text, "original": _relative_name(row, source)}
        )
    for name, lines in metadata.items():
        if lines:
            write_metadata(folder / name, lines)
    return {name: len(lines) for name, lines in metadata.items()}


def _uniform(rows: Sequence[object]) -> list[dict[str, Scalar | None]]:
    """The same columns in every row, each of one type: text where types are mixed."""
    tables = [dict(row) for row in rows if isinstance(row, dict)]
    names = sorted({name for table in tables for name in table})
    mixed = {name for name in names if len({type(table[name]) for table in tables if name in table}) > 1}
    return [{name: _as_text(table.get(name), name in mixed) for name in names} for table in tables]


def _as_text(value: Scalar | None, textual: bool) -> Scalar | None:
    return str(value) if textual and value is not None else value


def _strata(captioned: Sequence[CaptionedFile], source: Path, stratify: str | None) -> list[str]:
    known = {name for item in captioned for name in item.columns}
    if stratify is not None and stratify not in known:
        accepted = nearest(stratify, known) if known else ": the captions' table has no further columns"
        raise BadInput(f"no column '{stratify}' to stratify by{accepted}")
    column = stratify or ("label" if "label" in known else None)
    if column is None:
        return [item.path.parent.relative_to(source).as_posix() for item in captioned]
    return [str(item.columns.get(column, "")) for item in captioned]


def _staged(folder: Path, item: int) -> Path:
    return folder / f"{item}.png"


def _relative_name(item: CaptionedFile, source: Path) -> str:
    return item.path.relative_to(source).as_posix()


def _checked_size(size: int) -> int:
    if not SMALLEST <= size <= 4096:
        raise BadInput(f"size {size}: accepted are {SMALLEST} to 4096 pixels")
    return size


def _checked_fit(fit: str) -> Fit:
    if fit not in get_args(Fit):
        raise BadInput(f"fit '{fit}': accepted are crop and pad")
    return cast(Fit, fit)


def _colour(background: str) -> tuple[int, int, int]:
    try:
        red, green, blue = ImageColor.getrgb(background)[:3]
    except ValueError:
        raise BadInput(
            f"background '{background}': accepted are names such as white and codes such as #ffcc00"
        ) from None
    return red, green, blue
