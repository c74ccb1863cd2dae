"""The distillation term of ADD: the student's sample against the teacher's view of it, re-noised.

It knows nothing about the adversarial game. Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.nn import functional

from base.config import Config
from models.conditioning import Conditioning
from models.pipeline import Pipeline
from models.sampling import add_noise, to_epsilon, to_x0
from training.run.draws import Draws
from training.schedule_tables import Tables
from training.student.discriminator_features import View, VisionFeatures


class DistillationConfig(Config):
    """`λ·c(t)·d(x̂, teacher's x0 of the re-noised x̂)` (ADD, equation 4)."""

    weight: float = 2.5
    """λ."""
    weighting: Literal["exponential", "constant", "sds", "nfsd"] = "exponential"
    """c(t): α_t, 1, the one that makes it score distillation, or noise-free score distillation (arXiv 2310.17590)."""
    distance: str = "latents"
    """d: squared L2 in `latents` or `pixels`, or LPIPS-like in a vision transformer (folder or Hub name)."""
    scales: int = 1
    """Resolutions that d is averaged over, each half the one before."""
    steps: int = 1
    """DDIM steps from the re-noised sample down to the teacher's x0."""
    guidance: float = 2.0
    """The teacher's guidance."""
    negative: str = ""
    """NFSD's prompt of what is not wanted; empty leaves its domain term out."""


class Distillation:
    """The term, for one teacher."""

    def __init__(self, config: DistillationConfig, teacher: Pipeline, tables: Tables) -> None:
        self.config, self.teacher, self.tables = config, teacher, tables
        self.decode: Any = teacher.autoencoder.decode
        named = config.distance not in ("latents", "pixels")
        self.vision = VisionFeatures(config.distance, cast(Any, teacher.autoencoder.decode)) if named else None

    def __call__(self, fake: Tensor, conditioning: Conditioning, draws: Draws) -> Tensor:
        """The weighted distance; no gradient reaches the teacher or its target."""
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
        """σ/α·(δ_D + s·δ_C): NFSD's direction in x0 (arXiv 2310.17590, equations 9 to 11)."""
        null, negative = (
            self._like(prompt, conditioning) for prompt in (self.teacher.null_input, self.config.negative)
        )
        plain, guided = self._epsilon(noisy, timesteps, null), self._epsilon(noisy, timesteps, conditioning)
        domain = torch.zeros_like(plain)
        if self.config.negative:
            domain = plain - self._epsilon(noisy, timesteps, negative)
        clear = (timesteps < len(self.tables) // 5)[:, None, None, None]
        domain = torch.where(clear, plain, domain)
        alpha, sigma = self.tables.at(timesteps)
        return (domain + self.config.guidance * (guided - plain)) * sigma / alpha.clamp(min=1e-3)

    def _epsilon(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        output = self.teacher.denoise(conditioning)(noisy, timesteps).float()
        epsilon: Tensor = to_epsilon(noisy, output, *self.tables.at(timesteps), self.teacher.schedule.prediction_type)
        return epsilon

    def _like(self, prompt: str, conditioning: Conditioning) -> Conditioning:
        count = len(next(iter(conditioning.arrays().values())))
        return self.teacher.condition([prompt]).map(lambda array: array.expand(count, *array.shape[1:]))

    def _distance(self, fake: Tensor, target: Tensor) -> Tensor:
        """d, one number a sample `(N,)`: mean squared difference of every map at every scale."""
        terms = []
        for ours, theirs in zip(self._maps(fake), self._maps(target), strict=True):
            for scale in range(self.config.scales):
                difference = functional.avg_pool2d(ours - theirs, 2**scale) if scale else ours - theirs
                terms.append(difference.square().mean(dim=(1, 2, 3)))
        return torch.stack(terms).mean(dim=0)

    def _maps(self, sample: Tensor) -> list[Tensor]:
        if self.config.distance == "latents":
            return [sample]
        if self.vision is None:
            return [self.decode(sample)]
        still = torch.zeros(len(sample), device=sample.device)
        maps = self.vision(sample, View(still.long(), sample, still), Conditioning())
        return [functional.normalize(found, dim=1) for found in maps]  # LPIPS (arXiv 1801.03924): unit length a place
