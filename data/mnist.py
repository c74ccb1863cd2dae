"""Write MNIST, or any set in its format, as a labelled imagefolder; it knows nothing of who reads it.

IDX is the format of yann.lecun.com/exdb/mnist: big-endian, two zero bytes, type (8: uint8), dimensions, sizes, content.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from base.errors import BadInput
from data import labelled
from data.cleaning_report import CleaningReport, finished
from data.imagefolder import ImageFolder
from data.labelled import Labelled

MADE_BY = "ippo data mnist"
SIDE = 32
"""Pixels of the set's pictures' side; the originals are padded to it."""
HELD_OUT = 500
"""Pictures of each label, taken from the training files."""
FILES = {"train": "train", "test": "t10k"}
"""Split → what the names of its files begin with."""
_KINDS = {"images": 3, "labels": 1}
"""Kind of file → dimensions of its array."""


def mnist(source: str, out: Path, seed: int = 0, held_out: int = HELD_OUT) -> CleaningReport:
    """Write the set: pictures padded with black to 32×32; `test` is the original's, `validation` part of its training set.

    `source`: a folder of the four IDX files, gz or not, or a data set's name on the Hub with splits train and test.
    A folder made before with the same parameters is left as it is. BadInput: files missing, damaged or at odds, or a
    folder at `out` that this did not make.
    """
    parameters: dict[str, object] = {"source": source, "seed": seed, "held out": held_out}
    plan = labelled.plan(MADE_BY, out, parameters, {}, Path(__file__))
    if (existing := finished(plan)) is not None:
        return existing
    train, test = (_read(source, split) for split in FILES)
    rows = labelled.stratify(train.labels, {"validation": held_out}, seed)
    if not len(rows["train"]):
        raise BadInput(f"{source}: {held_out} held-out pictures a label leave none to train on")
    return labelled.write(plan, {**{name: train.rows(indices) for name, indices in rows.items()}, "test": test})


def _read(source: str, split: str) -> Labelled:
    folder = Path(source)
    if folder.is_dir():
        files = {kind: _file(folder, f"{FILES[split]}-{kind}", dimensions) for kind, dimensions in _KINDS.items()}
        pictures, labels = (read_idx(files[kind], dimensions) for kind, dimensions in _KINDS.items())
    else:
        hub = ImageFolder(source, split)
        pictures, labels = hub.images()[..., 0], np.array(hub.column("label"))
    if len(pictures) != len(labels):
        raise BadInput(f"{source}: {len(pictures)} {split} pictures but {len(labels)} labels")
    if max(pictures.shape[1:]) > SIDE:
        raise BadInput(f"{source}: pictures of {pictures.shape[2]}x{pictures.shape[1]}; accepted: up to {SIDE}x{SIDE}")
    return Labelled(_padded(pictures), labels.astype(np.int64))


def _file(folder: Path, stem: str, dimensions: int) -> Path:
    names = [f"{stem}{sign}idx{dimensions}-ubyte{end}" for sign in "-." for end in ("", ".gz")]
    file = next((folder / name for name in names if (folder / name).is_file()), None)
    if file is None:
        raise BadInput(f"{folder} holds no {names[0]} (or {names[0]}.gz)")
    return file


def read_idx(file: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array in an IDX file of uint8: images `(N, H, W)` of 3 `dimensions`, labels `(N,)` of 1.

    BadInput: damaged, or another kind.
    """
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{file} is damaged: {error}") from None
    head = 4 + 4 * dimensions
    if len(content) < head or content[:4] != bytes([0, 0, 8, dimensions]):
        raise BadInput(f"{file} is no IDX file of uint8 in {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", content[4:head])
    if len(content) - head != np.prod(shape, dtype=np.int64):
        raise BadInput(f"{file} is damaged: {len(content) - head} bytes of content where its head says {shape}")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


def _padded(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    spare = [SIDE - side for side in pictures.shape[1:]]
    return np.pad(pictures, [(0, 0), *((room // 2, room - room // 2) for room in spare)])
