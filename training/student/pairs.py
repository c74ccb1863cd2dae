"""Stored pairs of where a guided teacher starts and where it ends, for the warm-up of a student; it knows no losses.

The teacher starts from pure noise, and for a student of several timesteps also from its own samples noised to each of
them: it walks to one sample and not to the mean of all that are possible, which is what the sample before the noise would
teach. Noise is made again from a pair's number, so only samples and captions are stored. Made in parts: a killed run goes on.

Shapes: `P` pairs, `N` batch, `C` channels, `h w` latent, `S` tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn import functional

from base.config import Config
from base.errors import BadInput
from base.progress import track
from models import noise
from models.attributes import HEAVIEST
from models.pipeline import Pipeline
from models.sampling import SAMPLERS, Deterministic, add_noise
from models.scheduler_configs import TRAINED_TIMESTEPS
from models.task import task_of
from training.run import tensor_cache
from training.run.draws import Shares, spread
from training.subsets import split

_PART = 256
_MOST = 10_000_000
"""More pairs than anybody draws."""


class PairsConfig(Config):
    """How the warm-up's pairs are sampled."""

    count: int = Field(default=2048, ge=1)
    """Number of pairs."""
    steps: int = Field(default=16, ge=1, le=TRAINED_TIMESTEPS)
    """Steps of the teacher."""
    sampler: Deterministic = "ddim"
    """How the teacher draws."""
    guidance: float = Field(default=2.0, ge=0)
    """Guidance of the teacher."""
    later: float = Field(default=0.5, gt=0, le=1)
    """Pairs of each later timestep of the student ÷ `count`."""
    weights: tuple[float, float] | None = None
    """Of inputs that are attributes: the range of the uniform weights; none: as the data says."""
    free: float = Field(default=0.0, ge=0, le=1)
    """Of inputs that are attributes: how often each is left free."""
    plain: float = Field(default=0.0, ge=0, le=1)
    """Share of the pairs that ask as the data says all the same: every weight 1, none left free."""
    exchanged: float = Field(default=0.0, ge=0, le=1)
    """Of inputs that are attributes: how often each is drawn anew from its slot, so that what few samples show is seen with
    all that others show."""
    seed: int = 1_000_000
    """Seed of the first pair's noise."""

    @field_validator("weights")
    @classmethod
    def _is_range(cls, weights: tuple[float, float] | None) -> tuple[float, float] | None:
        if weights is not None and not 0 <= weights[0] <= weights[1] <= HEAVIEST:
            raise ValueError(f"accepted are a smallest and a largest weight from 0 to {HEAVIEST:g}")
        return weights

    @property
    def of_attributes(self) -> list[str]:
        """The keys that say something, and that are for attributes alone."""
        return [key for key in ("weights", "free", "plain", "exchanged") if getattr(self, key)]

    @property
    def later_count(self) -> int:
        """Pairs of each later timestep."""
        return max(1, round(self.later * self.count))

    def of_share(self, share: float) -> PairsConfig:
        """As many pairs of those as the share of all samples says."""
        return self.model_copy(update={"count": max(1, round(share * self.count))})


class Pairs:
    """Pairs of one teacher by the timestep it started at: `ends[t]` `(P, C, h, w)`, `ids` `(P, S)`, and noise on demand."""

    def __init__(self, ends: Mapping[int, Tensor], ids: Tensor, seed: int) -> None:
        self.ends, self.ids, self.seed = ends, ids, seed
        self.samples = ends[max(ends)]
        """What the teacher drew from pure noise."""

    def __len__(self) -> int:
        return len(self.samples)

    def at(self, indices: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Numbers and the student's timesteps `(N,)` → indices `(N,)` into `samples` and `ids`, noise, ends `(N, C, h, w)`.

        The teacher started from the samples at those indices, noised with that noise to that timestep.
        """
        starts = [int(timestep) for timestep in timesteps]
        numbers = [int(index) % len(self.ends[timestep]) for index, timestep in zip(indices, starts, strict=True)]
        pairs = list(zip(numbers, starts, strict=True))
        return (
            torch.tensor(numbers),
            _noise([self.seed + number + _apart(max(self.ends), t) for number, t in pairs], self.samples.shape[1:]),
            torch.stack([self.ends[timestep][number] for number, timestep in pairs]),
        )


def check(config: PairsConfig, teacher: Pipeline) -> None:
    """BadInput: the configuration asks for what is for attributes alone, and the teacher's inputs are others."""
    if config.of_attributes and "weights" not in task_of(teacher).conditioner_inputs:
        raise BadInput(f"pairs.{config.of_attributes[0]} is for a teacher whose inputs are attributes")


@torch.no_grad()
def draw(teacher: Pipeline, ids: Tensor, config: PairsConfig, timesteps: Iterable[int], shares: Shares = None) -> Pairs:
    """Draw `config.count` pairs over the captions `ids` `(M, S)`, and some more from each of the student's `timesteps`.

    Each caption as often as its share `(M,)` says. Part by part, cached for other students of the teacher.
    """
    generator = torch.Generator().manual_seed(config.seed)
    rows = _rows(len(ids), config, shares, generator)
    chosen = _weighted(ids[rows], teacher, config, generator)
    mixed = torch.is_autocast_enabled(teacher.device.type)
    unguided = teacher.conditioner.tokenize([teacher.null_input])
    made_by = (teacher.scheduler, teacher.latent_shape, chosen, unguided, config, mixed)
    name = tensor_cache.digest([teacher.conditioner, teacher.denoiser], *made_by)
    last, count = len(teacher.schedule) - 1, config.later_count
    counts = {last: config.count} | {t: count for t in sorted(timesteps, reverse=True) if t != last}
    ends: dict[int, Tensor] = {}
    for timestep, number in counts.items():
        parts = []
        for first in track(range(0, number, _PART), f"pairs from {timestep}"):
            indices = range(first, min(first + _PART, number))
            seeds = [config.seed + _apart(last, timestep) + index for index in indices]
            samples = ends[last][indices] if ends else None
            walk = partial(_in_parts, teacher, samples, seeds, chosen[indices], timestep, config)
            parts.append(tensor_cache.cached(f"pairs-{name}-{timestep}-{first:06d}", walk))
        ends[timestep] = torch.cat(parts)
    return Pairs(ends, chosen, config.seed)


def _rows(captions: int, config: PairsConfig, shares: Shares, generator: torch.Generator) -> Tensor:
    """The caption `(P,)` of each pair."""
    if shares is None:
        order = torch.randperm(captions, generator=generator)
        return order.repeat(-(-config.count // captions))[: config.count]
    rng = np.random.Generator(np.random.Philox(key=config.seed))
    return torch.from_numpy(spread(shares, config.count, rng))


def _weighted(ids: Tensor, teacher: Pipeline, config: PairsConfig, generator: torch.Generator) -> Tensor:
    """Weights `(P, A)` of attributes drawn anew, as far as the configuration says something of attributes."""
    if not config.of_attributes:
        return ids
    if config.exchanged:
        ids = _exchanged(ids, [len(names) for names in teacher.slots.values()], config.exchanged, generator)
    low, high = config.weights or (1.0, 1.0)
    given = torch.rand(ids.shape, generator=generator) >= config.free
    weighted = ids * given * (low + (high - low) * torch.rand(ids.shape, generator=generator))
    plain = torch.rand(len(ids), 1, generator=generator) < config.plain
    return torch.where(plain, ids, weighted)


def _exchanged(ids: Tensor, sizes: Sequence[int], share: float, generator: torch.Generator) -> Tensor:
    """Attributes `(P, A)`, 0 or 1, this share of them drawn anew from their slots, of which each has so many in turn."""
    slots = []
    for held in ids.split(list(sizes), dim=1):
        drawn = torch.randint(held.shape[1], (len(held),), generator=generator)
        another = functional.one_hot(drawn, held.shape[1]).to(held.dtype) * held.amax(dim=1, keepdim=True)
        slots.append(torch.where(torch.rand(len(held), 1, generator=generator) < share, another, held))
    return torch.cat(slots, dim=1)


def _walk(
    teacher: Pipeline, samples: Tensor | None, seeds: Sequence[int], ids: Tensor, timestep: int, config: PairsConfig
) -> Tensor:
    """From samples noised to `timestep`, none for pure noise, down to new ones; steps are as large from everywhere."""
    schedule, device = teacher.schedule, teacher.device
    noise = _noise(seeds, teacher.latent_shape)
    noisy = noise if samples is None else add_noise(samples, noise, schedule.alpha[timestep], schedule.sigma[timestep])
    timesteps = schedule.trailing(max(1, round(config.steps * (timestep + 1) / len(schedule))), timestep)
    denoise = teacher.denoise(teacher.conditioner(ids.to(device)), config.guidance)
    ends: Tensor = SAMPLERS[config.sampler](denoise, noisy.to(device), timesteps, schedule)
    return ends.float().cpu()


def _in_parts(
    teacher: Pipeline, samples: Tensor | None, seeds: Sequence[int], ids: Tensor, timestep: int, config: PairsConfig
) -> Tensor:
    """`_walk`, no more at once than memory holds."""
    ends = []
    for part in split(len(seeds), teacher.latent_shape, _PART):
        some = None if samples is None else samples[part]
        ends.append(_walk(teacher, some, [seeds[index] for index in part], ids[part], timestep, config))
    return torch.cat(ends)


def _apart(last: int, timestep: int) -> int:
    """What keeps the noise of one timestep's pairs from another's."""
    return (last - timestep) * _MOST


def _noise(seeds: Sequence[int], shape: Sequence[int]) -> Tensor:
    channels, height, width = shape
    return torch.from_numpy(noise.gaussian(seeds, 1, (channels, height, width))[0])
