"""Which samples a model is scored on while it trains: those of what training says; it knows no network and no score.

What is asked of a model in words that training never says (names of a set in which each is one picture's) it cannot know: its
loss there rises as soon as the names are learnt, and tells nothing about which model is the best.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from models.labels import Input
from training.subsets import evenly

_LEAST = 64
"""Training rows that stand in, at least, where there are so many."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Scored:
    """Rows of both splits by what training knows of them."""

    held_out: Sequence[int]
    """Held-out rows whose words, label or attributes training has."""
    train: Sequence[int]
    """Training rows that stand in, each with fresh noise, where the former are fewer than half of the held-out ones."""
    unknown: Sequence[int]
    """Held-out rows that are asked for in words, a label or attributes that training never has."""

    @property
    def said(self) -> str:
        """On what a score is taken, for a person."""
        whole = len(self.held_out) + len(self.unknown)
        if not self.train:
            return f"{len(self.held_out)} held-out samples" if self.unknown else "held-out samples"
        return (
            f"{len(self.train)} training samples with fresh noise"
            + (f" and {len(self.held_out)} held-out ones" if self.held_out else "")
            + f", for {len(self.unknown)} of the {whole} held-out ones are of names that training never has"
        )


def scored(train: Sequence[Input], held_out: Sequence[Input], most: int) -> Scored:
    """Up to `most` rows to be scored of two splits, by what is asked for in them, and as many unknown ones."""
    known = {part for one in train for part in parts(one)}
    return scored_rows([all(part in known for part in parts(one)) for one in held_out], len(train), most)


def scored_rows(knows: Sequence[bool], train: int, most: int) -> Scored:
    """The same of held-out rows of which it is known whether training knows them, and `train` training rows."""
    familiar, strange = ([row for row, is_known in enumerate(knows) if is_known is which] for which in (True, False))
    lacking = 2 * len(familiar) < len(knows)
    instead = evenly(train, min(most, max(len(knows), _LEAST))) if lacking else []
    return Scored(_some(familiar, most), instead, _some(strange, most))


def parts(value: object) -> Iterable[Hashable]:
    """What is asked for piece by piece: a text's words, names of attributes, a label itself; nothing for nothing."""
    if isinstance(value, str):
        return _WORD.findall(value.casefold())
    if isinstance(value, Mapping):
        return [name for name, weight in value.items() if weight]
    if isinstance(value, Sequence):
        return [str(name) for name in value]
    return [] if value is None else [str(value)]


def _some(rows: Sequence[int], most: int) -> list[int]:
    return [rows[index] for index in evenly(len(rows), most)] if rows else []
