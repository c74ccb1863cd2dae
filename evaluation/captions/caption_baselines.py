"""Captions without a writer: the most frequent one, and those of training pictures that a network finds; it trains nothing.

In a closed set these can win, and then captioning it is no more than recognising. Shapes: `N` pictures, `D` width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from evaluation.captions.caption_reference import AskedPictures, CaptionReference
from metrics import attribute_accuracy, distances, features
from metrics.distances import Features
from metrics.features import CaptionNetwork, Images, Network

REFERENCES = "the captions asked for"
"""The line that reads back what is right."""
Find = Callable[[AskedPictures], NDArray[np.intp]]
"""N pictures → rows `(N,)` of the training split, whose captions are given."""
See = Callable[[Images], Features]
"""Pictures `(N, H, W, 3)` → features `(N, D)`."""


def baselines(
    reference: CaptionReference, seers: Mapping[str, See], readers: Mapping[str, Network]
) -> dict[str, dict[str, list[str]]]:
    """Line's name → kind of picture → captions.

    `seers` find training pictures by pictures, `readers` (those that read captions, CLIP) training captions by pictures.
    """
    found: dict[str, Find] = {
        "most frequent caption": _most_frequent(reference),
        "judge's answer": _judged(reference),
        "nearest training picture, judge": _nearest(
            reference.training_embeddings, lambda images: features.embeddings(reference.judge, images)
        ),
    }
    for name, see in seers.items():
        found[f"nearest training picture, {name}"] = _nearest(see(reference.train.images), see)
    written = {
        name: {kind: _captions(reference, asked, find(asked)) for kind, asked in reference.asked.items()}
        for name, find in found.items()
    }
    for name, network in readers.items():
        if hasattr(network, "texts"):
            written[f"nearest training caption, {name}"] = _retrieved(reference, cast(CaptionNetwork, network))
    right = {kind: list(asked.pictures.captions) for kind, asked in reference.asked.items()}
    return {REFERENCES: right, **written}


def _captions(reference: CaptionReference, asked: AskedPictures, rows: NDArray[np.intp]) -> list[str]:
    """The captions of training rows `(N,)`, of the kinds that are asked for."""
    train = reference.reals.train
    return [train[column].captions[row] for column, row in zip(asked.columns, rows.tolist(), strict=True)]


def _most_frequent(reference: CaptionReference) -> Find:
    counts = Counter(reference.train.labels.tolist())
    first = int(np.flatnonzero(reference.train.labels == counts.most_common(1)[0][0])[0])
    return lambda asked: np.full(len(asked.columns), first, np.intp)


def _nearest(training: Features, see: See) -> Find:
    """By the distance of features `(N, D)`."""
    return lambda asked: distances.neighbours(see(asked.pictures.images), training, 1)[0][:, 0]


def _judged(reference: CaptionReference) -> Find:
    """A training picture of what the judge sees: of its label, or of most of its attributes."""
    judge, train = reference.judge, reference.train
    if not judge.config.slots:
        first = {label: row for row, label in reversed(list(enumerate(train.labels.tolist())))}

        def by_label(asked: AskedPictures) -> NDArray[np.intp]:
            labels = features.rows(judge, judge.forward, asked.pictures.images).argmax(axis=1)
            return np.array([first.get(label, 0) for label in labels.tolist()], np.intp)

        return by_label
    shown = attribute_accuracy.slot_indices(train.attributes, judge.config.slots).numpy()  # (N, T)

    def by_attributes(asked: AskedPictures) -> NDArray[np.intp]:
        seen = attribute_accuracy.read(judge, asked.pictures.images)  # (N, T)
        # Of equally many right answers the first slot's counts most: it says what the thing is.
        weights = 2.0 ** -np.arange(seen.shape[1])
        return np.stack([((shown == row) @ weights).argmax() for row in seen])

    return by_attributes


def _retrieved(reference: CaptionReference, network: CaptionNetwork) -> dict[str, list[str]]:
    """The training caption of the kind asked for that a network finds likest to the picture."""
    written = {kind: [""] * len(asked.columns) for kind, asked in reference.asked.items()}
    for column, labelled in reference.reals.train.items():
        texts = list(dict.fromkeys(labelled.captions))
        read = features.texts(network, texts)  # (M, D)
        for kind, asked in reference.asked.items():
            own = [index for index, name in enumerate(asked.columns) if name == column]
            likest = (features.embeddings(network, asked.pictures.images[own]) @ read.T).argmax(axis=1)
            for index, text in zip(own, likest.tolist(), strict=True):
                written[kind][index] = texts[text]
    return written
