"""Stored (noise, guided teacher sample) pairs for the warm-up of a student; it knows nothing about losses.

A pair's noise is drawn again from its number, so only samples and captions are kept. Made in parts: a killed run goes on.
"""

from __future__ import annotations

from typing import Literal

import torch
from rich.progress import track
from torch import Tensor

from models import noise
from models.config import Config
from models.errors import BadInput
from models.pipeline import Pipeline
from models.sampling import SAMPLERS
from training import cache

_PART = 256


class PairsConfig(Config):
    """How the warm-up's pairs are drawn."""

    count: int = 2048
    """Number of pairs."""
    steps: int = 16
    """Steps of the teacher."""
    sampler: Literal["ddim", "dpm-solver++"] = "ddim"
    """How the teacher draws."""
    guidance: float = 2.0
    """Guidance of the teacher."""
    weights: tuple[float, float] | None = None
    """Of inputs that are attributes: the range of the uniform weights; none: as the data says."""
    free: float = 0.0
    """Of inputs that are attributes: how often each is left free."""
    seed: int = 1_000_000
    """Seed of the first pair's noise; pair i has seed + i."""


class Pairs:
    """Pairs of one teacher: `samples` `(P, C, h, w)`, caption `ids` `(P, S)`, and their noise on demand."""

    def __init__(self, samples: Tensor, ids: Tensor, seed: int) -> None:
        self.samples, self.ids, self.seed = samples, ids, seed

    def __len__(self) -> int:
        return len(self.samples)

    def noise(self, indices: Tensor) -> Tensor:
        """The noise `(N, C, h, w)` that the teacher started from."""
        seeds = [self.seed + int(index) for index in indices]
        return torch.from_numpy(noise.gaussian(seeds, 1, tuple(self.samples.shape[1:]))[0])


@torch.no_grad()
def draw(teacher: Pipeline, ids: Tensor, config: PairsConfig) -> Pairs:
    """Draw `config.count` pairs over the captions `ids` `(M, S)`, part by part, kept for other students of the teacher."""
    generator = torch.Generator().manual_seed(config.seed)
    order = torch.randperm(len(ids), generator=generator)
    chosen = _weighted(ids[order.repeat(-(-config.count // len(ids)))[: config.count]], teacher, config, generator)
    mixed = torch.is_autocast_enabled(teacher.device.type)
    name = cache.digest([teacher.conditioner, teacher.denoiser], teacher.scheduler, chosen, config, mixed)

    def part(first: int) -> Tensor:
        return cache.kept(
            f"pairs-{name}-{first:06d}", lambda: _part(teacher, chosen[first : first + _PART], first, config)
        )

    samples = [part(first) for first in track(range(0, config.count, _PART), "pairs")]
    return Pairs(torch.cat(samples), chosen, config.seed)


def _weighted(ids: Tensor, teacher: Pipeline, config: PairsConfig, generator: torch.Generator) -> Tensor:
    """Weights `(P, A)` of attributes drawn anew. BadInput: the teacher's inputs are no attributes."""
    if config.weights is None and not config.free:
        return ids
    if not teacher.slots:
        raise BadInput("pairs: weights and free are for a teacher whose inputs are attributes")
    low, high = config.weights or (1.0, 1.0)
    kept = torch.rand(ids.shape, generator=generator) >= config.free
    return ids * kept * (low + (high - low) * torch.rand(ids.shape, generator=generator))


def _part(teacher: Pipeline, ids: Tensor, first: int, config: PairsConfig) -> Tensor:
    seeds = range(config.seed + first, config.seed + first + len(ids))
    start = torch.from_numpy(noise.gaussian(seeds, 1, teacher.latent_shape)[0]).to(teacher.device)
    conditioning = teacher.conditioner(ids.to(teacher.device))
    timesteps = teacher.schedule.trailing(config.steps)
    sampler = SAMPLERS[config.sampler]
    samples: Tensor = sampler(teacher.denoise(conditioning, config.guidance), start, timesteps, teacher.schedule)
    return samples.float().cpu()
