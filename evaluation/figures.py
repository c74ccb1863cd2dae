"""The figures of an evaluation, each declared once: how it is measured, shown and remarked upon; it draws no images.

A new figure is one more `Figure` in `FIGURES`, and its mathematics a file of `metrics/`.
Shapes: `N` images, `P` prompts, `H W` pixels, `D` width of a feature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from evaluation.attributes.slot_figures import SLOT_FIGURES
from evaluation.line import HIGHER, LOWER, Column, Figure, Line, share
from evaluation.reference import JUDGE, SourceImages
from evaluation.variety import DIVERSITY, NEAREST, SPREAD
from metrics import distances, features, sharpness
from metrics.distances import Spread
from metrics.features import CaptionNetwork
from metrics.identification import Accuracy, background_hits
from metrics.proportions import below
from metrics.similarity import Similarity, similarity

DISTANCES, CAPTIONS = "Distance from held-out reals", "What was asked for"
"""Titles of the tables."""
RECALL = 0.95
"""Share of the teacher's recall that a student should keep."""
SOFT, ROUGH = 0.9, 1.1
"""Shares of the reals' detail between which sharpness passes."""

# Distance from the held-out reals.


@dataclass(frozen=True)
class Fidelity:
    """How far a source's images lie from the held-out reals, by one feature network."""

    fd: float
    """Fréchet distance."""
    fd_deviation: float
    """Over bootstraps of the source's images."""
    kid: Spread
    precision: float
    recall: float


def _fidelity(source: SourceImages) -> dict[str, Fidelity]:
    """By feature network; the judge is always there."""
    values = {}
    for network, real in source.reference.real_features.items():
        own = source.features(network)  # (N, D)
        precision, recall = distances.precision_recall(real, own)
        values[network] = Fidelity(
            fd=distances.frechet(real, own),
            fd_deviation=distances.frechet_deviation(real, own),
            kid=distances.kid(real, own, size=max(2, len(own) // 2)),
            precision=precision,
            recall=recall,
        )
    return values


def _fidelity_cells(own: dict[str, Fidelity], teacher: dict[str, Fidelity]) -> dict[Column, str]:
    cells = {}
    for network, value in own.items():
        kid = f"{1000 * value.kid.mean:.3g} ± {1000 * value.kid.deviation:.1g}"
        cells[Column(f"FD ({network})", LOWER)] = f"{value.fd:.4g} ± {value.fd_deviation:.1g}"
        cells[Column(f"KID ×10³ ({network})", LOWER)] = kid
        cells[Column(f"precision / recall ({network})", HIGHER)] = f"{value.precision:.2f} / {value.recall:.2f}"
    return cells


def _missing_modes(student: Line, teacher: Line) -> str:
    own, ceiling = (line[FIDELITY][JUDGE].recall for line in (student, teacher))
    if not below(own, student.n, RECALL * ceiling):
        return ""
    return f"recall {own:.2f} against the teacher's {ceiling:.2f}: some of what the reals show it does not draw."


FIDELITY = Figure(
    name="fidelity",
    table=DISTANCES,
    measure=_fidelity,
    cells=_fidelity_cells,
    numbers={
        "FD ×10³": lambda value: 1e3 * value[JUDGE].fd,
        "recall": lambda value: value[JUDGE].recall,
        "FD, outside": lambda value: next((one.fd for name, one in value.items() if name != JUDGE), None),
    },
    note="± of FD: deviation over 20 bootstraps of the drawn images; of KID: over 50 subsets. One training each: "
    "what another seed of the training would give, neither says.",
    remark=_missing_modes,
)


def fd(line: Line) -> float:
    """The judge's Fréchet distance of a line."""
    return line[FIDELITY][JUDGE].fd


def _sharpness(student: Line, teacher: Line) -> str:
    detail = student[DETAIL]
    if SOFT <= detail <= ROUGH:
        return ""
    word = "softer" if detail < SOFT else "rougher"
    return (
        f"{detail:.2f} of the reals' detail, so its images are {word} than theirs "
        f"(the teacher's: {teacher[DETAIL]:.2f})."
    )


DETAIL = Figure(
    name="detail",
    table=DISTANCES,
    measure=lambda source: sharpness.laplacian(source.images) / sharpness.laplacian(source.reference.held_out.images),
    cells=lambda own, teacher: {Column("detail ÷ reals'"): f"{own:.2f}"},
    numbers={"detail": lambda value: value},
    note="Detail: mean absolute Laplacian ÷ the held-out reals'.",
    remark=_sharpness,
)

# Whether captions and labels were honoured.


def _recognised(source: SourceImages) -> float | None:
    """Share of images whose label the judge itself names; None where it was not trained on all of them."""
    judge, labels = source.reference.judge, source.requested.labels
    if judge.config.slots or labels.min() < 0 or labels.max() >= judge.config.labels:
        return None
    named = features.rows(judge, judge.forward, source.images).argmax(axis=1)  # (N,)
    return float((named == labels).mean())


RECOGNISED = Figure(
    name="recognised",
    table=CAPTIONS,
    measure=_recognised,
    cells=lambda own, teacher: {Column("named by the judge", HIGHER): share(own)},
    numbers={"accuracy": lambda value: value},
)


def _identified(source: SourceImages) -> dict[str, Accuracy]:
    """By set of captions: how often the nearest prototype in the judge's embedding is that of the caption's label."""
    reference = source.reference
    return {
        name: reference.prototypes.accuracy(reference.embeddings(source.by_caption_set[name]), labelled.labels)
        for name, labelled in reference.caption_sets.items()
    }


IDENTIFIED = Figure(
    name="identified",
    table=CAPTIONS,
    measure=_identified,
    cells=lambda own, teacher: {
        Column(f"{name}: top 1 / 5", HIGHER): f"{value.top1:.3f} / {value.top5:.3f}" for name, value in own.items()
    },
)


def _background(source: SourceImages) -> float | None:
    """Share of the named backgrounds that were drawn; None where captions name none."""
    reference = source.reference
    hits = [
        hit
        for name, labelled in reference.caption_sets.items()
        for hit in background_hits(source.by_caption_set[name], labelled.backgrounds, reference.colours)
    ]
    return float(np.mean(hits)) if hits else None


BACKGROUND = Figure(
    name="ground",
    table=CAPTIONS,
    measure=_background,
    cells=lambda own, teacher: {Column("background", HIGHER): share(own)},
)


def _similarity(source: SourceImages) -> dict[str, Similarity]:
    """By every feature network that reads captions."""
    networks, captions = source.reference.networks, source.requested.captions
    reading = {name: cast(CaptionNetwork, network) for name, network in networks.items() if hasattr(network, "texts")}
    return {
        name: similarity(features.embeddings(network, source.images), features.texts(network, captions), captions)
        for name, network in reading.items()
    }


def _deafness(student: Line, teacher: Line) -> str:
    values = student[SIMILARITY].items()
    deaf = [name for name, value in values if value.shuffled is not None and value.own <= value.shuffled]
    return f"by {', '.join(deaf)} its images fit other captions as well as their own." if deaf else ""


SIMILARITY = Figure(
    name="similarity",
    table=CAPTIONS,
    measure=_similarity,
    cells=lambda own, teacher: {
        Column(f"similarity, own / shuffled ({name})", HIGHER): f"{value.own:.3f} / {share(value.shuffled)}"
        for name, value in own.items()
    },
    note="Similarity: the teacher's is the student's ceiling, shuffled captions are the floor.",
    remark=_deafness,
)

FIGURES: tuple[Figure[Any], ...] = (
    FIDELITY, RECOGNISED, IDENTIFIED, BACKGROUND, SIMILARITY, DETAIL, SPREAD, DIVERSITY, NEAREST, *SLOT_FIGURES,
)  # fmt: skip
"""What every evaluation measures, in the order of tables and columns."""
