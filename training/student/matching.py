"""Distribution matching: the student's samples move from what a fake score expects to what the teacher expects.

DMD (arXiv 2311.18828) with the fake score of DMD2 (arXiv 2405.14867). It knows nothing about the adversarial game.
Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models.conditioning import Conditioning
from models.parts import predict
from models.sampling import add_noise, to_x0
from training.lora import LoraConfig, adapted
from training.rehearsal import Rehearsal
from training.run.draws import Draws
from training.run.method import Losses
from training.run.optimizer import OptimizerConfig
from training.student.batch import Batch
from training.student.student_network import Student
from training.student.term import Target, Term, TermConfig, TermPhase


class MatchingConfig(TermConfig):
    """Distribution matching."""

    optimizer: OptimizerConfig
    """The fake score's."""
    weight: float = 0.5
    """Weight of the term."""
    guidance: float = Field(default=2.0, ge=0)
    """The teacher's guidance."""
    rank: int | None = None
    """Rank of a LoRA on the teacher as the fake score; none: a whole copy."""

    def rehearse(self, rehearsal: Rehearsal) -> Tensor:
        """The guided teacher's pass over the student's samples, as a scalar; the fake score is not counted."""
        fake = rehearsal.fake
        rehearsal.guided_pass()
        return fake.square().mean()


class Matching(Term[MatchingConfig]):
    """A fake score, which follows the student, and the loss it gives the student."""

    configuration: ClassVar[type[TermConfig]] = MatchingConfig
    leads_to: ClassVar[Target] = "data"

    def __init__(self, config: MatchingConfig, student: Student) -> None:
        super().__init__(config, student)
        self.tables = student.tables
        self.score = _fake_score(self.teacher.denoiser, config.rank)
        self.modules = {"score": self.score}

    def parameters(self) -> list[nn.Parameter]:
        """What the fake score learns."""
        return [weight for weight in self.score.parameters() if weight.requires_grad]

    def phases(self, begin: int) -> Sequence[TermPhase]:
        """The fake score's, before the student's."""
        return [TermPhase("score", self.parameters(), self.config.optimizer, self.fake_score_step, start=begin)]

    def fake_score_step(self, batch: Batch) -> Losses:
        """The fake score's loss on the batch; no gradient reaches the student."""
        with torch.no_grad():
            fake = batch.fake
        return {"total": self.fake_score_loss(fake, batch.conditioning, batch.draws)}

    def loss(self, batch: Batch) -> Tensor:
        """The student's loss, weighted: a scalar."""
        return self.config.weight * self.distribution_matching_loss(batch.fake, batch.conditioning, batch.draws)

    def fake_score_loss(self, fake: Tensor, conditioning: Conditioning, draws: Draws) -> Tensor:
        """Denoise the student's samples `(N, C, h, w)` (DMD, equation 6), each timestep weighed as x0 is: a scalar."""
        timesteps, noisy = self._noised(fake, draws)
        x0 = self._x0(self.score, noisy, timesteps, conditioning)
        alpha, sigma = self.tables.at(timesteps)
        weight = ((alpha / sigma).square() + 1).clamp(max=5.0)  # Min-SNR for v, in x0
        return (weight * (x0 - fake).square()).mean()

    def distribution_matching_loss(self, fake: Tensor, conditioning: Conditioning, draws: Draws) -> Tensor:
        """A scalar whose gradient at the samples x̂ `(N, C, h, w)` is (DMD, equations 7 and 8)

        (fake score's x0 − teacher's x0) / mean |x̂ − teacher's x0|.
        """
        with torch.no_grad():
            timesteps, noisy = self._noised(fake.detach(), draws)
            output = self.teacher.denoise(conditioning, self.config.guidance)(noisy, timesteps).float()
            real = to_x0(noisy, output, *self.tables.at(timesteps), self.teacher.schedule.prediction_type)
            fake_x0 = self._x0(self.score, noisy, timesteps, conditioning)
            size = (fake.detach() - real).abs().mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
            target = fake.detach() - (fake_x0 - real) / size
        return functional.mse_loss(fake, target) / 2

    def _noised(self, fake: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        timesteps = ((0.02 + 0.96 * draws.uniform()) * len(self.tables)).long()
        return timesteps, add_noise(fake, draws.normal(*fake.shape[1:]), *self.tables.at(timesteps))

    def _x0(self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        output = predict(denoiser, noisy, timesteps, conditioning).float()
        x0: Tensor = to_x0(noisy, output, *self.tables.at(timesteps), self.teacher.schedule.prediction_type)
        return x0


def _fake_score(denoiser: nn.Module, rank: int | None) -> nn.Module:
    if rank is None:
        return copy.deepcopy(denoiser).float().requires_grad_(True)
    return adapted(denoiser, LoraConfig(rank=rank))


TERM = Matching
