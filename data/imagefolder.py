"""One split of a Hugging Face imagefolder, on disk or on the Hub, as arrays; it knows nothing of training.

`N` images, `H W` pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.config import nearest
from base.errors import BadInput
from data.aspect_buckets import COLUMN, Size, sizes_of
from data.decode import UnreadableError, to_rgb
from data.read_split import Columns, Sources, read_split

CACHE_BYTES = 2 * 1024**3
"""Decoded pixels stay in memory where the whole split fits in so many bytes."""
_THREADS = 8
_CLASSES = 1_000_000
"""More classes than any set has: a larger number is an identity."""
_WORTH_THREADS = 256 * 256
"""Pixels of an image from which threads pay: Pillow decodes smaller ones faster on one."""


class ImageFolder:
    """One split: images as uint8 arrays, and their columns. Decoded pixels stay in memory when they fit in 2 GiB."""

    def __init__(self, name: str | Path, split: str = "train") -> None:
        """`name`: a local folder, or a data set's name on the Hub. BadInput: no such folder or split, nothing in it."""
        sources, columns = read_split(str(name), split)
        if not sources:
            raise BadInput(f"split '{split}' of {name} holds no images")
        self._hold(str(name), split, sources, columns)

    def _hold(self, name: str, split: str, sources: Sources, columns: Columns) -> None:
        self.name, self.split = name, split
        self._sources, self._columns = sources, columns
        self._sizes = sizes_of(columns.get(COLUMN, ()))
        height, width, _ = self._open(0).shape
        self.shape = (height, width)
        fits = len(self) * self.shape[0] * self.shape[1] * 3 <= CACHE_BYTES and len(self.buckets) < 2
        self._pixels = np.empty((len(self) if fits else 0, *self.shape, 3), np.uint8)  # (N, H, W, 3)
        self._decoded = np.zeros(len(self), bool)

    @cached_property
    def buckets(self) -> dict[Size, list[int]]:
        """Size (W, H) → the rows of its pictures, the fullest first; nothing of a set that was not built with buckets."""
        rows: dict[Size, list[int]] = {}
        for row, size in enumerate(self._sizes):
            rows.setdefault(size, []).append(row)
        return dict(sorted(rows.items(), key=lambda bucket: (-len(bucket[1]), bucket[0])))

    def of_one_size(self) -> ImageFolder:
        """The split itself. BadInput: its pictures have several sizes, which only teachers and students can learn."""
        if len(self.buckets) > 1:
            raise BadInput(
                f"{self.name} has pictures of {len(self.buckets)} sizes, which only teachers and students that draw can learn; "
                "accepted here: a set that `ippo data build` made without buckets"
            )
        return self

    def only(self, rows: Sequence[int]) -> ImageFolder:
        """The pictures of one or more `rows` alone, in that order."""
        part = ImageFolder.__new__(ImageFolder)
        columns = {name: [values[row] for row in rows] for name, values in self._columns.items()}
        part._hold(self.name, self.split, [self._sources[row] for row in rows], columns)
        return part

    def __len__(self) -> int:
        return len(self._sources)

    @property
    def sources(self) -> Sources:
        """Where each image comes from: its file, or its encoded content."""
        return list(self._sources)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all images as they are encoded, in their order: what a cache of anything made of them is keyed by.

        BadInput: an image that cannot be read.
        """
        content = hashlib.sha256()
        for row, source in enumerate(self._sources):
            try:
                content.update(hashlib.sha256(source.read_bytes() if isinstance(source, Path) else source).digest())
            except OSError as error:
                raise BadInput(f"{self._where(row)} cannot be read: {error.strerror or error}") from None
        return content.hexdigest()

    @property
    def columns(self) -> list[str]:
        """Names of the columns other than the image."""
        return list(self._columns)

    def images(self, indices: Sequence[int] | NDArray[np.integer[Any]] | None = None) -> NDArray[np.uint8]:
        """`(N, H, W, 3)` uint8 RGB of the rows `indices` `(N,)`, of all if None.

        BadInput: a damaged image, one of another size than the first, or rows of several buckets.
        """
        rows = np.arange(len(self)) if indices is None else np.asarray(indices, dtype=np.intp)
        if len(self.buckets) > 1:
            return self.only(self._alike(rows)).images()
        if not len(self._pixels):
            return np.stack(self._decode_all(rows)) if len(rows) else np.empty((0, *self.shape, 3), np.uint8)
        missing = np.unique(rows[~self._decoded[rows]] % len(self))
        for row, image in zip(missing, self._decode_all(missing), strict=True):
            self._pixels[row] = image
        self._decoded[missing] = True
        return self._pixels[rows]

    def captions(self, column: str = "text") -> list[str]:
        """The captions in `column`. BadInput: no such column, or one that is not text."""
        values = self.column(column)
        if any(not isinstance(value, str) for value in values):
            raise BadInput(f"column '{column}' of {self.name} is not text in every row")
        return values

    def labels(self, column: str = "label") -> list[int]:
        """The labels in `column`: whole numbers from 0. BadInput: no such column, or something else in one of its rows."""
        values = self.column(column)
        strange = (row for row, value in enumerate(values) if type(value) is not int or not 0 <= value < _CLASSES)
        if (row := next(strange, None)) is not None:
            raise BadInput(
                f"column '{column}' of {self.name}: {values[row]!r:.40} of {self._where(row)} is no label; accepted: whole "
                f"numbers from 0 to {_CLASSES - 1}, as `ippo data build` writes them"
            )
        return values

    def lists(self, column: str) -> list[list[str]]:
        """The lists of names in `column`, such as `attributes`. BadInput: no such column, or anything else in a row."""
        values = self.column(column)
        for row, names in enumerate(values):
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise BadInput(
                    f"column '{column}' of {self.name}: {names!r:.40} of {self._where(row)} is no list of names, such as "
                    '["Ape", "Cap"]'
                )
        return values

    def column(self, name: str) -> list[Any]:
        """The values of a column. BadInput: no such column."""
        if name not in self._columns:
            raise BadInput(f"{self.name} has no column '{name}'{nearest(name, self._columns)}")
        return list(self._columns[name])

    def _alike(self, rows: NDArray[np.intp]) -> list[int]:
        """The same rows. BadInput: of several sizes."""
        chosen: list[int] = rows.tolist()
        if len({self._sizes[row] for row in chosen}) != 1:
            self.of_one_size()
        return chosen

    def _decode_all(self, rows: NDArray[np.intp]) -> list[NDArray[np.uint8]]:
        if self.shape[0] * self.shape[1] < _WORTH_THREADS:
            return [self._decode(row) for row in rows.tolist()]
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(self._decode, rows.tolist()))

    def _decode(self, row: int) -> NDArray[np.uint8]:
        image = self._open(row)
        if image.shape[:2] != self.shape:
            (h, w), (first_h, first_w) = image.shape[:2], self.shape
            raise BadInput(
                f"{self._where(row)} is {w}x{h}, the first image {first_w}x{first_h}: "
                "make them alike with `ippo data build`"
            )
        return image

    def _open(self, row: int) -> NDArray[np.uint8]:
        try:
            return np.asarray(to_rgb(self._sources[row]))
        except UnreadableError as reason:
            raise BadInput(f"{self._where(row)}: {reason}") from None

    def _where(self, row: int) -> str:
        source = self._sources[row]
        return str(source) if isinstance(source, Path) else f"image {row} of {self.name}"
