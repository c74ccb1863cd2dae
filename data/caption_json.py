"""JSON in which pictures and captions lie apart: COCO's annotations, Karpathy's splits; it knows no folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.table_reader import TableRow, as_text, read_text

NO_TEXT = "caption that is no text"
UNLISTED = "caption of an image that its file does not list"
NAMELESS = "image without a file name"


@dataclass(frozen=True)
class Apart:
    """What such a file says, in its order."""

    rows: tuple[TableRow, ...]
    """`file_name, caption` of each caption, and of each image that has none, whose caption is empty."""
    unused: tuple[tuple[str, str], ...]
    """What says nothing of any image: its place in the file, and why."""


def read(file: Path) -> Apart:
    """The captions of a file; no rows where it is JSON of another shape, or none."""
    try:
        content = json.loads(read_text(file), parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return Apart((), ())
    if not isinstance(content, dict):
        return Apart((), ())
    images = _objects(content.get("images"))
    found = [*_coco(images, _objects(content.get("annotations"))), *_karpathy(images)]
    rows = [
        TableRow(f"{file} {place}", {"file_name": name, "caption": caption})
        for place, name, caption in found
        if name is not None
    ]
    return Apart(tuple(rows), tuple((place, why) for place, name, why in found if name is None))


Found = tuple[str, str | None, str]
"""A place in the file, the image's file name and its caption; or in place of the name None, and why it says nothing."""


def _coco(images: list[Mapping[str, Any]], annotations: list[Mapping[str, Any]]) -> Iterator[Found]:
    """`images: [{id, file_name}]`, `annotations: [{image_id, caption}]` (arXiv 1504.00325)."""
    names = {str(image["id"]): as_text(image.get("file_name")) for image in images if "id" in image}
    captioned: set[str] = set()
    for number, annotation in enumerate(annotations, start=1):
        key = str(annotation.get("image_id"))
        place = f"annotation {number} (image_id {key:.40})"
        if key not in names:
            yield place, None, UNLISTED
        elif not names[key]:
            yield place, None, NAMELESS
        elif caption := _text(annotation.get("caption")):
            captioned.add(key)
            yield place, names[key], caption
        else:
            yield place, None, NO_TEXT
    for key, name in names.items():
        if annotations and key not in captioned and name:
            yield f"image {key:.40}", name, ""


def _karpathy(images: list[Mapping[str, Any]]) -> Iterator[Found]:
    """`images: [{filename, sentences: [{raw}]}]` (arXiv 1412.2306): Flickr8k, Flickr30k and COCO."""
    for number, image in enumerate(images, start=1):
        for turn, sentence in enumerate(_objects(image.get("sentences")), start=1):
            name, caption = as_text(image.get("filename")), _text(sentence.get("raw"))
            place = f"image {number} sentence {turn}"
            if name and caption:
                yield place, name, caption
            else:
                yield place, None, NO_TEXT if name else NAMELESS


def _text(value: object) -> str:
    """A caption; a number or null is none."""
    return value.strip() if isinstance(value, str) else ""


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
