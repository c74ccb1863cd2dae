"""Sets in MNIST's format wherever they come from: its own files, torchvision's, EMNIST's, Kaggle's; it writes nothing.

IDX is the format of yann.lecun.com/exdb/mnist: big-endian, two zero bytes, type (8: uint8), dimensions, sizes, content.
Shapes: `N` pictures, `H W` pixels.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import numpy as np
import pandas
from numpy.typing import NDArray

from base.errors import BadInput
from base.pointers import refuse_pointer
from data.labelled import Labelled

_IDX = re.compile(
    r"(?P<set>.*?)(?P<part>train|t10k|test)-(?P<kind>images|labels)[-.]idx(?P<dimensions>[13])-ubyte(\.gz)?"
)
_CSV = re.compile(r"(?P<set>.*?)(?P<part>train|test)\.csv", re.IGNORECASE)
_PARTS = {"t10k": "test"}
_FILES = "train-images-idx3-ubyte"
_MAPPING = re.compile(r"\d+(?: \d+)+")
"""A line of EMNIST's mapping: the label, and the codes of the characters it stands for."""


@dataclass(frozen=True)
class Source:
    """The pictures as they are published."""

    train: Labelled
    test: Labelled | None
    """None: the files have no labelled test split."""
    names: tuple[str, ...] = ()
    """What the labels stand for, where that is not their number."""


def read(folder: Path, chosen: str | None = None) -> Source:
    """Find the files of a set below `folder` and read them; `chosen` names one of several, such as `emnist-letters`.

    BadInput: files missing, damaged or at odds, several sets and none chosen.
    """
    found = _files(folder)
    if not found:
        raise BadInput(f"{folder} holds no {_FILES} (or {_FILES}.gz), nor train.csv")
    name = chosen if chosen is not None else next(iter(found))
    if (chosen is None and len(found) > 1) or name not in found:
        several = ", ".join(sorted(other or "mnist" for other in found))
        raise BadInput(f"{folder} holds {several}: choose one with --set")
    parts = found[name]
    if "train" not in parts:
        raise BadInput(f"{folder} holds no {_FILES} (or {_FILES}.gz)")
    train, test = (_part(folder, part, parts.get(part, {}), name) for part in ("train", "test"))
    if train is None:
        raise BadInput(f"{parts['train']['table']} has no column 'label'")
    return _from_zero(train, test, _names(parts["train"], name))


def read_idx(file: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array in an IDX file of uint8: images `(N, H, W)` of 3 `dimensions`, labels `(N,)` of 1.

    BadInput: damaged, or another kind.
    """
    refuse_pointer(file)
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


def read_csv(file: Path) -> Labelled | None:
    """Pictures as Kaggle has them: a row each, its label and H·W pixels, with a line of names on top or none.

    None: there are no labels. BadInput: it cannot be read, or its rows are no square pictures of 0 to 255.
    """
    refuse_pointer(file)
    try:
        first = file.open(encoding="utf-8-sig").readline().split(",")
        header = not first[0].strip().isdigit()
        table = pandas.read_csv(file, header=0 if header else None, dtype=np.int64)
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror or error}") from None
    except ValueError:  # the parser's own errors are some
        raise BadInput(f"{file} is no table of whole numbers; accepted: a label and its pixels in every row") from None
    labelled = not header or first[0].strip().casefold() == "label"
    values = table.to_numpy()
    pixels = values[:, 1:] if labelled else values  # (N, H·W)
    side = isqrt(pixels.shape[1])
    if side * side != pixels.shape[1] or pixels.min(initial=0) < 0 or pixels.max(initial=0) > 255:
        raise BadInput(
            f"{file} has rows of {pixels.shape[1]} values; accepted: square pictures of 0 to 255, a label first"
        )
    return Labelled(pixels.astype(np.uint8).reshape(-1, side, side), values[:, 0]) if labelled else None


def _files(folder: Path) -> dict[str, dict[str, dict[str, Path]]]:
    """Set → part → kind → file, however deep they lie; a file that is unpacked counts before its archive."""
    found: dict[str, dict[str, dict[str, Path]]] = defaultdict(lambda: defaultdict(dict))
    for path in sorted(folder.rglob("*")):
        match = _IDX.fullmatch(path.name) or _CSV.fullmatch(path.name)
        if match is not None and not path.is_dir():
            kinds = found[match["set"].strip("-_. ")][_PARTS.get(match["part"].lower(), match["part"].lower())]
            kinds.setdefault(match.groupdict().get("kind", "table"), path)
    return {name: dict(parts) for name, parts in found.items()}


def _part(folder: Path, part: str, files: Mapping[str, Path], name: str) -> Labelled | None:
    if "table" in files:
        return read_csv(files["table"])
    if not files:
        return None
    for kind, dimensions in (("images", 3), ("labels", 1)):
        if kind not in files:
            raise BadInput(
                f"{folder} holds no {part}-{kind}-idx{dimensions}-ubyte (or {part}-{kind}-idx{dimensions}-ubyte.gz)"
            )
    pictures, labels = read_idx(files["images"], 3), read_idx(files["labels"], 1)
    if len(pictures) != len(labels):
        raise BadInput(f"{folder}: {len(pictures)} {part} pictures but {len(labels)} labels")
    upright = pictures.swapaxes(1, 2) if name.startswith("emnist") else pictures  # EMNIST keeps them column by column
    return Labelled(upright, labels.astype(np.int64))


def _from_zero(train: Labelled, test: Labelled | None, names: Mapping[int, str]) -> Source:
    """Labels that begin at 1, such as those of EMNIST's letters, begin at 0."""
    first = int(train.labels.min(initial=0 if not len(train) else np.iinfo(np.int64).max))
    moved = [part and Labelled(part.pictures, part.labels - first) for part in (train, test)]
    known = range(first, int(train.labels.max(initial=0)) + 1)
    complete = all(label in names for label in known)
    assert moved[0] is not None
    return Source(moved[0], moved[1], tuple(names[label] for label in known) if complete else ())


def _names(files: Mapping[str, Path], name: str) -> dict[int, str]:
    """Label → character, of EMNIST's mapping beside its files; nothing without one."""
    file = next(iter(files.values())).parent / f"{name}-mapping.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    numbers = [[int(word) for word in line.split()] for line in lines if _MAPPING.fullmatch(line.strip())]
    return {label: chr(code) for label, code, *_ in numbers}
