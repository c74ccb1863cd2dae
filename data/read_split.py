"""One split of a Hugging Face imagefolder, on disk or on the Hub, as undecoded images and columns; it knows no pixels.

A local folder with metadata.jsonl is read directly: the `datasets` library, which reads everything else, takes 15 s to look
through 25,000 files where this takes a fraction of a second. Nothing local ever goes online.
"""

from __future__ import annotations

import glob
import json
from pathlib import Path
from typing import Any

from base.errors import BadInput, first_line
from base.pointers import absence, refuse_pointer

Sources = list[Path | bytes]
"""Where each image comes from: its file, or its encoded content."""
Columns = dict[str, list[Any]]
"""Name → the values of all rows."""

_SPLITS = ("train", "validation", "test")
_METADATA = "metadata.jsonl"
_HUB_SECONDS = 10.0
"""Seconds to wait for the Hub's first answer."""


def read_split(name: str, split: str) -> tuple[Sources, Columns]:
    """The images of a split, undecoded, and its columns. BadInput: no such folder, set or split, or images that are lost."""
    folder = Path(name)
    if not folder.is_dir():
        return read_hub(name, split)
    direct = {inner: folder / inner for inner in _SPLITS if (folder / inner / _METADATA).is_file()}
    if not direct and (folder / _METADATA).is_file():
        direct = {"train": folder}
    if split in direct:
        return _read_metadata(direct[split] / _METADATA)
    if direct:
        raise BadInput(f"{folder} has no split '{split}'; it has: {', '.join(direct)}")
    return _read_with_datasets(name, split)


def _read_metadata(table: Path) -> tuple[Sources, Columns]:
    refuse_pointer(table)
    try:
        rows = [json.loads(line) for line in table.read_text(encoding="utf-8").split("\n") if line.strip()]
        sources: Sources = [table.parent / row.pop("file_name") for row in rows]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{table} is not one JSON object a line, each with a file_name ({error})") from None
    if lost := [path for path in sources if isinstance(path, Path) and not path.is_file()]:
        linked = next((f"{path} {why}" for path in lost if isinstance(path, Path) and (why := absence(path))), None)
        raise BadInput(linked or f"{table} names {len(lost)} images that are not there, the first {lost[0].name}")
    names = dict.fromkeys(name for row in rows for name in row)
    return sources, {name: [row.get(name) for row in rows] for name in names}


def _read_with_datasets(name: str, split: str) -> tuple[Sources, Columns]:
    import datasets

    try:
        splits = datasets.load_dataset("imagefolder", data_dir=glob.escape(name))  # which it takes for a pattern
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{name} is not an imagefolder (images, or train/ validation/ test/ of images): {first_line(error)}"
        ) from None
    if split not in splits:
        raise BadInput(f"{name} has no split '{split}'; it has: {', '.join(splits)}")
    return _unpack(name, splits[split])


def read_hub(name: str, split: str) -> tuple[Sources, Columns]:
    """The undecoded images and the other columns of a set on the Hub. BadInput: no such set or split, or none to be had."""
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise BadInput(f"no folder {name}: give a folder, or a data set's name on the Hub")
    import datasets
    from huggingface_hub import HfApi

    try:
        if not datasets.config.HF_HUB_OFFLINE:
            HfApi().dataset_info(name, timeout=_HUB_SECONDS)  # says at once what `datasets` says after many retries
        known = datasets.get_dataset_split_names(name)
        rows = datasets.load_dataset(name, split=split) if split in known else None
    except Exception as error:  # the two libraries and their transports share no narrower class
        raise BadInput(
            f"no data set {name}: none that `ippo data` made, no folder, and not to be had from the Hub: {first_line(error)}"
        ) from None
    if rows is None:
        raise BadInput(f"{name} has no split '{split}'; it has: {', '.join(known)}")
    return _unpack(name, rows)


def _unpack(name: str, rows: Any) -> tuple[Sources, Columns]:
    """A `datasets` table with an image column: its undecoded images, and the other columns."""
    import datasets

    images = [column for column, kind in rows.features.items() if isinstance(kind, datasets.Image)]
    if not images:
        raise BadInput(f"{name} has no image column; it has: {', '.join(rows.column_names)}")
    encoded = rows.cast_column(images[0], datasets.Image(decode=False))[images[0]]
    sources: Sources = [entry["bytes"] or Path(entry["path"]) for entry in encoded]
    return sources, {column: list(rows[column]) for column in rows.column_names if column not in images}
