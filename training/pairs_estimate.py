"""What drawing a student's pairs will take before its first step: how many, how often the teacher runs; it draws none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.student.student_config import StudentConfig


@dataclass(frozen=True)
class PairsEstimate:
    """The pairs of one student."""

    count: int
    """Of all timesteps together."""
    steps: int
    """Steps of the teacher in all of them."""

    @classmethod
    def of(cls, config: StudentConfig) -> PairsEstimate | None:
        """Of a student's configuration; none where no term looks at pairs."""
        if not any(term.looks_at_pairs(config) for term in config.terms.values()):
            return None
        pairs, last = config.pairs, max(config.timesteps)
        counts = {t: pairs.count if t == last else pairs.later_count for t in config.timesteps}
        steps = {t: max(1, round(pairs.steps * (t + 1) / (last + 1))) for t in config.timesteps}
        return cls(sum(counts.values()), sum(counts[t] * steps[t] for t in counts))
