"""Figures of variety: what several seeds at one prompt differ by, and whether training images come again; it draws nothing.

Shapes: `N` images, `P` prompts, `H W` pixels, `D` width of a feature.
"""

from __future__ import annotations

from evaluation.line import Column, Figure, Line, ratio
from evaluation.reference import SourceImages
from metrics import distances, features, lpips, sharpness

VARIETY = "Variety at one prompt"
"""Title of their table; the training reals have no fixed prompts, and so none of these figures."""
COLLAPSE = 0.8
"""Share of the teacher's variety below which a student is said to collapse."""

SPREAD = Figure[float | None](
    name="spread",
    table=VARIETY,
    measure=lambda source: None if source.by_prompt is None else sharpness.spread(source.by_prompt),
    cells=lambda own, teacher: {Column("pixels ÷ teacher's"): ratio(own, teacher)},
)


def _diversity(source: SourceImages) -> dict[str, float]:
    """Mean distance between two seeds of a prompt, by feature network and by LPIPS."""
    if source.by_prompt is None:
        return {}
    instruments, groups = source.reference.instruments, source.by_prompt  # (P, N, H, W, 3)
    flat, shape = groups.reshape(-1, *groups.shape[2:]), groups.shape[:2]
    values = {
        name: distances.diversity(features.embeddings(network, flat).reshape(*shape, -1))
        for name, network in instruments.networks.items()
    }
    return values | {name: lpips.diversity(network, groups) for name, network in instruments.perceptual.items()}


def _collapse(student: Line, teacher: Line) -> str:
    """Pixels and networks in one sentence."""
    pairs = {"pixels": (student[SPREAD], teacher[SPREAD])}
    pairs |= {name: (student[DIVERSITY].get(name), value) for name, value in teacher[DIVERSITY].items()}
    low = {name: own / of for name, (own, of) in pairs.items() if own is not None and of and own < COLLAPSE * of}
    if not low:
        return ""
    listed = ", ".join(f"{name} {value:.2f}" for name, value in low.items())
    return (
        f"the seeds of one prompt differ less than the teacher's ({listed} of its variety; below {COLLAPSE:g} "
        "is collapse). Less distillation or guidance, or more of the adversarial loss, brings variety back."
    )


DIVERSITY = Figure(
    name="diversity",
    table=VARIETY,
    measure=_diversity,
    cells=lambda own, teacher: {
        Column(f"{name} ÷ teacher's"): ratio(value, teacher.get(name)) for name, value in own.items()
    },
    note="Variety: several seeds at a fixed prompt.",
    remark=_collapse,
)


def _nearest(source: SourceImages) -> float | None:
    """Median distance to the nearest training image ÷ that of the held-out reals: far below 1, it was memorised."""
    if source.by_prompt is None:
        return None
    reference = source.reference
    embeddings = reference.embeddings(source.images)
    return sharpness.nearest(embeddings, reference.training_embeddings) / reference.usual_distance


def _memorising(student: Line, teacher: Line) -> str:
    nearest = student[NEAREST]
    if nearest is None or nearest >= 1:
        return ""
    return (
        f"half of its images lie within {nearest:.2f} × the distance at which real held-out images lie from the training "
        "images, so it may repeat what it was trained on: look at the nearest neighbours. More or more varied training "
        "images, and fewer steps, help."
    )


NEAREST = Figure(
    name="nearest",
    table=VARIETY,
    measure=_nearest,
    cells=lambda own, teacher: {Column("nearest training ÷ held-out's"): "" if own is None else f"{own:.2f}"},
    numbers={"nearest": lambda value: value},
    remark=_memorising,
)
