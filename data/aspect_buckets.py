"""Aspect-ratio buckets: sizes of about one area; every picture takes the one whose shape is nearest. It knows no files.

Sizes are (W, H) in pixels.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import Field

from base.config import Config
from base.errors import BadInput

COLUMN = "bucket"
"""Column of a set whose pictures have several sizes: each one's own, as `448x576`."""
TOGETHER = 2
"""Training pictures that a bucket has at least: a batch is of one bucket, and one picture alone would fill it."""
_MOST = 4096
Size = tuple[int, int]


class BucketsConfig(Config):
    """Which sizes there are; kohya's names: resolution, bucket_reso_steps, min_bucket_reso, max_bucket_reso."""

    divisor: int = Field(default=64, ge=1)
    """Both sides are multiples of it: of 32 at least for SANA, of 8 for Stable Diffusion."""
    least: int | None = None
    """Shortest side; none: half the side of the square."""
    greatest: int | None = None
    """Longest side; none: twice the side of the square."""
    area: int | None = Field(default=None, ge=1)
    """Most pixels of a picture; none: those of the square with the side `size`."""

    @classmethod
    def parsed(cls, text: str) -> Self:
        """From `64` or `64,256,1024`: divisor, shortest and longest side. BadInput: anything else."""
        parts = text.split(",")
        if len(parts) not in (1, 3) or not all(part.strip().isdecimal() for part in parts):
            raise BadInput(f"buckets '{text}': accepted are DIVISOR or DIVISOR,LEAST,GREATEST, such as 64,256,1024")
        return cls.parse(dict(zip(("divisor", "least", "greatest"), map(int, parts), strict=False)), "buckets")


@dataclass(frozen=True)
class AspectBuckets:
    """The sizes that pictures may take."""

    sizes: tuple[Size, ...]

    @classmethod
    def of(cls, config: BucketsConfig, size: int) -> Self:
        """Every size of at most the area whose sides are multiples of the divisor between the two bounds.

        For each width it is the greatest height, and each lies and stands. BadInput: bounds that the divisor does not divide,
        or that leave no size.
        """
        step, area = config.divisor, config.area or size * size
        side = math.isqrt(area)
        least = config.least or max(1, -(-side // 2 // step)) * step
        greatest = config.greatest or max(1, 2 * side // step) * step
        for name, value in (("least", least), ("greatest", greatest)):
            if value % step or not 0 < value <= _MOST:
                raise BadInput(f"buckets.{name} {value}: accepted are multiples of {step} up to {_MOST}")
        sizes: set[Size] = set()
        for width in range(least, greatest + 1, step):
            height = min(greatest, area // width // step * step)
            if height >= least:
                sizes |= {(width, height), (height, width)}
        square = side // step * step
        if least <= square <= greatest:
            sizes.add((square, square))
        if not sizes:
            raise BadInput(
                f"buckets: no size of at most {area} pixels has sides from {least} to {greatest} in steps of {step}; "
                "accepted: a lower least or divisor, or a greater area"
            )
        return cls(tuple(sorted(sizes)))

    def nearest(self, size: Size) -> Size:
        """The one whose shape is nearest to `size`'s, by the ratio of the two ratios; of several the largest."""

        def distance(bucket: Size) -> tuple[float, int, Size]:
            ratio = math.log(bucket[0] * size[1] / (bucket[1] * size[0]))
            return round(abs(ratio), 9), -bucket[0] * bucket[1], bucket

        return min(self.sizes, key=distance)


def in_training(
    splits: Sequence[tuple[str, ...]], buckets: Sequence[str], names: Sequence[str]
) -> list[tuple[str, ...]]:
    """The splits of each row so that training has `TOGETHER` pictures or more of every bucket: small ones are not held out.

    `buckets` and `names` of every row. BadInput: buckets that hold one picture.
    """
    counts = Counter(buckets)
    if single := [f"{bucket} ({name})" for bucket, name in zip(buckets, names, strict=True) if counts[bucket] == 1]:
        raise BadInput(
            f"buckets with one picture, which would fill a batch alone: {', '.join(sorted(single))}; leave those out, raise "
            "buckets.divisor, or let buckets.least and buckets.greatest lie nearer to each other"
        )
    trained = Counter(bucket for bucket, own in zip(buckets, splits, strict=True) if "train" in own)
    return [own if trained[bucket] >= TOGETHER else ("train",) for bucket, own in zip(buckets, splits, strict=True)]


def written(size: Size) -> str:
    """(448, 576) → `448x576`, as the column has it."""
    return f"{size[0]}x{size[1]}"


def sizes_of(values: Sequence[object]) -> list[Size]:
    """The column's sizes, row by row; nothing where it is another column of that name."""
    found = [_size(value) for value in values]
    return [size for size in found if size] if all(found) else []


def _size(value: object) -> Size | None:
    width, cross, height = value.partition("x") if isinstance(value, str) else ("", "", "")
    if not (cross and width.isdecimal() and height.isdecimal() and len(width) <= 5 and len(height) <= 5):
        return None
    return int(width), int(height)
