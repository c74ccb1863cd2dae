"""Buckets, the batch and image sizes that get static plans, and cutting batches to them; it knows no graph and no runtime."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from base.errors import BadInput


class Bucket(NamedTuple):
    """One static plan: N images of W×H pixels."""

    batch: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.batch}x{self.width}x{self.height}"


def parse(text: str) -> tuple[Bucket, ...]:
    """`1x64x64,4x64x64` → buckets (batch, width, height). BadInput: anything else."""
    buckets = [_bucket(part) for part in text.split(",")]
    if len(set(buckets)) < len(buckets):
        raise BadInput(f"buckets {text}: one of them is there twice")
    return tuple(buckets)


def _bucket(text: str) -> Bucket:
    numbers = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})x([1-9]\d{0,4})", text.strip(), re.ASCII)
    if not numbers:
        raise BadInput(f"bucket '{text}' is not BATCHxWIDTHxHEIGHT, e.g. 4x512x512")
    return Bucket(*map(int, numbers.groups()))


def parse_size(text: str) -> tuple[int, int]:
    """`64x48` → (W, H). BadInput: anything else."""
    numbers = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text.strip(), re.ASCII)
    if not numbers:
        raise BadInput(f"size '{text}' is not WIDTHxHEIGHT, e.g. 512x512")
    return int(numbers[1]), int(numbers[2])


def size_list(sizes: Sequence[tuple[int, int]]) -> str:
    """Sizes (W, H) as people write them."""
    return ", ".join(f"{width}x{height}" for width, height in sizes)


def nearest_size(asked: tuple[int, int], offered: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """`asked` (W, H), or of the `offered` sizes the one whose shape, and of those whose area, is nearest to it."""

    def distance(size: tuple[int, int]) -> tuple[float, float]:
        shape = math.log(size[0] * asked[1] / (size[1] * asked[0]))
        return round(abs(shape), 6), abs(math.log(size[0] * size[1] / (asked[0] * asked[1])))

    return min(offered, key=distance)


def pieces(inputs: Mapping[str, NDArray[Any]], batches: Sequence[int]) -> Iterator[tuple[dict[str, NDArray[Any]], int]]:
    """Cut a batch into pieces of planned sizes, ascending `batches`, and say how many rows of each count.

    Inputs are `(N, …)` or scalars. The last piece is filled up with its last row; scalars go to all of them.
    """
    total = max(len(array) for array in inputs.values() if array.ndim)
    for start in range(0, total, batches[-1]):
        count = min(total - start, batches[-1])
        planned = next(size for size in batches if size >= count)
        if (start, planned) == (0, total):
            yield dict(inputs), total  # nothing to cut, nothing to copy
            return
        rows = [min(start + index, total - 1) for index in range(planned)]
        yield {name: array[rows] if array.ndim else array for name, array in inputs.items()}, count


def joined(results: Iterable[tuple[Mapping[str, NDArray[Any]], int]]) -> dict[str, NDArray[Any]]:
    """Outputs `(N, …)` of pieces by name, and how many rows of each count → the outputs of the whole batch."""
    parts = [{name: array[:count] for name, array in outputs.items()} for outputs, count in results]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
