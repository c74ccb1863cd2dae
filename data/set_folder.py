"""Write pictures and their rows as a Hugging Face imagefolder that judge and `evaluate` can read; it decodes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.attributed import SLOTS, write_slots
from data.caption_lists import Value
from data.class_names import CLASSES, attributes_of, class_names, labels_of, slots_of, write_classes
from data.cleaning_report import write_metadata
from data.sources import CaptionedFile
from data.splits import NAMES

_UNLABELLED = "unlabelled"
"""The class of pictures without a label among others that have one."""


@dataclass(frozen=True)
class WrittenSet:
    """What lies in the folder."""

    rows: dict[str, int]
    """Split → its rows."""
    columns: str
    """The columns, in words."""


def write_set(
    folder: Path,
    pictures: Sequence[Path],
    rows: Sequence[CaptionedFile],
    splits: Sequence[Sequence[str]],
    originals: Sequence[str],
) -> WrittenSet:
    """Move the pictures, `(N,)` files, into their splits and write metadata.jsonl, `classes.json` and `slots.json`.

    `label` is the number of a class: of the label, else the first attribute, else the caption. Classes that training has
    come first. A split of no rows gets no folder.
    """
    columns = _uniform([row.columns for row in rows])
    labels = [label or _UNLABELLED for label in labels_of([row.columns for row in rows], [row.text for row in rows])]
    classes = class_names(labels, [label for label, names in zip(labels, splits, strict=True) if "train" in names])
    numbers = {name: number for number, name in enumerate(classes)}
    attributes = [attributes_of(row.columns) for row in rows]
    slots = slots_of(attributes) if all(attributes) else {}
    metadata: dict[str, list[dict[str, object]]] = {name: [] for name in NAMES}
    for index, picture in enumerate(pictures):
        own: dict[str, object] = {"text": rows[index].text, "label": numbers[labels[index]]}
        if slots:
            own["attributes"] = attributes[index]
        for name in splits[index]:
            (folder / name).mkdir(exist_ok=True)
            file_name = f"{len(metadata[name]):05d}.png"
            shutil.copy(picture, folder / name / file_name)
            metadata[name].append({**columns[index], **own, "file_name": file_name, "original": originals[index]})
        picture.unlink()
    for name, lines in metadata.items():
        if lines:
            write_metadata(folder / name, lines)
    write_classes(folder / CLASSES, classes)
    if slots:
        write_slots(folder / SLOTS, slots)
    counts = {name: len(lines) for name, lines in metadata.items()}
    bare = [original for original, names in zip(originals, attributes, strict=True) if not names]
    in_slots = (
        f"in {len(slots)} slots" if slots else f"no slots; pictures without any: {len(bare)}, {', '.join(bare[:1])}"
    )
    return WrittenSet(counts, _in_words(next(filter(None, metadata.values()))[0], classes, in_slots))


def _in_words(row: Mapping[str, object], classes: Sequence[str], in_slots: str) -> str:
    counted = {"label": f" ({len(classes)} classes)", "attributes": f" ({in_slots})"}
    first = [name for name in ("text", "label", "attributes") if name in row]
    further = sorted(row.keys() - {*first, "file_name", "original"})
    return f"columns: {', '.join(name + counted.get(name, '') for name in (*first, *further))}"


def _uniform(rows: Sequence[Mapping[str, Value]]) -> list[dict[str, Value | None]]:
    """The same columns in every row, each of one type: text where types are mixed."""
    names = sorted({name for row in rows for name in row})
    kinds = {name: {type(row[name]) for row in rows if name in row} for name in names}
    return [{name: _of_kind(row.get(name), kinds[name]) for name in names} for row in rows]


def _of_kind(value: Value | None, kinds: set[type]) -> Value | None:
    if value is None or len(kinds) == 1:
        return value
    if kinds == {int, float} and isinstance(value, int | float):
        return float(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
