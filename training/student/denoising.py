"""Denoising of the data at the student's own timesteps, the last of which is pure noise: from a condition alone to its sample.

Where the condition says all that is to be drawn or written, this learns the answer itself, and no mistake of the teacher stands
between; where it leaves several open it learns their mean, so other terms must choose.
It knows nothing about pairs or games. Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from training.rehearsal import Rehearsal
from training.student.batch import Batch
from training.student.term import Target, Term, TermConfig


class DenoisingConfig(TermConfig):
    """Denoising of the data at the student's timesteps."""

    weight: float = Field(default=1.0, ge=0)
    """Weight of the term."""

    def teaches(self) -> bool:
        """Whether it counts."""
        return self.weight > 0

    def rehearse(self, rehearsal: Rehearsal) -> Tensor:
        """A pass of the student on the data, as a scalar."""
        return rehearsal.student_pass().square().mean()


class Denoising(Term[DenoisingConfig]):
    """Squared error, or cross-entropy of what is written, to the sample of the data that the condition belongs to."""

    configuration: ClassVar[type[TermConfig]] = DenoisingConfig
    leads_to: ClassVar[Target] = "data"

    def loss(self, batch: Batch) -> Tensor:
        """The term, weighted, a scalar whose gradient reaches the student alone; it needs none of the student's samples."""
        timesteps = self.student.draw_timesteps(batch.draws)
        images = batch.images  # (N, C, h, w)
        noisy = self.student.add_noise(images, batch.draws.normal(*images.shape[1:]), timesteps)
        return self.config.weight * self.student.error(noisy, timesteps, batch.image_conditioning, images)


TERM = Denoising
