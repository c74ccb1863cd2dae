"""Stored (noise, guided teacher sample) pairs for the warm-up of a student; it knows nothing about losses.

A pair's noise is drawn again from its number, so only samples and captions are kept. Made in parts: a killed run goes on.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor

from models import noise
from models.config import Config
from models.pipeline import Pipeline
from models.sampling import ddim

_PART = 256


class PairsConfig(Config):
    """How the warm-up's pairs are drawn."""

    count: int = 2048
    """Number of pairs."""
    steps: int = 16
    """DDIM steps of the teacher."""
    guidance: float = 2.0
    """Guidance of the teacher."""
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
def draw(teacher: Pipeline, ids: Tensor, config: PairsConfig, folder: Path) -> Pairs:
    """Draw `config.count` pairs over the captions `ids` `(M, S)`, part by part into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(config.seed))
    chosen = ids[order.repeat(-(-config.count // len(ids)))[: config.count]]
    parts = range(0, config.count, _PART)
    samples = [_part(teacher, chosen[first : first + _PART], first, config, folder) for first in track(parts, "pairs")]
    return Pairs(torch.cat(samples), chosen, config.seed)


def _part(teacher: Pipeline, ids: Tensor, first: int, config: PairsConfig, folder: Path) -> Tensor:
    file = folder / f"{first:06d}.safetensors"
    if file.is_file():
        return load_file(file)["samples"]
    seeds = range(config.seed + first, config.seed + first + len(ids))
    start = torch.from_numpy(noise.gaussian(seeds, 1, teacher.latent_shape)[0]).to(teacher.device)
    conditioning = teacher.conditioner(ids.to(teacher.device))
    timesteps = teacher.schedule.trailing(config.steps)
    samples = ddim(teacher.denoise(conditioning, config.guidance), start, timesteps, teacher.schedule).float().cpu()
    beside = file.with_name(file.name + ".tmp")
    save_file({"samples": samples.contiguous()}, beside)
    os.replace(beside, file)
    return samples
