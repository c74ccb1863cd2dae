"""What written captions are measured against: held-out pictures, their captions, the names of things; it writes none.

Shapes: `N` pictures, `H W` pixels, `D` width of a feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metrics import features
from metrics.caption_scores import CiderD, Names
from metrics.features import Images
from metrics.identification import Prototypes
from metrics.judge_network import Judge
from metrics.labelled_images import LabelledImages, join


@dataclass(frozen=True)
class AskedPictures:
    """Pictures of one kind, each with the one caption that is asked for."""

    pictures: LabelledImages
    columns: tuple[str, ...]
    """Which kind of caption that is, of each picture."""

    @classmethod
    def of(cls, by_column: Mapping[str, LabelledImages], count: int) -> AskedPictures:
        """`count` pictures, labels and kinds of caption taking turns; `by_column` holds the same pictures in each."""
        even = {column: labelled.even(count) for column, labelled in by_column.items()}
        shares = {
            column: labelled.rows(np.arange(turn, len(labelled), len(even)))
            for turn, (column, labelled) in enumerate(even.items())
        }
        return cls(join([*shares.values()]), tuple(column for column, rows in shares.items() for _ in range(len(rows))))


@dataclass(frozen=True)
class CaptionedReals:
    """The real set of an evaluation of captions."""

    train: Mapping[str, LabelledImages]
    """Kind of caption → the training split with its captions."""
    held_out: Mapping[str, Mapping[str, LabelledImages]]
    """Kind of picture (`seen`, `unseen-combination`, …) → the same of held-out pictures."""
    read: Callable[[str], str]
    """Text → its usual spelling, in which captions are compared."""


class CaptionReference:
    """All that captions of an evaluation are compared with, computed once."""

    def __init__(self, reals: CaptionedReals, judge: Judge, count: int) -> None:
        """`count`: pictures of each kind."""
        self.reals, self.judge, self.read = reals, judge, reals.read
        self.asked = {kind: AskedPictures.of(by_column, count) for kind, by_column in reals.held_out.items()}
        self.right = {
            kind: tuple((self.read(caption),) for caption in asked.pictures.captions)
            for kind, asked in self.asked.items()
        }
        """Kind of picture → the references of each."""
        self.train = next(iter(reals.train.values()))
        texts = ([self.read(text) for text in labelled.captions] for labelled in reals.train.values())
        self.cider = CiderD(list(zip(*texts, strict=True)))
        self.named = {column: self._named(column) for column in reals.train}
        """Kind of caption → label → the thing's name in it."""
        self.names = {column: Names(tuple(sorted(set(named.values())))) for column, named in self.named.items()}
        self.training_embeddings = features.embeddings(judge, self.train.images)  # (N, D)
        everything = join([self.train, *(asked.pictures for asked in self.asked.values())])
        self.prototypes = Prototypes.of(features.embeddings(judge, everything.images), everything.labels)

    def __len__(self) -> int:
        return sum(len(asked.columns) for asked in self.asked.values())

    def _named(self, column: str) -> dict[int, str]:
        """A thing's name: the words with which all captions of its pictures begin."""
        splits = [self.reals.train[column], *(by_column[column] for by_column in self.reals.held_out.values())]
        words: dict[int, list[list[str]]] = {}
        for labelled in splits:
            for label, caption in zip(labelled.labels.tolist(), labelled.captions, strict=True):
                words.setdefault(label, []).append(self.read(caption).split())
        names = {label: " ".join(common_start(captions)) for label, captions in words.items()}
        return {label: name for label, name in names.items() if name}


class SourceCaptions:
    """Captions of one source: a baseline, the teacher or a student."""

    def __init__(
        self,
        reference: CaptionReference,
        written: Mapping[str, Iterable[str]],
        drawn: Mapping[str, Images] | None = None,
    ) -> None:
        """`written`: a caption of every picture of `reference.asked`; `drawn`: an image `(N, H, W, 3)` of each caption."""
        self.reference = reference
        self.written = {kind: tuple(map(reference.read, texts)) for kind, texts in written.items()}
        self.drawn = drawn or {}

    def __len__(self) -> int:
        return sum(map(len, self.written.values()))


def common_start(captions: Sequence[Sequence[str]]) -> list[str]:
    """The words with which all begin."""
    start: list[str] = []
    for words in zip(*captions, strict=False):
        if len(set(words)) > 1:
            break
        start.append(words[0])
    return start
