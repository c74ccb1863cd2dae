"""Make a clean, split imagefolder of any folder of captioned images; it knows nothing of models."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import PIL
from PIL import Image
from rich.console import Console

from base.config import nearest
from base.errors import BadInput
from base.files import atomic_folder, spoken_of
from base.progress import track
from base.table_reader import as_text
from data import aspect_buckets, changed_pictures
from data.aspect_buckets import BucketsConfig
from data.changed_pictures import Converted
from data.cleaning_report import CleaningReport, Dropped
from data.decode import UnreadableError
from data.near_duplicates import BITS, NEAR, Twins
from data.parquet_images import find_or_unpack
from data.set_folder import write_set
from data.sources import NO_CAPTION, CaptionedFile, CaptionedImages
from data.splits import NEEDED, keeping, split
from data.square_picture import Fit, Form

MADE_BY = "ippo data build"
_MANY = 0.1
"""Share of a set from which it is told what near duplicates took."""
Describe = Callable[[Sequence[Path], Sequence[CaptionedFile]], list[dict[str, str]]]
"""Cleaned pictures and their rows → their captions by column, `text` and further ones; an empty `text` drops the picture."""


@dataclass(frozen=True)
class Making:
    """Where a set comes from and goes to, and how it is cleaned and split. BadInput: `out` cannot be written."""

    source: Path
    out: Path
    form: Form
    seed: int = 0
    stratify: str | None = None
    near: int | None = None
    keep: str | None = None

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
    trim: bool = False,
    keep: str | None = None,
    buckets: BucketsConfig | None = None,
) -> CleaningReport:
    """Write `out` as a Hugging Face imagefolder of (size, size) RGB PNGs, 80/10/10 train, validation and test.

    With `buckets` every picture takes the size of the nearest shape instead, and the column `bucket` tells it.

    `source` holds images, or parquet files with images in them. Dropped and listed: files that cannot be read, images below
    16 pixels or of the very same pixels as another, images without a caption and captions without an image; with `near`,
    images whose look differs in so few of 192 bits from another's (`near_duplicates.py`), which across splits would make
    held-out figures too good. `trim` keeps the square around what is drawn. `stratify` names the column of the captions' table
    whose values all splits share alike; without it that is `label` where there is one, else the subfolder. Every value of the
    column `keep` is in training. BadInput: see `sources.find`; parameters out of range; `out` not empty; nothing left.
    """
    source, out = Path(source).absolute(), Path(out).absolute()
    making = Making(source, out, Form.checked(size, background, fit, trim, buckets), seed, stratify, near, keep)
    parameters = {"size": size, "background": background, "fit": fit, "seed": seed, "stratify": stratify, "near": near}
    parameters |= {"buckets": buckets.model_dump()} if buckets else {}
    with tempfile.TemporaryDirectory() as scratch, spoken_of(Path(scratch), source):
        root, images = find_or_unpack(source, Path(scratch).resolve())
        return make(replace(making, source=root), images, {**parameters, "trim": trim, "keep": keep})


def _own_captions(pictures: Sequence[Path], rows: Sequence[CaptionedFile]) -> list[dict[str, str]]:
    return [{"text": row.text} for row in rows]


def make(
    making: Making,
    images: CaptionedImages,
    parameters: Mapping[str, object],
    describe: Describe = _own_captions,
    finish: Callable[[Path], None] = lambda _: None,
) -> CleaningReport:
    """Clean, caption and split the images of a source; `finish` adds to the folder before it appears.

    BadInput: no image can be used, none has a caption, there is no column to stratify by or to keep the values of, or a bucket
    would hold one picture.
    """
    source = making.source
    strata = _strata(images.captioned, source, making.stratify)
    kept = _values(images.captioned, making.keep) if making.keep else None
    with atomic_folder(making.out) as folder:
        made, dropped = _convert_all(making, images.captioned, folder)
        usable = list(made)
        pictures = [_staged(folder, item) for item in usable]
        texts = dict(zip(usable, describe(pictures, [images.captioned[item] for item in usable]), strict=True))
        for silent in [item for item, columns in texts.items() if not columns["text"]]:
            dropped.append(Dropped(_relative_name(images.captioned[silent], source), NO_CAPTION))
            _staged(folder, silent).unlink()
        chosen = {
            item: _described(images.captioned[item], columns) for item, columns in texts.items() if columns["text"]
        }
        if not chosen:
            raise BadInput(f"none of the {len(usable)} images of {source} has a caption")
        names = [_relative_name(row, source) for row in chosen.values()]
        buckets = _buckets(making, folder, list(chosen))
        splits = split([f"{strata[item]}\0{buckets.get(item, '')}" for item in chosen], names, making.seed)
        values = [kept[item] for item in chosen] if kept else ["" for _ in chosen]
        several = keeping(splits, values) if kept else [(name,) for name in splits]
        if buckets:
            several = aspect_buckets.in_training(several, list(buckets.values()), names)
            chosen = {item: _with_columns(row, {aspect_buckets.COLUMN: buckets[item]}) for item, row in chosen.items()}
        written = write_set(folder, [_staged(folder, item) for item in chosen], list(chosen.values()), several, names)
        changes = {name: made[item] for name, item in zip(names, chosen, strict=True)}
        notes = (
            written.columns,
            *_notes(several, dropped, len(images.captioned)),
            *changed_pictures.notes(changes, making.form.fit),
        )
        versions = {"pillow": PIL.__version__}
        everything = (*images.dropped, *dropped)
        report = CleaningReport(MADE_BY, making.out, written.rows, everything, dict(parameters), versions, notes)
        report.save(folder)
        finish(folder)
    return report


def _described(row: CaptionedFile, columns: Mapping[str, str]) -> CaptionedFile:
    further = {name: text for name, text in columns.items() if name != "text"}
    return _with_columns(replace(row, text=columns["text"]), further)


def _with_columns(row: CaptionedFile, columns: Mapping[str, str]) -> CaptionedFile:
    return replace(row, columns={**row.columns, **columns})


def _buckets(making: Making, folder: Path, items: Sequence[int]) -> dict[int, str]:
    """Each picture's bucket as the column tells it; nothing of a set of squares."""
    if making.form.buckets is None:
        return {}
    sizes = {}
    for item in items:
        with Image.open(_staged(folder, item)) as picture:
            sizes[item] = aspect_buckets.written(picture.size)
    return sizes


def _notes(splits: Sequence[Sequence[str]], dropped: Sequence[Dropped], count: int) -> list[str]:
    """What its user should know before training on it."""
    notes = []
    if not any("validation" in names for names in splits):
        notes.append(f"nothing is held out: training needs a validation split, {NEEDED} images or more make one")
    if both := sum(len(names) > 1 for names in splits):
        notes.append(f"{both} images of held-out splits are in training too, so that it has every value that is kept")
    near = sum(entry.why == NEAR for entry in dropped)
    if near > _MANY * count:
        notes.append(
            f"{near} of {count} images were dropped as near duplicates: look at some in report.json, or lower near"
        )
    return notes


def _convert_all(
    making: Making, captioned: Sequence[CaptionedFile], folder: Path
) -> tuple[dict[int, Converted], list[Dropped]]:
    """Decode everything into `folder`; return the usable images by their index, in order, and what was dropped."""

    def convert(item: int) -> Converted | str:
        try:
            return making.form.convert(captioned[item].path, _staged(folder, item))
        except UnreadableError as reason:
            return str(reason)

    usable: dict[int, Converted] = {}
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
            elif twin := seen.find(result.look, name):
                dropped.append(Dropped(f"{name} (same as {twin[0]})", twin[1]))
                _staged(folder, item).unlink()
            else:
                usable[item] = result
    if not usable:
        raise BadInput(
            f"none of the {len(captioned)} captioned images can be used: {dropped[0].what}: {dropped[0].why}"
        )
    return usable, dropped


def _strata(captioned: Sequence[CaptionedFile], source: Path, stratify: str | None) -> list[str]:
    known = {name for item in captioned for name in item.columns}
    if stratify is not None and stratify not in known:
        accepted = nearest(stratify, known) if known else ": the captions' table has no further columns"
        raise BadInput(f"no column '{stratify}' to stratify by{accepted}")
    column = stratify or ("label" if "label" in known else None)
    if column is None:
        return [item.path.parent.relative_to(source).as_posix() for item in captioned]
    return [str(item.columns.get(column, "")) for item in captioned]


def _values(captioned: Sequence[CaptionedFile], column: str) -> list[str]:
    """Each image's value of a column, for training to have all of them. BadInput: no image has that column."""
    known = {name for item in captioned for name in item.columns}
    if column not in known | {"text"}:
        raise BadInput(f"no column '{column}' to keep the values of{nearest(column, known | {'text'})}")
    return [item.text if column == "text" else as_text(item.columns.get(column)) for item in captioned]


def _staged(folder: Path, item: int) -> Path:
    return folder / f"{item}.png"


def _relative_name(item: CaptionedFile, source: Path) -> str:
    return item.path.relative_to(source).as_posix()
