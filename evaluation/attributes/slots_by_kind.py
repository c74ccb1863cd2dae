"""What the judge sees slot by slot in pictures of each kind of held-out caption: reals, autoencoder, teacher, students.

Kinds are the set's: known combinations, combinations, grounds, things and styles that training never shows. It knows callables,
no generators. Shapes: `N` images, `H W` pixels, `D` width of an embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data.emoji_captions import WHITE
from evaluation.attributes.slot_judge import SlotJudge
from evaluation.draw import Draw, RoundTrip, drawn
from evaluation.line import share
from evaluation.pages.sheet import Sheet
from metrics import features, sharpness
from metrics.features import Images
from metrics.identification import Prototypes
from metrics.labelled_images import LabelledImages
from metrics.white_ground import stray_share

REALS, AUTOENCODER = "held-out reals", "autoencoder"
"""Sources that draw nothing: the ceiling of all, and of all that decode."""


@dataclass(frozen=True)
class KindLine:
    """One source of images on one kind of caption."""

    kind: str
    source: str
    n: int
    slots: dict[str, float]
    """Share right by slot; NaN where the judge knows nothing of what was requested."""
    whole: float
    """Share right in every slot that the judge knows."""
    nearest: float
    """Share whose label has the nearest prototype among all labels, those that training never shows included."""
    stray: float
    """Of pictures on white that are right in every slot: the share of pixels outside that are not white. NaN: no white ones."""
    psnr: float | None = None
    """In dB, of what should be the real picture again."""
    detail: float | None = None
    """The same: mean absolute Laplacian ÷ the reals'."""


def by_kind(
    judge: SlotJudge,
    train: LabelledImages,
    kinds: Mapping[str, LabelledImages],
    draws: Mapping[str, Draw],
    round_trip: RoundTrip,
    count: int,
    batch: int = 50,
) -> tuple[KindLine, ...]:
    """A line for each source and kind, on `count` captions of each kind, the same for all sources."""
    every = [train, *kinds.values()]
    embeddings = np.concatenate([features.embeddings(judge.judge, one.images) for one in every])  # (N, D)
    prototypes = Prototypes.of(embeddings, np.concatenate([one.labels for one in every]))
    lines = []
    for kind, labelled in kinds.items():
        rows = labelled.even(count)
        lines.append(_line(judge, prototypes, kind, REALS, rows.images, rows))
        lines.append(_line(judge, prototypes, kind, AUTOENCODER, round_trip(rows.images), rows, again=True))
        for name, draw in draws.items():
            images = np.concatenate(drawn(draw, rows.captions, range(len(rows)), batch, f"drawing: {kind}: {name}"))
            lines.append(_line(judge, prototypes, kind, name, images, rows))
    return tuple(lines)


def sheet(lines: Sequence[KindLine]) -> Sheet:
    """A row for each source and kind; columns of white grounds and of the autoencoder where there are any."""
    slots = list(lines[0].slots) if lines else []
    white = any(not np.isnan(line.stray) for line in lines)
    heads = ["", *(f"{slot} ↑" for slot in slots), "all ↑", "nearest label ↑"]
    heads += [*(["not white outside ↓"] if white else []), "PSNR, dB ↑", "detail ÷ reals'", "N"]
    rows = [
        [
            f"{line.kind}: {line.source}",
            *(share(line.slots[slot]) for slot in slots),
            *(share(line.whole), share(line.nearest)),
            *([share(line.stray)] if white else []),
            *(
                f"{value:.{digits}f}" if value is not None else ""
                for value, digits in ((line.psnr, 1), (line.detail, 2))
            ),
            str(line.n),
        ]
        for line in lines
    ]
    return Sheet("Seen by the judge, by kind of caption", heads, rows)


def _line(
    judge: SlotJudge,
    prototypes: Prototypes,
    kind: str,
    source: str,
    images: Images,
    rows: LabelledImages,
    again: bool = False,
) -> KindLine:
    """`again`: the images should be the rows' own."""
    by_slot, right = judge.shares(images, rows.attributes)
    white = right & np.array([WHITE in row for row in rows.attributes])
    nearest = prototypes.accuracy(features.embeddings(judge.judge, images), rows.labels).top1
    same = (
        (sharpness.mean_psnr(images, rows.images), sharpness.laplacian(images) / sharpness.laplacian(rows.images))
        if again
        else (None, None)
    )
    return KindLine(
        kind, source, len(rows), by_slot, float(right.mean()), nearest,
        stray_share(images[white], rows.images[white]), *same,
    )  # fmt: skip
