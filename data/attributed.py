"""Write small colour pictures with attributes as an imagefolder; it knows nothing of where they come from.

`H W` pixels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from base.errors import BadInput
from base.files import atomic_folder
from base.progress import track
from data.class_names import CLASSES, write_classes
from data.cleaning_report import CleaningReport, Dropped, write_metadata

SLOTS = "slots.json"
"""File next to the splits: slot → the attributes it may hold, as a teacher's configuration takes them."""

Slots = Mapping[str, Sequence[str]]
"""Slot → the attributes that exclude each other in it."""


def read_slots(folder: Path) -> dict[str, list[str]]:
    """The slots of a set, nothing where it has no such file. BadInput: the file says something else."""
    file = folder / SLOTS
    if not file.is_file():
        return {}
    try:
        slots = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{file} is not JSON: {error}") from None
    if not isinstance(slots, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in slots.values()
    ):
        raise BadInput(f"{file} is no object of slot: names of attributes that exclude each other")
    return slots


@dataclass(frozen=True)
class Attributed:
    """One picture and what it shows."""

    picture: NDArray[np.uint8]
    """`(H, W, 3)` RGB."""
    attributes: tuple[str, ...]
    """Their names, that of the type first."""
    columns: Mapping[str, object] = field(default_factory=dict)
    """Further columns of the picture's row of metadata."""


def write(
    plan: CleaningReport, splits: Mapping[str, Sequence[Attributed]], slots: Slots, dropped: Sequence[Dropped] = ()
) -> CleaningReport:
    """Write the imagefolder `plan.folder`: RGB PNGs, and columns `file_name, text, attributes, label` and those of the rows.

    `text` names the attributes, `label` is the number of the type, the first slot of `slots`. The result is `plan` with the
    rows of every split and what was dropped.
    """
    types = list(next(iter(slots.values())))
    with atomic_folder(plan.folder) as folder:
        for name, split in splits.items():
            (folder / name).mkdir()
            rows: list[dict[str, object]] = []
            for row in track(split, f"writing {name}", console=Console(stderr=True)):
                file_name = f"{len(rows):05d}.png"
                Image.fromarray(row.picture).save(folder / name / file_name, compress_level=1)
                named = {"text": ", ".join(row.attributes), "attributes": list(row.attributes)}
                label = types.index(row.attributes[0])
                rows.append({"file_name": file_name, **named, "label": label, **row.columns})
            write_metadata(folder / name, rows)
        write_slots(folder / SLOTS, slots)
        write_classes(folder / CLASSES, types)
        rows_of = {name: len(split) for name, split in splits.items()}
        report = replace(plan, rows=rows_of, dropped=tuple(dropped))
        report.save(folder)
    return report


def write_slots(file: Path, slots: Slots) -> None:
    """Write slot → attributes as JSON to `file`."""
    content = {slot: list(names) for slot, names in slots.items()}
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def held_out_pairs(rows: Sequence[tuple[str, ...]], count: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Pairs of attributes to keep out of training, until they account for `count` of `rows`.

    Each attribute is in one pair at most and loses no more than a fifth of its pictures, so that what a model has to
    show is the combination, not an attribute that it never saw.
    """
    alone: dict[str, int] = {}
    together: dict[tuple[str, str], int] = {}
    for names in rows:
        for index, name in enumerate(names):
            alone[name] = alone.get(name, 0) + 1
            for other in names[index + 1 :]:
                together[name, other] = together.get((name, other), 0) + 1
    rarer = {pair: min(alone[name] for name in pair) for pair in together}
    candidates = [pair for pair, count in sorted(together.items()) if rarer[pair] / 20 <= count <= rarer[pair] / 5]
    chosen: list[tuple[str, str]] = []
    held_out = 0
    for index in rng.permutation(len(candidates)).tolist():
        pair = candidates[index]
        if held_out >= count:
            break
        if not {name for other in chosen for name in other} & set(pair):
            chosen.append(pair)
            held_out += together[pair]
    return chosen


def split(rows: Sequence[Attributed], held_out: int, rng: np.random.Generator) -> dict[str, list[Attributed]]:
    """Split the rows into `train`, `validation` and `test`.

    `validation` and `test` each get `held_out` rows of combinations that training knows, and `test` about as many more whose
    combination of two attributes (column `unseen`) no other split has.
    """
    pairs = held_out_pairs([row.attributes for row in rows], held_out, rng)
    seen: list[Attributed] = []
    unseen: list[Attributed] = []
    for index in rng.permutation(len(rows)).tolist():
        row = rows[index]
        unseen_pair = next((pair for pair in pairs if set(pair) <= set(row.attributes)), None)
        kind = {"kind": "unseen-combination" if unseen_pair else "seen", "unseen": " + ".join(unseen_pair or ())}
        (unseen if unseen_pair else seen).append(replace(row, columns={**row.columns, **kind}))
    return {
        "train": seen[2 * held_out :],
        "validation": seen[:held_out],
        "test": seen[held_out : 2 * held_out] + unseen,
    }
