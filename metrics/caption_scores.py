"""Captions beside their references: exact, nearest name, word F1, chrF, CIDEr-D; it knows no network and no image.

Texts are compared as they stand: whoever calls has made their spelling alike. Shapes: `N` captions, `M` names, `L` letters.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NGRAMS = 4
"""CIDEr-D counts runs of 1 to so many words."""
LETTERS = 6
"""chrF counts runs of 1 to so many letters."""
SIGMA = 6.0
"""Width of its penalty for another length, in words."""

References = Sequence[Sequence[str]]
"""Of each of N captions the captions that are right."""


def exact(written: Sequence[str], references: References) -> float:
    """Share of N captions that are one of their references; NaN of none."""
    return _mean([float(own in right) for own, right in zip(written, references, strict=True)])


def word_f1(written: Sequence[str], references: References) -> float:
    """Mean over N captions of the best F1 of their words, each as often as it stands there; NaN of none.

    F1 = 2·(words in common) ÷ (words of both), as SQuAD counts answers (arXiv 1606.05250, section 6.1).
    """
    return _mean([max(_f1(own, one) for one in right) for own, right in zip(written, references, strict=True)])


def _f1(own: str, right: str) -> float:
    ours, theirs = Counter(own.split()), Counter(right.split())
    words = ours.total() + theirs.total()
    return 2 * (ours & theirs).total() / words if words else 1.0


def chrf(written: Sequence[str], references: References) -> float:
    """Mean over N captions of the best chrF, 0 to 1 (Popović 2015, https://aclanthology.org/W15-3049, equation 1); NaN of none.

    (1 + 2²)·P·R ÷ (2²·P + R) of precision P and recall R of runs of 1 to 6 letters, blanks left out, each the mean over those
    lengths that caption or reference have.
    """
    return _mean([max(_chrf(own, one) for one in right) for own, right in zip(written, references, strict=True)])


def _chrf(own: str, right: str) -> float:
    precisions, recalls = [], []
    for length in range(1, LETTERS + 1):
        ours, theirs = (_letter_runs(text, length) for text in (own, right))
        if ours or theirs:
            common = (ours & theirs).total()
            precisions.append(common / max(1, ours.total()))
            recalls.append(common / max(1, theirs.total()))
    if not precisions:
        return 1.0
    precision, recall = _mean(precisions), _mean(recalls)
    return 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0


def _letter_runs(text: str, length: int) -> Counter[str]:
    letters = "".join(text.split())
    return Counter(letters[start : start + length] for start in range(len(letters) - length + 1))


class CiderD:
    """CIDEr-D (Vedantam et al. 2015, arXiv 1411.5726, section 6): tf-idf of word runs, clipped, with a penalty for length.

    Equation 4, 10 ÷ m · Σ_j exp(−(l(c) − l(s_j))² ÷ 2σ²) · min(g(c), g(s_j))·g(s_j) ÷ (‖g(c)‖ ‖g(s_j)‖), is taken of runs of 1
    to 4 words, of which the mean is returned; as in the authors' program g holds counts times idf, and a run in no document has
    the idf of one in a single document. A caption of k < 4 words can reach 10·k ÷ 4 at most.
    """

    def __init__(self, documents: References) -> None:
        """`documents`: the captions of each picture by which words are weighed."""
        frequencies = Counter(
            run for captions in documents for run in {run for text in captions for run in _runs(text)}
        )
        self._idf = {run: math.log(len(documents) / count) for run, count in frequencies.items()}
        self._rare = math.log(max(1, len(documents)))

    def scores(self, written: Sequence[str], references: References) -> NDArray[np.float64]:
        """N captions and their references → `(N,)`, 0 to 10."""
        return np.array([self._score(own, right) for own, right in zip(written, references, strict=True)], np.float64)

    def _score(self, own: str, references: Sequence[str]) -> float:
        ours = self._vectors(own)
        return sum(self._likeness(own, ours, one) for one in references) / len(references)

    def _likeness(self, own: str, ours: Sequence[Mapping[str, float]], reference: str) -> float:
        apart = len(own.split()) - len(reference.split())
        cosines = [_clipped(*pair) for pair in zip(ours, self._vectors(reference), strict=True)]
        return 10 * math.exp(-(apart**2) / (2 * SIGMA**2)) * sum(cosines) / NGRAMS

    def _vectors(self, text: str) -> list[dict[str, float]]:
        """Weights of the runs of 1, 2, 3 and 4 words."""
        vectors: list[dict[str, float]] = [{} for _ in range(NGRAMS)]
        for run, count in Counter(_runs(text)).items():
            vectors[run.count(" ")][run] = count * self._idf.get(run, self._rare)
        return vectors


def _clipped(ours: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    """The cosine of two vectors, of which the first counts nothing oftener than the second."""
    norms = math.hypot(*ours.values()) * math.hypot(*theirs.values())
    return sum(min(ours.get(run, 0.0), weight) * weight for run, weight in theirs.items()) / norms if norms else 0.0


def _runs(text: str) -> list[str]:
    words = text.split()
    return [
        " ".join(words[start : start + length])
        for length in range(1, NGRAMS + 1)
        for start in range(len(words) - length + 1)
    ]


@dataclass(frozen=True)
class Names:
    """Names of things, of which a caption says one."""

    names: tuple[str, ...]

    def said(self, caption: str) -> int | None:
        """The number of the name that fits best into some part of a caption; None of an empty caption or no names.

        Fewest edits ÷ letters, by Sellers' approximate matching (Journal of Algorithms 1, 1980, 359 to 373), blanks around
        names and caption counting as letters; of those that fit equally well the longest.
        """
        if not caption.strip() or not self.names:
            return None
        letters, lengths = self._letters()
        edits = _least_edits(letters, lengths, _codes(f" {caption} "))
        return int(np.lexsort((np.arange(len(lengths)), -lengths, edits / lengths))[0])

    def _letters(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Code points `(M, L)`, 0 behind a name's end, and lengths `(M,)`."""
        rows = [_codes(f" {name} ") for name in self.names]
        lengths = np.array([len(row) for row in rows], np.int64)
        letters = np.zeros((len(rows), int(lengths.max())), np.int32)
        for row, codes in zip(letters, rows, strict=True):
            row[: len(codes)] = codes
        return letters, lengths


def _codes(text: str) -> NDArray[np.int32]:
    return np.array([ord(letter) for letter in text], np.int32)


def _least_edits(letters: NDArray[np.int32], lengths: NDArray[np.int64], text: NDArray[np.int32]) -> NDArray[np.int64]:
    """Names `(M, L)` of lengths `(M,)`, a text `(K,)` → the edits `(M,)` to the likest part of the text."""
    places = np.arange(len(text) + 1)
    row = np.zeros((len(letters), len(places)), np.int64)  # a match may begin anywhere
    least = np.zeros(len(letters), np.int64)
    for index in range(letters.shape[1]):
        other = letters[:, index, None] != text[None]
        reached = np.minimum(row[:, 1:] + 1, row[:, :-1] + other)
        first = np.full((len(letters), 1), index + 1)
        # Letters of the text may be left out: the best of all places before, one edit a letter.
        row = np.minimum.accumulate(np.hstack([first, reached]) - places, axis=1) + places
        ended = lengths == index + 1
        least[ended] = row[ended].min(axis=1)
    return least


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
