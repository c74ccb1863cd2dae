"""Finds the images of a folder and the captions that belong to them; knows nothing of pixels or splits."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from base.errors import BadInput
from data.cleaning_report import Dropped
from data.decode import FOREIGN_SUFFIXES, SUFFIXES

Scalar = str | int | float | bool

NAME_COLUMNS = ("file_name", "filename", "file", "image", "image_path", "path", "img")
TEXT_COLUMNS = ("text", "caption", "prompt", "description", "title")
ACCEPTED = (
    f"a .txt beside each image, a CSV with columns {NAME_COLUMNS[0]} and {TEXT_COLUMNS[0]} "
    f"(or {', '.join(TEXT_COLUMNS[1:4])}), or metadata.jsonl"
)


@dataclass(frozen=True)
class CaptionedFile:
    """An image file, its caption, and the further columns its table had."""

    path: Path
    text: str
    columns: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass
class Found:
    """What a folder holds: captioned images in the order of their paths, and what cannot be used, with the reason."""

    captioned: list[CaptionedFile]
    dropped: list[Dropped]


@dataclass(frozen=True)
class _Caption:
    image: Path
    text: str
    origin: Path
    columns: Mapping[str, Scalar] = field(default_factory=dict)


def find(source: Path, needed: bool = True) -> Found:
    """Every captioned image under `source`. metadata.jsonl counts before a CSV, and that before a .txt.

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
    captions = _used(_captions(files, images, source, dropped), set(images), source, dropped)
    if not needed:
        captions = {path: CaptionedFile(path, "") for path in images} | captions
    if not captions:
        raise BadInput(f"no captions for the images in {source}: accepted are {ACCEPTED}")
    dropped += [_drop(path, source, "image without a caption") for path in images if path not in captions]
    return Found([captions[path] for path in images if path in captions], dropped)


def _captions(files: list[Path], images: list[Path], source: Path, dropped: list[Dropped]) -> Iterator[_Caption]:
    for path in files:
        if path.name == "metadata.jsonl":
            yield from _from_lines(path)
    for path in files:
        if path.suffix.lower() in (".csv", ".tsv"):
            yield from _from_table(path, source, dropped)
    yield from _from_sidecars([path for path in files if path.suffix.lower() == ".txt"], images, source, dropped)


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


def _from_lines(table: Path) -> Iterator[_Caption]:
    for number, line in enumerate(_text(table).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            raise BadInput(f"{table} line {number} is not JSON: accepted is one object a line") from None
        name_column, text_column = _columns(row) if isinstance(row, dict) else (None, None)
        if name_column is None:
            raise BadInput(f"{table} line {number} has no file_name: accepted are {', '.join(NAME_COLUMNS)}")
        yield _caption(table, row, name_column, text_column)


def _from_table(table: Path, source: Path, dropped: list[Dropped]) -> Iterator[_Caption]:
    content = _text(table)
    for delimiter in ",;\t|":
        reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter)
        try:
            name_column, text_column = _columns(reader.fieldnames or ())
            if name_column is not None and text_column is not None:
                yield from (_caption(table, row, name_column, text_column) for row in reader if row[name_column])
                return
        except csv.Error as error:
            raise BadInput(f"{table} line {reader.line_num}: {error}") from None
    dropped.append(_drop(table, source, f"table without columns {NAME_COLUMNS[0]} and {TEXT_COLUMNS[0]}"))


def _from_sidecars(texts: list[Path], images: list[Path], source: Path, dropped: list[Dropped]) -> Iterator[_Caption]:
    """cat.txt and cat.png.txt both caption cat.png."""
    owners: dict[Path, list[Path]] = defaultdict(list)
    for image in images:
        owners[image].append(image)
        owners[image.with_suffix("")].append(image)
    for path in texts:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (UnicodeDecodeError, OSError):
            dropped.append(_drop(path, source, "caption that is not UTF-8 text"))
            continue
        for image in owners.get(path.with_suffix("")) or [path]:
            yield _Caption(image, text, path)


def _caption(table: Path, row: Mapping[str, object], name_column: str, text_column: str | None) -> _Caption:
    image = table.parent / str(row[name_column]).strip().replace("\\", "/")
    text = row.get(text_column) if text_column is not None else None
    others = {
        key.strip(): value
        for key, value in row.items()
        if key not in (None, "image", name_column, text_column) and isinstance(value, Scalar)
    }
    return _Caption(image, text if isinstance(text, str) else "", table, others)


def _columns(names: Iterable[str]) -> tuple[str | None, str | None]:
    """The columns of the file name and of the caption, whatever they are called."""
    spelled = {name.strip().lower(): name for name in names if name}
    name = next((spelled[alias] for alias in NAME_COLUMNS if alias in spelled), None)
    text = next((spelled[alias] for alias in TEXT_COLUMNS if alias in spelled), None)
    return name, text


def _text(table: Path) -> str:
    try:
        return table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{table} is not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise BadInput(f"cannot read {table}: {error.strerror}") from None


def _named(caption: _Caption, source: Path) -> str:
    origin = caption.origin.relative_to(source).as_posix()
    return origin if caption.origin == caption.image else f"{origin}: {caption.image.name}"


def _drop(path: Path, source: Path, why: str) -> Dropped:
    return Dropped(path.relative_to(source).as_posix(), why)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
