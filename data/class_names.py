"""Numbers for what the pictures of a set show, and the names behind them; it knows nothing of pictures or of judges."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from base.errors import BadInput
from base.listed_names import names_in
from base.table_reader import as_text, whole
from data.caption_lists import Value

CLASSES = "classes.json"
"""File next to the splits: the names of the classes, in the order of their numbers."""
_EXPECTED = 5
"""Pictures that two attributes should share by chance before it says something that they share none."""


def class_names(labels: Sequence[str], trained: Collection[str]) -> list[str]:
    """The classes of labels in the order of their numbers: labels that are numbers from 0 keep theirs, others go by name.

    Of the others those come first that are among the `trained` ones: a judge then has a number for each that it can learn.
    """
    known, numbers = set(labels), {whole(label) for label in labels}
    if numbers == set(range(len(known))):
        return sorted(known, key=int)
    learnt = set(trained)
    return sorted(known, key=lambda name: (name not in learnt, whole(name) if None not in numbers else 0, name))


def labels_of(columns: Sequence[Mapping[str, Value]], texts: Sequence[str]) -> list[str]:
    """What class each picture is of: its label, else its first attribute, else its caption."""
    labels = [as_text(row.get("label")) for row in columns]
    if any(labels):
        return labels
    kinds = [attributes_of(row)[:1] for row in columns]
    return [kind[0] for kind in kinds] if kinds and all(kinds) else list(texts)


def attributes_of(row: Mapping[str, Value]) -> list[str]:
    """The attributes of a picture: a list, or the text of one. BadInput: brackets around what is no list of names."""
    return names_in(row.get("attributes"))


def slots_of(rows: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """Slot → attributes that exclude each other, found in what pictures show; the first of each row is its type.

    Two attributes share a slot where no picture shows both although chance alone would have shown it a few times; what is too
    rare to tell has a slot of its own.
    """
    types = sorted({row[0] for row in rows if row})
    if any(len(set(types) & set(row)) > 1 for row in rows):
        types = []  # what stands first is no type: pictures show several of them
    alone = Counter(name for row in rows for name in set(row) - set(types))
    together = Counter(pair for row in rows for pair in combinations(sorted(set(row)), 2))
    slots: dict[str, list[str]] = {"type": types} if types else {}
    for name in sorted(alone, key=lambda name: (-alone[name], name)):
        exclusive = (
            slot
            for slot, others in slots.items()
            if slot != "type"
            and all(
                not together[min(name, other), max(name, other)] and alone[name] * alone[other] >= _EXPECTED * len(rows)
                for other in others
            )
        )
        slots.setdefault(next(exclusive, name), []).append(name)
    return slots


def write_classes(file: Path, names: Sequence[str]) -> None:
    """Write the names as a JSON list to `file`."""
    file.write_text(json.dumps(list(names), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_classes(folder: Path) -> list[str]:
    """The names of a set's classes; none where it has no such file. BadInput: the file says something else."""
    file = folder / CLASSES
    if not file.is_file():
        return []
    try:
        names = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{file} is not JSON: {error}") from None
    if not isinstance(names, list):
        raise BadInput(f"{file} is no list of names")
    return [str(name) for name in names]
