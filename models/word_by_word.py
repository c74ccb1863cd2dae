"""How a text is written word by word: the likeliest token each time, until all texts have ended; it knows no network.

Torch and the graphs write by the same loop. Shapes: `N` texts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Past = TypeVar("Past")
"""What a network remembers of the tokens before: arrays of torch or of numpy."""
Step = Callable[[NDArray[np.int64], int, Past], tuple[NDArray[np.int64], Past]]
"""The last tokens `(N, 1)`, their place from 1, what was before them → the next tokens `(N, 1)`, and what is then before."""


@dataclass(frozen=True)
class ByWord:
    """How a text flow writes, beside its network."""

    start: int
    """Number of the token before the first word; the next two are those of the end, and of what stands after it."""
    end: int
    pad: int
    longest: int
    """Tokens of a text at most, start and end among them."""
    past: tuple[int, ...]
    """Shape of what is remembered of one text."""
    tokenizer: str
    """Path of the `tokenizer.json` that reads the tokens, in the folder of the pipeline."""


def write(step: Step[Past], past: Past, count: int, how: ByWord) -> NDArray[np.int64]:
    """`count` texts together, from an empty past → ids `(N, longest)`, start and end among them."""
    ids = np.full((count, how.longest), how.pad, np.int64)
    ids[:, 0] = how.start
    over = np.zeros((count, 1), bool)
    for place in range(1, how.longest):
        following, past = step(ids[:, place - 1 : place], place, past)
        ids[:, place : place + 1] = np.where(over, how.pad, following)
        over |= following == how.end
        if over.all():
            break
    return ids
