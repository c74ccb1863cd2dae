"""The image set of an evaluation, read as each of its figures needs it; it opens no network and measures nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from base.errors import BadInput
from base.runs import data_folder
from data.imagefolder import ImageFolder
from evaluation.attributes.composition import AttributedImages
from evaluation.reference import Reals
from evaluation.transfers.styled_images import StyledImages, StyledReals
from metrics.labelled_images import LabelledImages, join

KNOWN_LABELS = ("seen", "unseen-background", "unseen-ground")
"""Kinds of held-out images whose labels were trained on: distances are taken from these."""
UNSEEN = "unseen-combination"
"""Kind of held-out images that show attributes which training never shows together."""
OTHER_CAPTIONS = {"text_fr": "French captions", "text_typed": "captions as typed"}
"""Columns of the training split that say the same in other words, and their name as a set of captions."""
WHOLE = "text_style"
"""Column of captions that leave nothing open; sets without it say all in `text`."""


def open_reals(data: str) -> Reals:
    """The image set `data`: distances from held-out images of known labels, held-out captions from `test`.

    Where training captions come in other words too, those are sets of their own, on the same images.
    """
    splits = [ImageFolder(data_folder(data), split) for split in ("train", "validation", "test")]
    train, validation, test = (_labelled(split) for split in splits)
    known = np.flatnonzero([kind is None or kind in KNOWN_LABELS for kind in split_column(splits[2], "kind")])
    held_out = join([validation, test.rows(known)])
    others = {
        name: replace(train, captions=tuple(splits[0].column(column)), backgrounds=())
        for column, name in OTHER_CAPTIONS.items()
        if column in splits[0].columns
    }
    return Reals(train, held_out, {"training captions": train, "held-out captions": test, **others})


def open_attributed(data: str) -> tuple[AttributedImages, AttributedImages]:
    """Test images and their attributes: of combinations that training knows, and of those that it does not."""
    split = ImageFolder(data_folder(data), "test")
    attributes, new = (
        split.column("attributes"),
        np.array([kind == UNSEEN for kind in split_column(split, "kind")]),
    )
    seen, unseen = (
        AttributedImages(split.images(rows), tuple(tuple(attributes[row]) for row in rows))
        for rows in (np.flatnonzero(~new), np.flatnonzero(new))
    )
    return seen, unseen


def open_more_attributed(data: str) -> AttributedImages:
    """Rows of known combinations by which rare attributes are judged: held-out ones first, then those that were trained on."""
    splits = [ImageFolder(data_folder(data), split) for split in ("test", "validation", "train")]
    images, rows = [], list[tuple[str, ...]]()
    for split in splits:
        attributes, kinds = split.column("attributes"), split_column(split, "kind")
        known = [row for row, kind in enumerate(kinds) if kind != UNSEEN]
        images.append(split.images(known))
        rows += [tuple(attributes[row]) for row in known]
    return AttributedImages(np.concatenate(images), tuple(rows))


def open_styled(data: str) -> StyledReals:
    """Images whose attributes are a thing, a style and a ground; the columns `style` and `ground` say which is which.

    BadInput: a column is missing.
    """
    splits = [ImageFolder(data_folder(data), name) for name in ("train", "validation", "test")]
    train, held_out, test = map(_styled, splits)
    combinations = [row for row, kind in enumerate(split_column(splits[2], "kind")) if kind == UNSEEN]
    return StyledReals(train, held_out, test.rows(combinations))


def open_kinds(data: str) -> dict[str, LabelledImages]:
    """Held-out images by what training has not seen of them, with captions that leave nothing open."""
    kinds: dict[str, list[LabelledImages]] = {}
    for name in ("validation", "test"):
        split = ImageFolder(data_folder(data), name)
        labelled, own = _labelled(split), split_column(split, "kind")
        if WHOLE in split.columns:
            labelled = replace(labelled, captions=tuple(split.captions(WHOLE)))
        for kind in dict.fromkeys(own):
            rows = np.flatnonzero([one == kind for one in own])
            kinds.setdefault(kind or "held out", []).append(labelled.rows(rows))
    return {kind: join(parts) for kind, parts in kinds.items()}


def split_column(split: ImageFolder, name: str) -> list[Any]:
    """The values of a column, None in every row where there is no such column."""
    try:
        return split.column(name)
    except BadInput:
        return [None] * len(split)


def _styled(split: ImageFolder) -> StyledImages:
    styles, grounds = split.captions("style"), split.captions("ground")
    rows = zip(split.column("attributes"), styles, grounds, strict=True)
    things = [next((name for name in names if name not in known), "") for names, *known in rows]
    captions = [str(text) for text in split_column(split, WHOLE if WHOLE in split.columns else "text")]
    return StyledImages(split.images(), tuple(things), tuple(styles), tuple(grounds), tuple(captions))


def _labelled(split: ImageFolder) -> LabelledImages:
    """Inputs are the captions, or the labels as words where there are none."""
    labels = split.labels()
    texts = [
        text if text is not None else str(label)
        for text, label in zip(split_column(split, "text"), labels, strict=True)
    ]
    backgrounds = tuple(
        background if background and text.endswith(f" on {background}") else None
        for text, background in zip(texts, split_column(split, "background"), strict=True)
    )
    attributes = tuple(tuple(names) if isinstance(names, list) else () for names in split_column(split, "attributes"))
    return LabelledImages(split.images(), tuple(texts), np.array(labels, np.int64), backgrounds, attributes)
