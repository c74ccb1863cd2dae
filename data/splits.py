"""Which picture trains and which is held out, by hashes of names; it knows nothing of files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

_SHARES = ("train", "train", "train", "train", "validation", "train", "train", "train", "train", "test")
"""The splits of ten rows in turn, 80/10/10; among any five that follow one another, one is held out."""
NAMES = ("train", "validation", "test")
NEEDED = 3
"""Rows from which one is held out: training needs a validation split."""
TESTED = 6
"""Rows from which the test split has one too."""


def split(strata: Sequence[str], names: Sequence[str], seed: int) -> list[str]:
    """The split of each row, by a hash of its name: 80/10/10 to within one row, overall and in every stratum.

    Three rows or more give one to validation, six one to test, however they are spread over strata.
    """
    hashes = [hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogatepass")).digest() for name in names]
    order = sorted(range(len(names)), key=lambda row: (strata[row], hashes[row]))
    splits = [""] * len(names)
    for turn, row in enumerate(order):
        splits[row] = _SHARES[turn % len(_SHARES)]
    for name, needed in (("validation", NEEDED), ("test", TESTED)):
        if name not in splits and len(splits) >= needed:
            spare = [row for row in range(len(names)) if splits[row] == "train"]
            splits[max(spare, key=lambda row: hashes[row])] = name
    return splits


def keeping(splits: Sequence[str], values: Sequence[str]) -> list[tuple[str, ...]]:
    """The splits of each row, so that every value of `values`, one a row, is in training.

    A row of what training lacks moves there. Where that would leave validation or test without a row, what is moved stays in
    both: its picture is trained on, and only the noise of its validation is new.
    """
    trained = {value for value, name in zip(values, splits, strict=True) if name == "train"}
    moved: dict[str, list[int]] = {name: [] for name in NAMES}
    for row, value in enumerate(values):
        if value not in trained:
            trained.add(value)
            moved[splits[row]].append(row)
    several: list[tuple[str, ...]] = [(name,) for name in splits]
    for name, rows in moved.items():
        empty = splits.count(name) == len(rows)
        for row in rows:
            several[row] = ("train", name) if empty else ("train",)
    return several
