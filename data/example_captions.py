"""A few captions of an image set, for people to try on a page; it knows no model and no page."""

from __future__ import annotations

from collections.abc import Sequence

from data.imagefolder import ImageFolder

MOST = 7
"""So many are shown on a page."""
LONGEST = 60
"""Characters of a caption that fits on a button; of a set that has none so short its shortest are taken."""


def example_captions(name: str, columns: Sequence[str], split: str = "train") -> tuple[str, ...]:
    """Up to `MOST` different captions from all over a split, of each caption column in turn, always the same.

    BadInput: no such set, split or column, or one that is not text.
    """
    images = ImageFolder(name, split)
    texts = [[" ".join(text.split()) for text in images.captions(column)] for column in columns]
    lengths = [len(text) for column in texts for text in column if text]
    longest = max(LONGEST, min(lengths, default=0))
    chosen: dict[str, None] = {}
    for number in range(MOST):
        column, start = texts[number % len(texts)], number * len(images) // MOST
        fitting = (text for text in column[start:] + column[:start] if text and len(text) <= longest)
        if (one := next((text for text in fitting if text not in chosen), None)) is not None:
            chosen[one] = None
    return tuple(chosen)
