"""Writes small colour pictures with attributes as an imagefolder; knows nothing of where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track

from base.files import atomic_folder
from data.cleaning_report import CleaningReport, Dropped, write_metadata

SLOTS = "slots.json"
"""Beside the splits: slot → the attributes it may hold, as a teacher's configuration wants them."""

Slots = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Attributed:
    """One picture and what it shows."""

    picture: NDArray[np.uint8]
    """`(H, W, 3)` RGB."""
    attributes: tuple[str, ...]
    """The type first."""
    columns: Mapping[str, object] = field(default_factory=dict)
    """Further columns of the metadata."""


def write(
    plan: CleaningReport, splits: Mapping[str, Sequence[Attributed]], slots: Slots, dropped: Sequence[Dropped] = ()
) -> CleaningReport:
    """The imagefolder `plan.folder`: RGB PNGs with columns `file_name, text, attributes, label` and those of the rows.

    `text` names the attributes, `label` is the number of the type, the first slot of `slots`.
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
        rows_of = {name: len(split) for name, split in splits.items()}
        report = replace(plan, rows=rows_of, dropped=tuple(dropped))
        report.save(folder)
    return report


def write_slots(file: Path, slots: Slots) -> None:
    """Slot → attributes as JSON."""
    content = {slot: list(names) for slot, names in slots.items()}
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def held_out_pairs(rows: Sequence[tuple[str, ...]], wanted: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Pairs of attributes to keep out of training, until they account for `wanted` of `rows`.

    Each attribute is in one pair at most and loses no more than a fifth of its pictures, so that what a model has to
    show is the combination, not an attribute that it never saw.
    """
    alone: dict[str, int] = {}
    together: dict[tuple[str, str], int] = {}
    for names in rows:
        for place, name in enumerate(names):
            alone[name] = alone.get(name, 0) + 1
            for other in names[place + 1 :]:
                together[name, other] = together.get((name, other), 0) + 1
    rarer = {pair: min(alone[name] for name in pair) for pair in together}
    candidates = [pair for pair, count in sorted(together.items()) if rarer[pair] / 20 <= count <= rarer[pair] / 5]
    chosen: list[tuple[str, str]] = []
    found = 0
    for place in rng.permutation(len(candidates)).tolist():
        pair = candidates[place]
        if found >= wanted:
            break
        if not {name for other in chosen for name in other} & set(pair):
            chosen.append(pair)
            found += together[pair]
    return chosen


def split(rows: Sequence[Attributed], held_out: int, rng: np.random.Generator) -> dict[str, list[Attributed]]:
    """`validation` and `test` with `held_out` rows of combinations that training knows, and as many more in `test` whose
    combination of two attributes (column `unseen`) no other split has."""
    pairs = held_out_pairs([row.attributes for row in rows], held_out, rng)
    seen: list[Attributed] = []
    unseen: list[Attributed] = []
    for place in rng.permutation(len(rows)).tolist():
        row = rows[place]
        found = next((pair for pair in pairs if set(pair) <= set(row.attributes)), None)
        kind = {"kind": "unseen-combination" if found else "seen", "unseen": " + ".join(found or ())}
        (unseen if found else seen).append(replace(row, columns={**row.columns, **kind}))
    return {
        "train": seen[2 * held_out :],
        "validation": seen[:held_out],
        "test": seen[held_out : 2 * held_out] + unseen,
    }
