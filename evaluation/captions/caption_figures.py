"""The figures of captions, each declared once: how it is measured, shown and remarked upon; it writes no captions.

A new figure is one more `Figure` in `CAPTION_FIGURES`, and its mathematics a file of `metrics/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.captions.caption_reference import SourceCaptions
from evaluation.line import HIGHER, Column, Figure, Line, share
from metrics import features
from metrics.caption_scores import chrf, exact, word_f1
from metrics.proportions import below

ByKind = Mapping[str, float]
"""Kind of picture, or of caption → a figure."""
DUE = 0.95
"""Share of the teacher's figure that a student should keep."""


def by_kind(score: Callable[[SourceCaptions, str], float]) -> Callable[[SourceCaptions], dict[str, float]]:
    """A figure of each kind of picture apart."""
    return lambda source: {kind: score(source, kind) for kind in source.written}


def cells(own: ByKind, teacher: ByKind) -> dict[Column, str]:
    """A column a kind."""
    return {Column(kind.replace("-", " "), HIGHER): share(value) for kind, value in own.items()}


def _said(source: SourceCaptions, kind: str) -> float:
    """Share of captions whose nearest name is that of the picture's thing, among those of things that have a name."""
    reference, asked, hits = source.reference, source.reference.asked[kind], []
    rows = zip(source.written[kind], asked.columns, asked.pictures.labels.tolist(), strict=True)
    for caption, column, label in rows:
        if label in reference.named[column]:
            said = reference.names[column].said(caption)
            hits.append(said is not None and reference.names[column].names[said] == reference.named[column][label])
    return float(np.mean(hits)) if hits else float("nan")


def _read_back(source: SourceCaptions) -> dict[str, float]:
    """Share of pictures drawn for a caption that the judge takes for the thing which the caption was written of."""
    reference = source.reference
    return {
        kind: reference.prototypes.accuracy(
            features.embeddings(reference.judge, images), reference.asked[kind].pictures.labels
        ).top1
        for kind, images in source.drawn.items()
    }


def _by_column(source: SourceCaptions) -> dict[str, float]:
    """Exact captions of the first kind of picture, by what was asked for."""
    kind, asked = next(iter(source.reference.asked.items()))
    rows = list(zip(source.written[kind], source.reference.right[kind], asked.columns, strict=True))

    def own(column: str) -> float:
        chosen: Sequence[Any] = [(text, right) for text, right, asked_for in rows if asked_for == column]
        return exact(*zip(*chosen, strict=True)) if chosen else float("nan")

    return {column: own(column) for column in dict.fromkeys(asked.columns)}


def _worse(student: Line, teacher: Line) -> str:
    kind, own = next(iter(student[EXACT].items()))
    ceiling = teacher[EXACT][kind]
    if not below(own, student.n // len(student[EXACT]), DUE * ceiling):
        return ""
    return f"{own:.3f} of its captions are exact, the teacher's {ceiling:.3f}: more pairs, or a longer warm-up, help."


EXACT = Figure[ByKind](
    name="exact",
    table="Exact captions, by kind of picture",
    measure=by_kind(lambda source, kind: exact(source.written[kind], source.reference.right[kind])),
    cells=cells,
    note="Captions are compared in one spelling: articles, plurals, accents and punctuation make no difference.",
    remark=_worse,
)
COLUMNS = Figure[ByKind](
    name="exact_by_column",
    table="Exact captions of the first kind of picture, by kind of caption",
    measure=_by_column,
    cells=cells,
)
SAID = Figure[ByKind](
    name="named",
    table="Thing named",
    measure=by_kind(_said),
    cells=cells,
    note="A caption names the thing whose name fits into it with the fewest edits a letter; names come from the set.",
)
WORDS = Figure[ByKind](
    name="word_f1",
    table="Word F1",
    measure=by_kind(lambda source, kind: word_f1(source.written[kind], source.reference.right[kind])),
    cells=cells,
)
CHRF = Figure[ByKind](
    name="chrf",
    table="chrF",
    measure=by_kind(lambda source, kind: chrf(source.written[kind], source.reference.right[kind])),
    cells=cells,
)
CIDER = Figure[ByKind](
    name="cider_d",
    table="CIDEr-D",
    measure=by_kind(
        lambda source, kind: float(
            np.mean(source.reference.cider.scores(source.written[kind], source.reference.right[kind]))
        )
    ),
    cells=cells,
    note="CIDEr-D weighs runs of words by the training captions; a caption of k < 4 words can reach 10·k ÷ 4 at most.",
)
READ_BACK = Figure[ByKind](
    name="read_back",
    table="Thing read back: the caption drawn in one step, and judged",
    measure=_read_back,
    cells=cells,
)
CAPTION_FIGURES: tuple[Figure[Any], ...] = (EXACT, COLUMNS, SAID, WORDS, CHRF, CIDER, READ_BACK)
"""What every evaluation of captions measures, in the order of its tables."""
