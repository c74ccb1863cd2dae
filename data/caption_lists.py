"""Captions and further columns of images, in every kind of file that people keep them in; it knows nothing of pixels."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base import table_reader
from base.errors import BadInput
from base.listed_names import names_of
from base.pointers import absence
from base.table_reader import TableRow
from data import caption_json
from data.cleaning_report import Dropped
from data.decode import SUFFIXES
from data.image_names import ImageNames

Scalar = str | int | float | bool
Value = Scalar | list[Any]
"""What a column may hold: a number, a text, or a list of them such as `attributes`."""

NAME_COLUMNS = ("file_name", "filename", "file", "image", "image_name", "image_path", "path", "img", "image_id", "id")
"""Columns of a table that may hold the image's file, the first that is there."""
TEXT_COLUMNS = ("text", "caption", "captions", "prompt", "description", "title", "comment")
"""Columns of a table that may hold the caption, or a list of captions, the first that is there."""
LISTS = tuple(table_reader.READERS)
"""Endings of tables; a `.json` next to an image of its name is that image's alone."""
SIDECARS = (".txt", ".caption", ".json")
"""Endings of files that caption the image of their name."""
RESERVED = ("file_name", "text", "original")
"""Columns that a set fills itself."""
_NOTHING = ("nan", "null", "none", "n/a", "<na>")
"""How tables spell a caption that is not there."""
_FORM = "samplesubmission"
"""Kaggle's list of the test images, each with a label that stands for none."""
_NUMBERED = re.compile(r"(?P<name>\S[^\t]*\.\w+)#\d+\t(?P<text>.*)")
"""A line of Flickr8k's and Flickr30k's `.token`: the picture's file, the number of its caption, the caption."""


@dataclass(frozen=True)
class Caption:
    """What one file says about one image; the text is empty where it only has further columns."""

    image: Path
    text: str
    origin: Path
    columns: Mapping[str, Value] = field(default_factory=dict)


class CaptionFiles:
    """The caption files of a folder, read in the order in which they count; what names no image is listed."""

    def __init__(self, files: list[Path], images: ImageNames, source: Path) -> None:
        self.dropped: list[Dropped] = []
        self.nameless: str | None = None
        """Where a table first lacked the name of an image, and the columns it has."""
        self.unread: str | None = None
        """Why the first file was not read that looks like one of captions."""
        self._files, self._images, self._source = files, images, source

    def __iter__(self) -> Iterator[Caption]:
        """metadata.jsonl, other lists, files beside the images. BadInput: a list that cannot be read."""
        lists = [path for path in self._files if path.suffix.lower() in LISTS and not self._images.of_sidecar(path)]
        for path in sorted(lists, key=lambda path: path.name != "metadata.jsonl"):
            yield from self._list(path)
        for path in self._files:
            if path.suffix.lower() in SIDECARS:
                yield from self._beside(path)

    def _list(self, table: Path) -> Iterator[Caption]:
        """One rule for all of them: a row that names an image says what it says of it, any other row is listed."""
        if table.stem.casefold().replace("_", "").startswith(_FORM):
            self._drop(table, "a competition's form to fill in")
            return
        try:
            rows = table_reader.read(table, TEXT_COLUMNS)
        except BadInput as error:
            if table.suffix.lower() != ".json":
                raise
            apart = caption_json.read(table)
            for place, why in apart.unused:
                self._drop(table, why, place)
            if not (rows := list(apart.rows)):
                self.unread = self.unread or str(error)
                if not apart.unused:
                    self._drop(table, f"JSON that is no list of captions ({str(error).rpartition(': ')[2]})")
                return
        if not rows:
            self._drop(table, "table without rows")
            return
        named = [(row, *roles(row)) for row in rows]
        spoken = {text for _, _, text in named if text is not None}
        if nameless := [row for row, name, _ in named if name is None]:
            columns = ", ".join(str(name) for name in nameless[0].values)
            self.nameless = self.nameless or f"{nameless[0].where} has no file_name among its columns {columns:.200}"
        if len(nameless) == len(rows):
            self._drop(table, f"table without columns {NAME_COLUMNS[0]} and {TEXT_COLUMNS[0]}")
            return
        for row in nameless:
            self._drop(table, "row that names no image", row.where.removeprefix(str(table)).strip(" :"))
        for row, name, text in named:
            if name is not None:
                silent = {one for one in spoken if not any(texts(row, one))}  # is no column, in a row without a caption
                for caption in texts(row, text):
                    yield Caption(self._image(row.text(name), table), caption, table, others(row, name, text, *silent))

    def _image(self, name: str, table: Path) -> Path:
        """The image that a list names, or where it would lie."""
        return self._images.named(name, table) or table.parent / name.replace("\\", "/")

    def _beside(self, path: Path) -> Iterator[Caption]:
        """cat.txt, cat.png.txt, cat.caption and cat.json all caption cat.png."""
        owners = self._images.of_sidecar(path) or self._images.of_stem(path.stem)
        if not owners and path.suffix.lower() == ".json":
            return  # it was read as a list
        if (why := absence(path)) is not None:
            self.unread = self.unread or f"{path} {why}"
            self._drop(path, why.removeprefix("is "))
            return
        if not owners and _names_columns(path):
            yield from self._list(path)
            return
        if not owners and (numbered := _numbered(path)):
            yield from (Caption(self._image(name, path), text, path) for name, text in numbered)
            return
        try:
            said, columns = _sidecar(path)
        except BadInput:
            self._drop(path, "caption that is not UTF-8 text")
            return
        if not owners and (why := _no_header(path, said)):
            raise BadInput(why)
        if not owners:
            nothing = not any(said)
            self.unread = self.unread or f"{path} {'is empty' if nothing else 'lies beside no image of its name'}"
            self._drop(path, "empty file" if nothing else "caption without an image")
        for image in owners:
            yield from (Caption(image, text, path, columns) for text in said)

    def _drop(self, path: Path, why: str, place: str = "") -> None:
        name = path.relative_to(self._source).as_posix()
        self.dropped.append(Dropped(f"{name} {place}".strip(), why))


def roles(row: TableRow) -> tuple[str | None, str | None]:
    """The columns of a row that hold the image's name and the caption, whatever they are called; None: none does."""
    filled = [name for name in row.values if name and any(texts(row, name))]
    named = [name for name in filled if row.text(name)]
    return table_reader.column(named, NAME_COLUMNS), table_reader.column(filled, TEXT_COLUMNS)


def texts(row: TableRow, column: str | None) -> list[str]:
    """The captions in a column of a row: one, empty where there is none, or those of a list of texts."""
    value = row.values.get(column) if column else None
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return [item.strip() for item in value if item.strip()] or [""]
    text = row.text(column) if column else ""
    return ["" if text.casefold() in _NOTHING else text]


def others(row: TableRow, *taken: str | None) -> dict[str, Value]:
    """The further columns of a row: numbers, texts and lists of them; NaN is nothing. BadInput: attributes that are none."""
    chosen = {_known(name.strip()): value for name, value in row.values.items() if name and name not in taken}
    listed = chosen.get("attributes")
    if isinstance(listed, list | dict) or table_reader.as_text(listed).startswith("["):
        chosen["attributes"] = names_of(TableRow(row.where, {"attributes": listed}), "attributes")
    return {name: value for name, value in chosen.items() if name not in RESERVED and is_value(value)}


def _known(name: str) -> str:
    """`Label` is the column that judges and teachers look for."""
    return name.casefold() if name.casefold() in ("label", "attributes") else name


def in_words(columns: Mapping[str, Value]) -> str:
    """The caption of an image that has none: its attributes, else its label."""
    attributes = columns.get("attributes")
    if isinstance(attributes, list):
        return ", ".join(map(str, attributes))
    return table_reader.as_text(attributes) or table_reader.as_text(columns.get("label"))


def is_value(value: object) -> bool:
    """Whether a set can keep it: a number, a text, or a list of such."""
    if isinstance(value, list):
        return all(is_value(item) and not isinstance(item, list) for item in value)
    return isinstance(value, Scalar) and not (isinstance(value, float) and not math.isfinite(value))


def _names_columns(path: Path) -> bool:
    """Whether a `.txt` is a table: its first line names the columns (as Flickr8k's `captions.txt` does)."""
    with path.open("rb") as stream:
        head = stream.readline(1000).decode("utf-8-sig", "replace").strip()
    headers = [head.split(delimiter) for delimiter in table_reader.DELIMITERS]
    accepted = (NAME_COLUMNS, TEXT_COLUMNS)
    return any(all(table_reader.column(names, columns) is not None for columns in accepted) for names in headers)


def _no_header(path: Path, said: list[str]) -> str | None:
    """What is wrong with a `.txt` whose first line begins with an image's file: it is a table without a header."""
    line = said[0].partition("\n")[0] if said else ""
    firsts = [line.partition(delimiter)[0].strip(" \"'") for delimiter in table_reader.DELIMITERS if delimiter in line]
    if any(Path(first).suffix.lower() in SUFFIXES for first in firsts):
        return f"{path} has no header: its first line must name the columns, such as image,caption"
    return None


def _numbered(path: Path) -> list[tuple[str, str]]:
    """Names of images and their captions, where every line of a `.txt` is of Flickr8k's kind; otherwise none."""
    try:
        lines = [line for line in table_reader.lines(table_reader.read_text(path)) if line.strip()]
    except BadInput:
        return []
    found = [match for line in lines if (match := _NUMBERED.fullmatch(line))]
    return [(match["name"], match["text"].strip()) for match in found] if len(found) == len(lines) else []


def _sidecar(path: Path) -> tuple[list[str], dict[str, Value]]:
    """The captions in a sidecar file, and what else a JSON object there says. BadInput: it cannot be read."""
    text = table_reader.read_text(path)
    if path.suffix.lower() != ".json":
        return [text], {}
    try:
        content = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not JSON") from error
    if not isinstance(content, dict):
        return [str(content)], {}
    row = TableRow(str(path), content)
    name, column = roles(row)
    return texts(row, column), others(row, name, column)
