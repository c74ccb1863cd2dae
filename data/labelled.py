"""Write small grey pictures with class labels as an imagefolder; it knows nothing of where they come from.

Shapes: `N` pictures, `H W` pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from base.files import atomic_folder
from base.progress import track
from data.class_names import CLASSES, write_classes
from data.cleaning_report import CleaningReport, write_metadata

Rows = NDArray[np.intp]
"""`(N,)` indices of rows."""


@dataclass(frozen=True)
class Labelled:
    """Grey pictures `(N, H, W)` uint8 and their labels `(N,)`, whole numbers from 0."""

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, indices: Rows) -> Labelled:
        """The rows `indices` `(M,)`: M pictures and their labels."""
        return Labelled(self.pictures[indices], self.labels[indices])


def stratify(labels: NDArray[np.int64], counts: Mapping[str, int], seed: int, most: float = 1.0) -> dict[str, Rows]:
    """Each split's rows `(M,)` in their own order, of labels `(N,)`: `counts` of every label, and what is left goes to `train`.

    No split takes more than the share `most` of a label, but for one picture where there are several.

    Rows are chosen by a hash of seed and row number, so that every machine chooses the same.
    """
    order = sorted(range(len(labels)), key=lambda row: hashlib.sha256(f"{seed}/{row}".encode()).digest())
    split = np.full(len(labels), "train", dtype=object)
    for label in np.unique(labels):
        own = [row for row in order if labels[row] == label]
        start = 0
        for name, wanted in counts.items():
            count = min(wanted, max(int(most * len(own)), min(1, len(own) - len(counts))))
            split[own[start : start + count]] = name
            start += count
    return {name: np.flatnonzero(split == name) for name in ("train", *counts)}


def write(plan: CleaningReport, splits: Mapping[str, Labelled], names: Sequence[str] = ()) -> CleaningReport:
    """Write the imagefolder `plan.folder`: RGB PNGs, and columns `file_name, text, label`, where `text` is the label's name.

    `names` are those of the labels, written as `classes.json`; none: their numbers. The result is `plan` with the rows of
    every split.
    """
    with atomic_folder(plan.folder) as folder:
        for name, split in splits.items():
            (folder / name).mkdir()
            rows: list[dict[str, object]] = []
            shown = track(split.pictures, f"writing {name}", console=Console(stderr=True))
            for picture, label in zip(shown, split.labels.tolist(), strict=True):
                file_name = f"{len(rows):05d}.png"
                Image.fromarray(picture).convert("RGB").save(folder / name / file_name, compress_level=1)
                text = names[label] if names else str(label)
                rows.append({"file_name": file_name, "text": text, "label": label})
            write_metadata(folder / name, rows)
        if names:
            write_classes(folder / CLASSES, names)
        report = replace(plan, rows={name: len(split) for name, split in splits.items()})
        report.save(folder)
    return report


def plan(
    made_by: str, out: Path, parameters: dict[str, object], versions: dict[str, str], *code: Path
) -> CleaningReport:
    """The report of a set that is yet to be made, to compare with one that is there; `code` are the files that make it."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in (Path(__file__), *code))).hexdigest()
    known = {"code sha256": digest, "pillow": PIL.__version__, "numpy": np.__version__}
    return CleaningReport(made_by, Path(out), {}, (), parameters, {**versions, **known})
