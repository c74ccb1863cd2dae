"""ADD's distillation: the student's sample against the teacher's view of it, re-noised (arXiv 2311.17042, equation 4).

It knows nothing about the adversarial game. Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from models.conditioning import Conditioning
from models.per_sample import per_sample
from models.sampling import add_noise, to_epsilon, to_x0
from training.rehearsal import Rehearsal
from training.run.draws import Draws
from training.student.batch import Batch
from training.student.discriminator_features import View
from training.student.pixel_features import open_pixel_features
from training.student.student_network import Student
from training.student.term import Target, Term, TermConfig


class DistillationConfig(TermConfig):
    """ADD's distillation term, `λ·c(t)·d(x̂, teacher's x0 of the re-noised x̂)` (equation 4)."""

    weight: float = 2.5
    """λ."""
    weighting: Literal["exponential", "constant", "sds", "nfsd"] = "exponential"
    """c(t): α_t, 1, the one that makes it score distillation, or noise-free score distillation (arXiv 2310.17590)."""
    distance: str = "latents"
    """d: squared L2 in `latents` or `pixels`, or LPIPS-like in a network as `adversarial.features` names one."""
    steps: int = Field(default=1, ge=1)
    """DDIM steps from the re-noised sample down to the teacher's x0."""
    guidance: float = Field(default=2.0, ge=0)
    """The teacher's guidance."""

    def rehearse(self, rehearsal: Rehearsal) -> Tensor:
        """The guided teacher's pass over the student's samples, as a scalar."""
        fake = rehearsal.fake
        rehearsal.guided_pass()
        return fake.square().mean()


class Distillation(Term[DistillationConfig]):
    """The distance of the student's samples from the teacher's view of them."""

    configuration: ClassVar[type[TermConfig]] = DistillationConfig
    leads_to: ClassVar[Target] = "data"

    def __init__(self, config: DistillationConfig, student: Student) -> None:
        """BadInput: `distance` names no such network."""
        super().__init__(config, student)
        self.tables, self.decode = student.tables, cast(Any, self.teacher.autoencoder.decode)
        named = config.distance not in ("latents", "pixels")
        self.vision = open_pixel_features(config.distance, self.decode) if named else None

    def loss(self, batch: Batch) -> Tensor:
        """The term, weighted by λ: a scalar."""
        return self.config.weight * self.distillation_loss(batch.fake, batch.conditioning, batch.draws)

    def distillation_loss(self, fake: Tensor, conditioning: Conditioning, draws: Draws) -> Tensor:
        """`c(t)·d`, averaged over samples `(N, C, h, w)`: a scalar; no gradient reaches the teacher or its target."""
        share = draws.uniform()
        if self.config.weighting in ("sds", "nfsd"):  # their weight has a pole or a zero at either end (DreamFusion)
            share = 0.02 + 0.96 * share
        timesteps = (share * len(self.tables)).long()
        with torch.no_grad():
            noisy = add_noise(fake.detach(), draws.normal(*fake.shape[1:]), *self.tables.at(timesteps))
            if self.config.weighting == "nfsd":
                target = fake.detach() - self._noise_free(noisy, timesteps, conditioning)
            else:
                target = self._denoised(noisy, timesteps, conditioning)
        return (self._weights(timesteps) * self._distance(fake, target)).mean()

    def _weights(self, timesteps: Tensor) -> Tensor:
        """c(t) `(N,)`. SDS: the gradient of α/(2σ)·w·‖x̂ − x̂ψ‖² is w·(ε̂ − ε), here with w = σ²."""
        alpha, sigma = (table.flatten() for table in self.tables.at(timesteps))
        match self.config.weighting:
            case "exponential":
                return alpha
            case "constant":
                return torch.ones_like(alpha)
            case "sds" | "nfsd":
                return alpha * sigma / 2

    def _denoised(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The guided teacher's x0 after `steps` DDIM steps, each sample from its own timestep."""
        denoise = self.teacher.denoise(conditioning, self.config.guidance)
        kind, steps = self.teacher.schedule.prediction_type, self.config.steps
        for step in range(steps):
            now = timesteps * (steps - step) // steps
            alpha, sigma = self.tables.at(now)
            output = denoise(noisy, now).float()
            x0: Tensor = to_x0(noisy, output, alpha, sigma, kind)
            if step + 1 < steps:
                epsilon = to_epsilon(noisy, output, alpha, sigma, kind)
                noisy = add_noise(x0, epsilon, *self.tables.at(timesteps * (steps - step - 1) // steps))
        return x0

    def _noise_free(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """σ/α·(δ_D + s·δ_C) `(N, C, h, w)`: NFSD's direction in x0 (arXiv 2310.17590, equations 9 to 11).

        δ_D, the domain's, is there at low noise only, where the null prediction has no noise left to name: above, it would
        take a prompt of what a picture must not be.
        """
        null = self.teacher.null_beside(conditioning)
        plain, guided = self._epsilon(noisy, timesteps, null), self._epsilon(noisy, timesteps, conditioning)
        low = per_sample(timesteps < len(self.tables) // 5)
        domain = torch.where(low, plain, torch.zeros_like(plain))
        alpha, sigma = self.tables.at(timesteps)
        return (domain + self.config.guidance * (guided - plain)) * sigma / alpha.clamp(min=1e-3)

    def _epsilon(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        output = self.teacher.denoise(conditioning)(noisy, timesteps).float()
        epsilon: Tensor = to_epsilon(noisy, output, *self.tables.at(timesteps), self.teacher.schedule.prediction_type)
        return epsilon

    def _distance(self, fake: Tensor, target: Tensor) -> Tensor:
        """d, one number a sample `(N,)`: mean squared difference, averaged over maps."""
        maps = zip(self._maps(fake), self._maps(target), strict=True)
        return torch.stack([(ours - theirs).square().mean(dim=(1, 2, 3)) for ours, theirs in maps]).mean(dim=0)

    def _maps(self, sample: Tensor) -> list[Tensor]:
        """Where samples `(N, C, h, w)` are compared: as they are, as pixels, or as features `(N, C_i, h_i, w_i)`."""
        if self.config.distance == "latents":
            return [sample]
        if self.vision is None:
            return [self.decode(sample)]
        still = torch.zeros(len(sample), device=sample.device)
        maps = self.vision(sample, View(still.long(), sample), Conditioning())
        return [
            functional.normalize(features, dim=1) for features in maps
        ]  # unit length at each position, as LPIPS has it


TERM = Distillation
