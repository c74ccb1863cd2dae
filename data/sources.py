"""Find the images of a folder and the captions that belong to them; it knows nothing of pixels or splits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base import table_reader
from base.errors import BadInput
from data.cleaning_report import Dropped
from data.decode import FOREIGN_SUFFIXES, SUFFIXES
from data.image_names import ImageNames

Scalar = str | int | float | bool
Value = Scalar | list[Any]
"""What a column may hold: a number, a text, or a list of them such as `attributes`."""

_SPLITS = {"train", "validation", "valid", "val", "test", "images"}
"""Folder names that are no classes."""

NAME_COLUMNS = ("file_name", "filename", "file", "image", "image_path", "path", "img")
"""Columns of a table that may hold the image's file, the first that is there."""
TEXT_COLUMNS = ("text", "caption", "prompt", "description", "title")
"""Columns of a table that may hold the caption, the first that is there."""
LISTS = tuple(table_reader.READERS)
"""Endings of tables; a `.json` next to an image of its name is that image's alone."""
SIDECARS = (".txt", ".caption", ".json")
"""Endings of files that caption the image of their name."""
ACCEPTED = (
    f"a .txt or .caption beside each image, a table with columns {NAME_COLUMNS[0]} and {TEXT_COLUMNS[0]} "
    f"(or {', '.join(TEXT_COLUMNS[1:4])}), or metadata.jsonl; or a folder a class"
)


@dataclass(frozen=True)
class CaptionedFile:
    """An image file, its caption, and the further columns its table had."""

    path: Path
    text: str
    columns: Mapping[str, Value] = field(default_factory=dict)


@dataclass
class CaptionedImages:
    """The images of a source: those with captions in the order of their paths, and what cannot be used, with the reason."""

    captioned: list[CaptionedFile]
    dropped: list[Dropped]


@dataclass(frozen=True)
class _Caption:
    image: Path
    text: str
    origin: Path
    columns: Mapping[str, Value] = field(default_factory=dict)


def find(source: Path, needed: bool = True) -> CaptionedImages:
    """Find every captioned image under `source`. metadata.jsonl counts before other lists, and these before a .txt.

    Where captions are not `needed`, images without one stay, with an empty text.
    BadInput: no such folder, nothing in it, no image, no caption at all, a table that cannot be read.
    """
    if not source.is_dir():
        raise BadInput(f"no folder {source}: give a folder of images with captions")
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and not _hidden(path.relative_to(source))]
    images = [path for path in files if path.suffix.lower() in SUFFIXES]
    if not images:
        raise BadInput(f"no images in {source}: accepted are {', '.join(sorted(SUFFIXES))}")
    foreign = [path for path in files if path.suffix.lower() in FOREIGN_SUFFIXES]
    dropped = [_drop(path, source, f"{path.suffix.lower()} files are not read") for path in foreign]
    read = list(_captions(files, images, source, dropped))
    captions = _used(read, set(images), source, dropped)
    if read and not captions and not any(caption.image in images for caption in read):
        raise BadInput(
            f"{read[0].origin} names no image that is in {source}: the first it names is '{read[0].image.name}'"
        )
    if not captions:
        captions = _by_folder(images, source)
    if not needed:
        captions = {path: CaptionedFile(path, "") for path in images} | captions
    if not captions:
        raise BadInput(f"no captions for the images in {source}: accepted are {ACCEPTED}")
    dropped += [_drop(path, source, "image without a caption") for path in images if path not in captions]
    return CaptionedImages([captions[path] for path in images if path in captions], dropped)


def _captions(files: list[Path], images: list[Path], source: Path, dropped: list[Dropped]) -> Iterator[_Caption]:
    """Captions in the order in which they count: metadata.jsonl, other lists, sidecar files."""
    known = ImageNames(images, source)
    lists = [path for path in files if path.suffix.lower() in LISTS and not known.of_sidecar(path)]
    lists.sort(key=lambda path: path.name != "metadata.jsonl")
    for path in lists:
        yield from _from_list(path, known, source, dropped)
    yield from _from_sidecars([path for path in files if path.suffix.lower() in SIDECARS], known, source, dropped)


def _by_folder(images: list[Path], source: Path) -> dict[Path, CaptionedFile]:
    """A folder a class: its name is label and text; nothing unless every image lies in one of several such folders."""
    classes = {path: path.parent.name for path in images if path.parent.parent == source}
    if len(classes) < len(images) or len(set(classes.values())) < 2 or set(classes.values()) <= _SPLITS:
        return {}
    texts = {name: " ".join(name.replace("_", " ").replace("-", " ").split()) for name in classes.values()}
    return {path: CaptionedFile(path, texts[name], {"label": texts[name]}) for path, name in classes.items()}


def _used(
    captions: Iterable[_Caption], images: set[Path], source: Path, dropped: list[Dropped]
) -> dict[Path, CaptionedFile]:
    """The first caption of each image; lists captions of no image and second captions."""
    used: dict[Path, CaptionedFile] = {}
    for caption in captions:
        text = " ".join(caption.text.split())
        if caption.image not in images:
            dropped.append(Dropped(_named(caption, source), "caption without an image"))
        elif text and caption.image not in used:
            used[caption.image] = CaptionedFile(caption.image, text, caption.columns)
        elif text and used[caption.image].text != text:
            dropped.append(Dropped(_named(caption, source), "second caption of the same image"))
    return used


def _from_list(table: Path, known: ImageNames, source: Path, dropped: list[Dropped]) -> Iterator[_Caption]:
    try:
        rows = table_reader.read(table, TEXT_COLUMNS)
    except BadInput as error:
        if table.suffix.lower() != ".json":
            raise
        dropped.append(_drop(table, source, f"JSON that is no list of captions ({str(error).rpartition(': ')[2]})"))
        return
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    name_column, text_column = _columns(names)
    if name_column is None and table.name == "metadata.jsonl":
        where = rows[0].where if rows else str(table)
        raise BadInput(f"{where} has no file_name: accepted are {', '.join(NAME_COLUMNS)}")
    if name_column is None or (text_column is None and table.name != "metadata.jsonl"):
        dropped.append(_drop(table, source, f"table without columns {NAME_COLUMNS[0]} and {TEXT_COLUMNS[0]}"))
        return
    for row in rows:
        own_name, own_text = _columns(row.values)  # a row of JSON may call them otherwise than the row before
        name_column, text_column = own_name or name_column, own_text or text_column
        if not row.text(name_column):
            if table.name == "metadata.jsonl":
                raise BadInput(f"{row.where} has no file_name: accepted are {', '.join(NAME_COLUMNS)}")
            continue
        image = known.named(row.text(name_column), table)
        if image is None:
            image = table.parent / row.text(name_column).replace("\\", "/")
        yield _Caption(
            image, row.text(text_column) if text_column else "", table, _others(row, name_column, text_column)
        )


def _from_sidecars(files: list[Path], known: ImageNames, source: Path, dropped: list[Dropped]) -> Iterator[_Caption]:
    """cat.txt, cat.png.txt, cat.caption and cat.json all caption cat.png."""
    for path in files:
        owners = known.of_sidecar(path) or known.of_stem(path.stem)
        if not owners and path.suffix.lower() == ".json":
            continue
        if not owners and _names_columns(path):
            yield from _from_list(path, known, source, dropped)
            continue
        try:
            text, columns = _sidecar(path)
        except BadInput:
            dropped.append(_drop(path, source, "caption that is not UTF-8 text"))
            continue
        for image in owners or [path]:
            yield _Caption(image, text, path, columns)


def _names_columns(path: Path) -> bool:
    """Whether a `.txt` is a table: its first line names the columns (as Flickr8k's `captions.txt` does)."""
    with path.open("rb") as stream:
        head = stream.readline(1000).decode("utf-8-sig", "replace")
    return any(None not in _columns(head.strip().split(delimiter)) for delimiter in table_reader.DELIMITERS)


def _sidecar(path: Path) -> tuple[str, dict[str, Value]]:
    """The caption in a sidecar file, and what else a JSON object there says. BadInput: it cannot be read."""
    text = table_reader.read_text(path)
    if path.suffix.lower() != ".json":
        return text, {}
    try:
        content = json.loads(text, parse_constant=lambda _: None)
    except ValueError as error:
        raise BadInput(f"{path} is not JSON") from error
    if not isinstance(content, dict):
        return str(content), {}
    row = table_reader.TableRow(str(path), content)
    column = _columns(content)[1]
    return row.text(column or ""), _others(row, *_columns(content))


def _others(row: table_reader.TableRow, *taken: str | None) -> dict[str, Value]:
    """The further columns of a row: numbers, texts and lists of them; NaN is nothing."""
    chosen = {name: value for name, value in row.values.items() if name and name not in ("image", *taken)}
    return {name.strip(): value for name, value in chosen.items() if _is_value(value)}


def _is_value(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_value(item) and not isinstance(item, list) for item in value)
    return isinstance(value, Scalar) and value == value  # NaN alone differs from itself


def _columns(names: Iterable[str]) -> tuple[str | None, str | None]:
    """The columns of the file name and of the caption, whatever they are called."""
    spelled = {name.strip().lower(): name for name in names if name}
    name = next((spelled[alias] for alias in NAME_COLUMNS if alias in spelled), None)
    text = next((spelled[alias] for alias in TEXT_COLUMNS if alias in spelled), None)
    return name, text


def _named(caption: _Caption, source: Path) -> str:
    origin = caption.origin.relative_to(source).as_posix()
    return origin if caption.origin == caption.image else f"{origin}: {caption.image.name}"


def _drop(path: Path, source: Path, why: str) -> Dropped:
    return Dropped(path.relative_to(source).as_posix(), why)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
