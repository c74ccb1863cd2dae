"""Write scikit-learn's 1,797 real handwritten digits as a labelled imagefolder; it knows nothing of who reads it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np

from data import labelled
from data.cleaning_report import CleaningReport, finished
from data.labelled import Labelled

MADE_BY = "ippo data digits"
LEVELS = 16
"""The greatest grey level of the originals."""
SCALE = 2
"""Pixels of the set for one of the originals', in each direction."""
HELD_OUT = {"validation": 14, "test": 36}
"""Pictures of each digit: 140 and 360 in all, 1,297 are left to train on."""


def digits(out: Path, seed: int = 0, images: int | None = None) -> CleaningReport:
    """Write the set: 8×8 pictures shown at 16×16, every pixel doubled; splits stratified, the same on every machine.

    `images` keeps about so many to train on, evenly over the digits; what is held out stays. A folder made before with
    the same parameters is left as it is. BadInput: a folder at `out` that this did not make.
    """
    parameters: dict[str, object] = {"seed": seed, **({"images": images} if images else {})}
    plan = labelled.plan(MADE_BY, out, parameters, {"scikit-learn": version("scikit-learn")}, Path(__file__))
    if (existing := finished(plan)) is not None:
        return existing
    everything = _originals()
    rows = labelled.stratify(everything.labels, HELD_OUT, seed)
    if images:
        train = everything.rows(rows["train"])
        rows["train"] = rows["train"][labelled.stratify(train.labels, {"subset": -(-images // 10)}, seed)["subset"]]
    return labelled.write(plan, {name: everything.rows(indices) for name, indices in rows.items()})


def _originals() -> Labelled:
    from sklearn.datasets import load_digits

    loaded = load_digits()
    grey = np.rint(loaded.images * (255 / LEVELS)).astype(np.uint8)
    return Labelled(grey.repeat(SCALE, axis=1).repeat(SCALE, axis=2), loaded.target.astype(np.int64))
