"""What an evaluation finds, as plain figures: floor, teacher, students; it measures nothing.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from metrics.distances import Spread
from metrics.identification import Accuracy
from metrics.labelled_images import LabelledImages
from metrics.similarity import Similarity
from metrics.validity import Validity
from models.sampling import SAMPLERS

JUDGE = "judge"
"""The feature network that every report has."""
GUIDANCES = (1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 7.5)


@dataclass(frozen=True)
class Effort:
    """How much is drawn. A teacher of 50 guided steps draws some ten small images a second and core."""

    images: int = 400
    """N of the distances: held-out captions drawn once each."""
    captions: int = 200
    """Captions drawn of each set that is identified."""
    guidances: tuple[float, ...] = GUIDANCES
    """The sweep, with every sampler; the teacher is its best by the judge's FD."""
    samplers: tuple[str, ...] = tuple(SAMPLERS)
    sweep: int = 100
    """Images drawn for each point of the sweep."""
    prompts: int = 16
    """Prompts of the variety at a fixed prompt."""
    seeds: int = 8
    """Images of each of them."""
    batch: int = 50
    """Images drawn at once."""
    walks: tuple[int, ...] = (1000, 50, 4)
    """Numbers of the teacher's steps that the grid of steps shows, where attributes are asked for."""


QUICK = Effort(100, 50, (1.0, 1.5, 2.0), ("ddim",), sweep=50, prompts=4, seeds=4, walks=(50, 4))
"""A narrow sweep and few images, for a first look."""


@dataclass(frozen=True)
class Reals:
    """The real set, as a report wants it."""

    train: LabelledImages
    """What was trained on."""
    held_out: LabelledImages
    """What distances are taken from; best of the labels that `train` has, in the same shares."""
    captions: Mapping[str, LabelledImages]
    """Sets of captions by the name of their column: `{"training captions": …, "held-out captions": …}`."""


@dataclass(frozen=True)
class Fidelity:
    """How far the drawn images lie from the held-out reals, by one feature network."""

    fd: float
    fd_deviation: float
    """Over bootstraps of the drawn images."""
    kid: Spread
    precision: float
    recall: float


@dataclass(frozen=True)
class Line:
    """The figures of one source of images."""

    name: str
    n: int
    fidelity: dict[str, Fidelity]
    """By feature network; `judge` is always there."""
    recognised: float | None
    """Share of images whose label the judge itself names; None where it was not trained on all of them."""
    identified: dict[str, Accuracy]
    """By set of captions: the nearest prototype in the judge's embedding."""
    ground: float | None
    """Share of the named backgrounds that were drawn, where captions name any."""
    similarity: dict[str, Similarity]
    """By feature network that sees captions."""
    detail: float
    """Mean absolute Laplacian ÷ the held-out reals'."""
    spread: float | None
    """Pixel spread at a fixed prompt in grey levels; the reals have no fixed prompts."""
    diversity: dict[str, float] = field(default_factory=dict)
    """Mean distance between two seeds of a prompt, by feature network or LPIPS; empty for the reals."""
    nearest: float | None = None
    """Median distance to the nearest training image ÷ that of the held-out reals: far below 1, it was memorised."""

    @property
    def fd(self) -> float:
        """The judge's."""
        return self.fidelity[JUDGE].fd

    @property
    def recall(self) -> float:
        """The judge's."""
        return self.fidelity[JUDGE].recall


@dataclass(frozen=True)
class Restored:
    """Held-out reals after the autoencoder: no pipeline on top of it draws better than this."""

    psnr: float
    """In dB."""
    detail: float
    """Mean absolute Laplacian ÷ the reals'."""
    fd: float
    """From the reals as they were, by the judge."""


@dataclass(frozen=True)
class Point:
    """A setting of the teacher, and the judge's FD of its images."""

    guidance: float
    sampler: str
    fd: float


@dataclass(frozen=True)
class Report:
    """What an evaluation found."""

    lines: tuple[Line, ...]
    """The floor, the teacher at its best, then the students."""
    sweep: tuple[Point, ...]
    sweep_n: int
    """Images of each point."""
    validity: Validity
    autoencoder: Restored | None

    @property
    def floor(self) -> Line:
        """Training reals, as if they had been drawn."""
        return self.lines[0]

    @property
    def teacher(self) -> Line:
        """At the best point of the sweep."""
        return self.lines[1]

    @property
    def students(self) -> tuple[Line, ...]:
        """One for each number of steps."""
        return self.lines[2:]

    @property
    def best(self) -> Point:
        """Of the sweep."""
        return min(self.sweep, key=lambda point: point.fd)

    def figures(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        verdict = {"margin": self.validity.margin, "rises": self.validity.rises, "valid": self.validity.valid}
        return {**asdict(self), "best": asdict(self.best), "verdict": verdict}
