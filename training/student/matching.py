"""Distribution matching: the student's samples move from what a fake score expects to what the teacher expects.

DMD (arXiv 2311.18828) with the fake score of DMD2 (arXiv 2405.14867). It knows nothing about the adversarial game.
Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from base.config import Config
from models.conditioning import Conditioning
from models.pipeline import Pipeline, predict
from models.sampling import add_noise, to_x0
from training.lora import LoraConfig, adapted
from training.run.draws import Draws
from training.run.optimizer import OptimizerConfig
from training.schedule_tables import Tables


class MatchingConfig(Config):
    """The optional term."""

    optimizer: OptimizerConfig
    """The fake score's."""
    weight: float = 0.5
    """Weight of the term."""
    guidance: float = 2.0
    """The teacher's guidance."""
    rank: int | None = None
    """Rank of a LoRA on the teacher as the fake score; none: a whole copy."""


class Matching:
    """A fake score that follows the student, and the term it gives."""

    def __init__(self, config: MatchingConfig, teacher: Pipeline, tables: Tables) -> None:
        self.config, self.teacher, self.tables = config, teacher, tables
        self.score = _fake_score(teacher.denoiser, config.rank)

    def parameters(self) -> list[nn.Parameter]:
        """What the fake score learns."""
        return [weight for weight in self.score.parameters() if weight.requires_grad]

    def follow(self, fake: Tensor, conditioning: Conditioning, draws: Draws) -> Tensor:
        """The fake score's loss: denoise the student's samples (DMD, equation 6), each timestep weighed as x0 is."""
        timesteps, noisy = self._noised(fake, draws)
        x0 = self._x0(self.score, noisy, timesteps, conditioning)
        alpha, sigma = self.tables.at(timesteps)
        weight = ((alpha / sigma).square() + 1).clamp(max=5.0)  # Min-SNR for v, in x0
        return (weight * (x0 - fake).square()).mean()

    def pull(self, fake: Tensor, conditioning: Conditioning, draws: Draws) -> Tensor:
        """The student's term: its gradient is (fake's x0 − teacher's x0) / mean |x̂ − teacher's x0| (DMD, equations 7, 8)."""
        with torch.no_grad():
            timesteps, noisy = self._noised(fake.detach(), draws)
            output = self.teacher.denoise(conditioning, self.config.guidance)(noisy, timesteps).float()
            real = to_x0(noisy, output, *self.tables.at(timesteps), self.teacher.schedule.prediction_type)
            wrong = self._x0(self.score, noisy, timesteps, conditioning)
            size = (fake.detach() - real).abs().mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
            target = fake.detach() - (wrong - real) / size
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
