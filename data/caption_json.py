"""JSON in which pictures and captions lie apart: COCO's annotations, Karpathy's splits; it knows no folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from base.table_reader import TableRow, as_text, read_text


def rows(file: Path) -> list[TableRow]:
    """A row `file_name, caption` for each caption, in the file's order; none where it is JSON of another shape, or none."""
    try:
        content = json.loads(read_text(file), parse_constant=lambda _: None)
    except ValueError:
        return []
    if not isinstance(content, dict):
        return []
    images = _objects(content.get("images"))
    apart = [*_coco(images, _objects(content.get("annotations"))), *_karpathy(images)]
    return [
        TableRow(f"{file} caption {number}", {"file_name": name, "caption": caption})
        for number, (name, caption) in enumerate(apart, start=1)
    ]


def _coco(images: list[Mapping[str, Any]], annotations: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """`images: [{id, file_name}]`, `annotations: [{image_id, caption}]` (arXiv 1504.00325)."""
    names = {str(image["id"]): as_text(image.get("file_name")) for image in images if "id" in image}
    for annotation in annotations:
        name, caption = names.get(str(annotation.get("image_id"))), as_text(annotation.get("caption"))
        if name and caption:
            yield name, caption


def _karpathy(images: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """`images: [{filename, sentences: [{raw}]}]` (arXiv 1412.2306): Flickr8k, Flickr30k and COCO."""
    for image in images:
        for sentence in _objects(image.get("sentences")):
            name, caption = as_text(image.get("filename")), as_text(sentence.get("raw"))
            if name and caption:
                yield name, caption


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
