"""Several captions of one picture as caption columns, `text`, `text_2`, …, that training draws from; it reads no file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

MOST = 10
"""More captions of one picture are not kept: a table that names it so often means something else."""


def in_columns(captions: Sequence[Sequence[str]], taken: Collection[str]) -> list[Mapping[str, str]]:
    """The captions of N pictures → N rows of the further columns, without the first caption, which is `text`.

    A picture of fewer captions has its own again, in turn, so that a column drawn at random is any of them alike. A name
    that is `taken` is passed over.
    """
    count = max((len(texts) for texts in captions), default=0)
    numbered = (name for number in range(2, count + len(taken) + 2) if (name := f"text_{number}") not in taken)
    names = [next(numbered) for _ in range(count - 1)]
    return [
        {name: texts[place % len(texts)] for place, name in enumerate(names, start=1)} if texts else {}
        for texts in captions
    ]
