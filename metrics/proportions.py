"""What a share of few samples says and what it does not: two standard errors of it; it knows nothing of what was counted."""

from __future__ import annotations

import math


def interval(share: float, count: int) -> tuple[float, float]:
    """The share of `count` samples, less and plus two standard errors, after Agresti and Coull (1998): never of width 0.

    NaN of no samples.
    """
    if not count:
        return math.nan, math.nan
    middle = (share * count + 2) / (count + 4)
    error = 2 * math.sqrt(middle * (1 - middle) / (count + 4))
    return middle - error, middle + error


def below(share: float, count: int, least: float) -> bool:
    """Whether the share of `count` samples lies below `least` by more than two standard errors."""
    return interval(share, count)[1] < least


def falls(first: float, second: float, count: int) -> bool:
    """Whether the second share lies below the first, each of `count` samples, by more than two standard errors."""
    variances = [share * (1 - share) for share in ((value * count + 1) / (count + 2) for value in (first, second))]
    return second < first - 2 * math.sqrt(sum(variances) / max(count, 1))
