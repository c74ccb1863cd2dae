"""What an evaluation reports: floor, teacher, students, the teacher's sweep, the judge's validity; it measures nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from evaluation.line import Figure, Line
from metrics.validity import Validity


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
    """The figures of an evaluation."""

    figures: tuple[Figure[Any], ...]
    """What each line holds, in the order of tables and columns."""
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
        """The setting of the sweep with the least FD."""
        return min(self.sweep, key=lambda point: point.fd)

    def as_json(self) -> dict[str, Any]:
        """Everything as numbers, words, lists and mappings."""
        return {
            "lines": [line.as_json() for line in self.lines],
            "sweep": [asdict(point) for point in self.sweep],
            "sweep_n": self.sweep_n,
            "validity": asdict(self.validity),
            "autoencoder": asdict(self.autoencoder) if self.autoencoder else None,
            "best": asdict(self.best),
            "verdict": {
                "margin": self.validity.margin,
                "rises": self.validity.rises,
                "valid": self.validity.valid,
            },
        }
