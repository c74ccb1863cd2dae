"""Regression on pairs: the student's x0 against where its guided teacher ends that starts from the very same noise.

The warm-up of every student, and one term of several after it (DMD2, arXiv 2405.14867, section 4.5; pairs of later
timesteps are ours). It knows nothing about how pairs are made (`pairs.py`). Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from training.rehearsal import Rehearsal
from training.run.method import Losses
from training.student.batch import Batch, TrainingSet
from training.student.term import Term, TermConfig, TermPhase

if TYPE_CHECKING:
    from training.student.student_config import StudentConfig


class RegressionConfig(TermConfig):
    """The warm-up's regression after the warm-up."""

    weight: float = 1.0
    """Weight of the term; 0: the warm-up alone, whose length is `warmup`."""

    def teaches(self) -> bool:
        """Whether it goes on after the warm-up."""
        return self.weight > 0

    def looks_at_pairs(self, student: StudentConfig) -> bool:
        """In the warm-up, and after it where it goes on."""
        return self.weight > 0 or student.warmup > 0

    def rehearse(self, rehearsal: Rehearsal) -> Tensor | None:
        """A pass of its own, on pairs, as a scalar."""
        return rehearsal.student_pass().square().mean() if self.weight else None


class Regression(Term[RegressionConfig]):
    """Squared error on stored pairs."""

    configuration: ClassVar[type[TermConfig]] = RegressionConfig
    default: ClassVar[TermConfig | None] = RegressionConfig()

    def prepare(self, samples: TrainingSet) -> None:
        """Sample the pairs, unless no step looks at them."""
        if self.config.looks_at_pairs(self.student.config):
            len(samples.pairs)

    def phases(self, begin: int) -> Sequence[TermPhase]:
        """The warm-up: the steps up to `begin`."""
        config = self.student.config
        learnt, start = self.student.parameters(), begin - config.warmup
        return [TermPhase("warmup", learnt, config.warmup_optimizer, self.regression_step, start, begin)]

    def regression_step(self, batch: Batch) -> Losses:
        """The warm-up's loss."""
        return {"total": self._error(batch)}

    def loss(self, batch: Batch) -> Tensor | None:
        """The error of the warm-up, weighted: a scalar."""
        return self.config.weight * self._error(batch) if self.config.weight else None

    def _error(self, batch: Batch) -> Tensor:
        """The error of the student's x0 on as many pairs as the batch has samples, a scalar."""
        draws, student, pairs = batch.draws, self.student, batch.pairs
        timesteps = student.draw_timesteps(draws)
        index, noise, target = pairs.at(draws.integers(len(pairs)), timesteps)
        start, noise, target = (array.to(draws.device) for array in (pairs.samples[index], noise, target))
        noisy = student.add_noise(start, noise, timesteps)
        conditioning = batch.samples.condition(pairs.ids[index].to(draws.device))
        return student.error(noisy, timesteps, conditioning, target)


TERM = Regression
