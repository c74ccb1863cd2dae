"""Which samples are looked at, and how many go through a network at once where no gradient is kept; it knows no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

_NUMBERS = 2**18
"""Numbers of latents at once: sixteen samples of 4×64×64, and any count of small ones."""


def at_once(shape: Sequence[int], most: int) -> int:
    """How many samples of `shape` `(C, h, w)` go through a network together, `most` at most."""
    return max(1, min(most, _NUMBERS // math.prod(shape)))


def split(count: int, shape: Sequence[int], most: int) -> Sequence[Tensor]:
    """The indices of `count` samples in batches of `at_once`, each `(N,)`."""
    return torch.arange(count).split(at_once(shape, most))


def evenly(count: int, most: int) -> list[int]:
    """`most` of `count` indices, or all: one in each of as many equal stretches, at another point of each.

    Sets are often sorted, so the first of them look alike; and they often repeat, so what lies equally apart may too.
    """
    shown = min(count, most)
    edges = [index * count // shown for index in range(shown + 1)]
    golden = (5**0.5 - 1) / 2
    return [low + int((high - low) * (index * golden % 1)) for index, (low, high) in enumerate(pairwise(edges))]
