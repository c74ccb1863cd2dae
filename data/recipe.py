"""Make an image set as a YAML file says: sources, tables, captions, cleaning, splits; it knows nothing of training."""

from __future__ import annotations

import json
import string
import tempfile
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Self

from pydantic import Field, model_validator

from base.config import Config, nearest
from base.errors import BadInput
from base.files import spoken_of
from base.runs import runs_root
from data import build, captioners, tables
from data.aspect_buckets import BucketsConfig
from data.captioners import BlipConfig, EndpointConfig
from data.cleaning_report import CleaningReport, Dropped
from data.join import TableConfig, joined
from data.parquet_images import find_or_unpack, staged
from data.read_split import read_hub
from data.sources import CaptionedFile, CaptionedImages, find
from data.square_picture import Fit, Form


class CaptionConfig(Config):
    """Where captions come from; where nothing is set, from the files next to the images."""

    column: str | None = None
    """A column of the tables or of the Hub's set."""
    templates: list[str] = []
    """Texts with `{columns}`: the first whose columns an image all has."""
    further: dict[str, list[str]] = {}
    """Further caption columns, such as `text_name`, each with templates of its own; `text` where none of them fits."""
    blip: BlipConfig | None = None
    endpoint: EndpointConfig | None = None
    words: int = Field(default=60, ge=1)
    """A longer caption is cut; a CLIP text encoder reads 77 tokens at most."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(map(bool, (self.column, self.templates, self.blip, self.endpoint))) > 1:
            raise ValueError("captions come from one source: column, templates, blip or endpoint")
        return self


class RecipeConfig(Config):
    """A recipe for an image set, as `ippo data build RECIPE` reads it."""

    name: str
    """The set's folder is `data/NAME` below the runs."""
    out: str | None = None
    """Another folder for it."""
    root: str = "."
    """Folder that all paths are relative to."""
    images: list[str] = ["."]
    """Folders of images, or of parquet files that hold them."""
    hub: str | None = None
    """A set on the Hub, instead of folders."""
    split: str = "train"
    """The split of the Hub's set that is read; it is split anew."""
    names: str | None = None
    """JSON of number → name."""
    tables: list[TableConfig] = []
    caption: CaptionConfig = CaptionConfig()
    size: int = 512
    """Pixels of the pictures' side."""
    buckets: BucketsConfig | None = None
    """Pictures keep about their own shape: each takes the nearest of several sizes of about `size`² pixels. None: squares."""
    background: str = "white"
    fit: Fit = "crop"
    trim: bool = False
    """Keeps only the square around what is drawn, of pictures on a ground of one colour."""
    stratify: str | None = None
    """Column whose values all splits share alike."""
    keep: str | None = None
    """Column of which training has every value, `name` for one: what stands once is never held out."""
    seed: int = 0
    near: int | None = None
    """Drops what differs in so few of 192 bits of its look from another image and shows the same: 12 finds other sizes and
    formats."""


def make(config: RecipeConfig) -> CleaningReport:
    """Make the imagefolder of a recipe, with `labels.csv` and `labels.xlsx`; see `build.build` for what is dropped.

    BadInput: sources that are missing or do not fit each other, a caption's column that is not there, nothing left.
    """
    if PurePath(config.name).name != config.name or config.name in ("", ".", ".."):
        raise BadInput(f"name: '{config.name}' is no plain name, such as creatures; out= names another folder")
    out = Path(config.out) if config.out else runs_root() / "data" / config.name
    with tempfile.TemporaryDirectory() as scratch, spoken_of(Path(scratch), config.hub or config.root):
        root, images = _read_images(config, Path(scratch).resolve())
        if config.tables or config.names:
            images = joined(images, root, config.tables, config.names)
        _check_columns(config, images.captioned)
        form = Form.checked(config.size, config.background, config.fit, config.trim, config.buckets)
        making = build.Making(root, out.absolute(), form, config.seed, config.stratify, config.near, config.keep)
        parameters = config.model_dump(mode="json", exclude=set() if config.buckets else {"buckets"})
        return build.make(making, images, parameters, _describer(config.caption), labels)


def labels(folder: Path) -> None:
    """Write `labels.csv` and `labels.xlsx` next to the splits: one row an image, its file first."""
    rows: list[dict[str, object]] = []
    for split in ("train", "validation", "test"):
        if (file := folder / split / "metadata.jsonl").is_file():
            lines = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
            rows += [{**line, "file_name": f"{split}/{line['file_name']}", "split": split} for line in lines]
    first = ("file_name", "split", "text")
    tables.write(
        [{name: row[name] for name in (*first, *sorted(row.keys() - set(first)))} for row in rows], folder, "labels"
    )


def _read_images(config: RecipeConfig, scratch: Path) -> tuple[Path, CaptionedImages]:
    """The images and where they are; those of the Hub and of parquet files are written into `scratch`."""
    if config.hub is not None:
        contents, columns = read_hub(config.hub, config.split)
        return scratch, staged(iter(contents), columns, scratch)
    root = Path(config.root).absolute()
    folders = [root / folder for folder in config.images]
    for folder in folders:
        if not folder.is_dir():
            raise BadInput(f"{config.name}: no folder {folder}; set root= to where the images are")
    if len(folders) == 1:
        base, images = find_or_unpack(folders[0], scratch, needed=False)
        return (base, images) if base == scratch else (root, _below(root, folders[0], images))
    captioned: dict[Path, CaptionedFile] = {}
    dropped: list[Dropped] = []
    for folder in folders:
        one = find(folder, needed=False)
        captioned |= {item.path: item for item in one.captioned}
        dropped += _below(root, folder, one).dropped
    return root, CaptionedImages(list(captioned.values()), dropped)


def _below(root: Path, folder: Path, images: CaptionedImages) -> CaptionedImages:
    """The images of a folder, what was dropped named from the root."""
    named = [replace(entry, what=(folder.relative_to(root) / entry.what).as_posix()) for entry in images.dropped]
    return CaptionedImages(images.captioned, named)


def _check_columns(config: RecipeConfig, captioned: Sequence[CaptionedFile]) -> None:
    """BadInput: captions are made of a column that no image has, and no optional table would have brought."""
    known = {name for item in captioned for name in item.columns}
    known |= {name for table in config.tables if table.optional for name in table.columns.values()}
    caption = config.caption
    texts = [*caption.templates, *(text for several in caption.further.values() for text in several)]
    for name in [*([caption.column] if caption.column else []), *(name for text in texts for name in _fields(text))]:
        if name not in known:
            raise BadInput(f"caption: no column '{name}'{nearest(name, known)}")


def _describer(config: CaptionConfig) -> build.Describe:
    """Cleaned pictures and their rows → captions in one line of at most `words` words, empty where there is none."""
    chosen = config.blip or config.endpoint
    captioner = chosen.open() if chosen else None

    def describe(pictures: Sequence[Path], rows: Sequence[CaptionedFile]) -> list[dict[str, str]]:
        texts = captioners.describe(captioner, pictures) if captioner else [_text(config, row) for row in rows]
        return [_columns(config, row, text) for row, text in zip(rows, texts, strict=True)]

    return describe


def _columns(config: CaptionConfig, row: CaptionedFile, text: str) -> dict[str, str]:
    further = {name: _templated(templates, row) or text for name, templates in config.further.items()}
    return {name: _readable(caption, config.words) for name, caption in {"text": text, **further}.items()}


def _text(config: CaptionConfig, row: CaptionedFile) -> str:
    if config.column:
        return str(row.columns.get(config.column, ""))
    return _templated(config.templates, row) if config.templates else row.text


def _templated(templates: Sequence[str], row: CaptionedFile) -> str:
    """The first of the templates whose columns the row all has, filled; empty where it has those of none."""
    fitting = (text for text in templates if all(row.columns.get(name) for name in _fields(text)))
    return next((text.format_map(row.columns) for text in fitting), "")


def _fields(template: str) -> list[str]:
    """The columns a template names. BadInput: its braces do not match, or hold more than a name."""
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise BadInput(f"caption template '{template}': {error}") from None
    if strange := [name for name in names if not name.isidentifier()]:
        raise BadInput(f"caption template '{template}': '{strange[0]}' is not the name of a column")
    return names


def _readable(text: str, words: int) -> str:
    """At most so many words in one line, one spelling of every letter in any script; control characters become spaces."""
    composed = unicodedata.normalize("NFC", text)
    plain = "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in composed)
    return " ".join(plain.split()[:words])
