"""Images inside parquet files, whoever wrote them, unpacked beside their captions and columns; it decodes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from base.errors import BadInput
from base.pointers import refuse_pointer
from base.table_reader import TableRow
from data.caption_lists import in_words, others, roles, texts
from data.cleaning_report import Dropped
from data.decode import SUFFIXES
from data.several_captions import MOST, in_columns
from data.sources import CaptionedFile, CaptionedImages, find

_BATCH = 256
"""Rows that are in memory at a time."""
_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d+)-of-(?P<count>\d+)\.parquet")
_HEADS = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP", b"qoif")
"""How the content of image files begins."""


def find_or_unpack(source: Path, scratch: Path, needed: bool = True) -> tuple[Path, CaptionedImages]:
    """The captioned images of a folder and the folder they lie in: those of parquet files are unpacked into `scratch`.

    BadInput: as `sources.find` and `unpacked`.
    """
    files = sorted(source.rglob("*.parquet")) if source.is_dir() else []
    if files and not any(path.suffix.lower() in SUFFIXES for path in source.rglob("*")):
        return scratch, unpacked(files, scratch)
    return source, find(source, needed)


def unpacked(files: Sequence[Path], scratch: Path) -> CaptionedImages:
    """Every image of parquet files, written into `scratch`, with its caption and its other columns.

    An image's column holds the content of files: as the Hub has it, `{bytes, path}`, or as plain binary. Numbers of the Hub's
    class labels become their names. BadInput: a file that cannot be read or is only a pointer, or no column of images.
    """
    _refuse_gaps(files)
    captioned: list[tuple[CaptionedFile, list[str]]] = []
    dropped: list[Dropped] = []
    columns = list[str]()
    for file in files:
        refuse_pointer(file)
        classes = _class_names(file)
        for number, row in enumerate(_rows(file), start=1):
            columns = columns or list(row)
            content = next((found for value in row.values() if (found := _content(value)) is not None), None)
            if content is None:
                dropped.append(Dropped(f"{file.name} row {number}", "row without an image"))
                continue
            target = scratch / f"{len(captioned):06d}.png"  # of whatever format: readers go by the content
            target.write_bytes(content)
            captioned.append(_captioned(target, f"{file} row {number}", row, classes))
    if not captioned:
        raise BadInput(
            f"{files[0]} holds no images: accepted is a column of bytes, or of bytes and path; it has: {', '.join(columns)}"
        )
    return CaptionedImages(_together(captioned), dropped)


def staged(contents: Iterator[bytes | Path], columns: Mapping[str, Sequence[Any]], scratch: Path) -> CaptionedImages:
    """The same of images that are already read, each with its values of `columns`."""
    captioned = []
    for index, content in enumerate(contents):
        target = scratch / f"{index:06d}.png"
        target.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        row = {name: values[index] for name, values in columns.items()}
        captioned.append(_captioned(target, f"row {index + 1}", row, {}))
    return CaptionedImages(_together(captioned), [])


def _captioned(
    file: Path, where: str, row: Mapping[str, Any], classes: Mapping[str, Sequence[str]]
) -> tuple[CaptionedFile, list[str]]:
    """The image with its first caption, and all of them."""
    named = {name: _named(value, classes.get(name)) for name, value in row.items() if _content(value) is None}
    whole = TableRow(where, named)
    _, caption = roles(whole)
    columns = others(whole, caption)
    said = list(dict.fromkeys(texts(whole, caption)))[:MOST] if caption else [in_words(columns)]
    return CaptionedFile(file, said[0], columns), said


def _together(captioned: Sequence[tuple[CaptionedFile, list[str]]]) -> list[CaptionedFile]:
    """The images with further captions in columns of their own."""
    further = in_columns([said for _, said in captioned], {name for one, _ in captioned for name in one.columns})
    return [replace(one, columns={**one.columns, **more}) for (one, _), more in zip(captioned, further, strict=True)]


def _refuse_gaps(files: Sequence[Path]) -> None:
    """BadInput: of the parts of one set, `train-00000-of-00003.parquet` and so on, one is missing."""
    there = {path.name for path in files}
    for path in files:
        if (part := _PART.fullmatch(path.name)) is not None:
            width, count = len(part["number"]), int(part["count"])
            names = (f"{part['stem']}-{number:0{width}d}-of-{part['count']}.parquet" for number in range(count))
            if missing := next((name for name in names if name not in there), None):
                raise BadInput(f"{path.parent} lacks {missing}, a part of {path.name}: fetch it too")


def _named(value: Any, names: Sequence[str] | None) -> Any:
    return names[value] if names and isinstance(value, int) and 0 <= value < len(names) else value


def _content(value: Any) -> bytes | None:
    """The content of an image's file: bytes, or those of the Hub's `{bytes, path}`; None: it is something else."""
    if isinstance(value, dict):
        value = value.get("bytes")
    if isinstance(value, bytes) and (value.startswith(_HEADS) or value[4:8] == b"ftyp"):
        return value
    return None


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    return _reading(file, lambda parquet: (row for part in parquet.iter_batches(_BATCH) for row in part.to_pylist()))


def _class_names(file: Path) -> dict[str, list[str]]:
    """Column → the names behind its numbers, as the Hub's library writes them into a file's head."""
    heads = list(_reading(file, lambda parquet: iter([parquet.schema_arrow.metadata or {}])))
    try:
        features = json.loads(heads[0].get(b"huggingface", b"{}"))["info"]["features"]
        return {name: kind["names"] for name, kind in features.items() if kind.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _reading(file: Path, read: Callable[[Any], Iterator[Any]]) -> Iterator[Any]:
    """What `read` makes of an opened file. BadInput: it is cut, damaged, or no parquet file."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as opened:
            yield from read(opened)
    except (OSError, pyarrow.ArrowException) as error:
        raise BadInput(
            f"{file} cannot be read, is it cut? Fetch it again ({str(error).splitlines()[0].rstrip('.')})"
        ) from None
