"""Write MNIST, or any set in its format, as a labelled imagefolder; it knows nothing of who reads it.

Shapes: `N` pictures, `H W` pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from base.errors import BadInput
from data import labelled, mnist_layouts
from data.cleaning_report import CleaningReport, finished
from data.imagefolder import ImageFolder
from data.labelled import Labelled
from data.mnist_layouts import Source

MADE_BY = "ippo data mnist"
SIDE = 32
"""Pixels of the set's pictures' side; the originals are padded to it."""
HELD_OUT = 500
"""Pictures of each label, taken from the training files, where these are no more than a tenth."""
_SHARE = 0.1


def mnist(
    source: str, out: Path, seed: int = 0, held_out: int | None = None, chosen: str | None = None
) -> CleaningReport:
    """Write the set: pictures padded with black to 32×32; `test` is the original's, `validation` part of its training set.

    `source`: a folder with the files of MNIST, torchvision, EMNIST or Kaggle somewhere below it, or a data set's name on the
    Hub with splits train and test; `chosen` names one of several sets there. `held_out` pictures of each label are held out:
    by default 500, or a tenth where that is less; as many for `test` where the source has no labelled one. A folder made
    before with the same parameters is left as it is. BadInput: files missing, damaged or at odds, or a folder at `out` that
    this did not make.
    """
    parameters: dict[str, object] = {"source": source, "seed": seed, "held out": held_out, "set": chosen}
    plan = labelled.plan(MADE_BY, out, parameters, {}, Path(__file__), Path(mnist_layouts.__file__))
    if (existing := finished(plan)) is not None:
        return existing
    found = mnist_layouts.read(Path(source), chosen) if Path(source).is_dir() else _from_hub(source)
    train = _padded(source, found.train)
    splits = ("validation",) if found.test is not None else ("validation", "test")
    counts = dict.fromkeys(splits, HELD_OUT if held_out is None else held_out)
    rows = labelled.stratify(train.labels, counts, seed, _SHARE if held_out is None else 1.0)
    if not len(rows["train"]):
        raise BadInput(f"{source}: {held_out} held-out pictures a label leave none to train on")
    written = {name: train.rows(indices) for name, indices in rows.items()}
    if found.test is not None:
        written["test"] = _padded(source, found.test)
    return labelled.write(plan, written, found.names)


def _from_hub(name: str) -> Source:
    parts = [ImageFolder(name, split) for split in ("train", "test")]
    train, test = (Labelled(part.images()[..., 0], np.array(part.column("label"), np.int64)) for part in parts)
    return Source(train, test)


def _padded(source: str, part: Labelled) -> Labelled:
    """BadInput: pictures that are larger."""
    if max(part.pictures.shape[1:]) > SIDE:
        height, width = part.pictures.shape[1:]
        raise BadInput(f"{source}: pictures of {width}x{height}; accepted: up to {SIDE}x{SIDE}")
    return Labelled(_centred(part.pictures), part.labels)


def _centred(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    spare = [SIDE - side for side in pictures.shape[1:]]
    return np.pad(pictures, [(0, 0), *((room // 2, room - room // 2) for room in spare)])
