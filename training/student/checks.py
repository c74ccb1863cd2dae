"""Figures of a student on fixed noise while it trains: distance to the reals, and what the watch-dogs look at.

It knows nothing about how the student is trained. Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metrics.distances import frechet
from models import noise as host_noise
from models.architecture import architecture
from models.conditioning import Conditioning
from models.pipeline import Pipeline
from models.sampling import SAMPLERS, add_noise
from training.run.draws import Draws
from training.schedule_tables import Tables
from training.student.adversarial import Adversarial
from training.student.pairs import PairsConfig
from training.subsets import split

OneStep = Callable[[Tensor, Conditioning], Tensor]
"""Noise `(N, C, h, w)` → the student's x0."""

_MOST = 1000
_PROMPTS, _SEEDS = 8, 8
_WALKS = 128


@dataclass(frozen=True)
class Split:
    """Images of one split as the student sees them."""

    latents: Tensor  # (N, C, h, w)
    ids: Tensor  # (N, S)

    def even(self, count: int) -> Split:
        """`count` of them, evenly spaced."""
        places = torch.linspace(0, len(self.ids) - 1, min(count, len(self.ids))).long()
        return Split(self.latents[places], self.ids[places])


class Checks:
    """What stays the same between two validations is computed at the first, and once."""

    def __init__(self, teacher: Pipeline, tables: Tables, train: Split, held_out: Split, pairs: PairsConfig) -> None:
        self.teacher, self.tables, self.pairs = teacher, tables, pairs
        self.train, self.judged, self.held_out = train, train.even(_MOST), held_out.even(_MOST)

    @cached_property
    def reals(self) -> NDArray[np.float64]:
        """Features of the training latents."""
        return self._features(self.judged.latents, self.judged.ids)

    @cached_property
    def width(self) -> float:
        """The guided teacher's spread."""
        return self._spread(self._guided)

    @cached_property
    def near(self) -> float:
        """The held-out latents' distance to the training latents."""
        return self._nearest(self.held_out.latents)

    @cached_property
    def ends(self) -> Tensor:
        """Where the guided teacher walks, asked for captions of the held-out images: `(N, C, h, w)`."""
        return self._drawn(self._guided, self.held_out.even(_WALKS).ids)

    def figures(self, one_step: OneStep, game: Adversarial | None, imitates: bool = False) -> dict[str, float]:
        """`score`: Fréchet distance to the training latents in the teacher's middle features; the rest is watched.

        Of a student that only imitates its teacher's guided samples it is the median squared error at new ones, and that
        distance is watched: the nearer it comes to them, the farther it may be from the data, which guidance leaves.
        """
        drawn = self._drawn(one_step, self.judged.ids)
        figures = {
            "score": frechet(self.reals, self._features(drawn, self.judged.ids)),
            "error": float((drawn - self.judged.latents).square().mean()),
            "watch/spread": self._spread(one_step) / self.width,
            "watch/nearest": self._nearest(drawn) / self.near,
        }
        if imitates:
            figures |= {"score": self._missed(one_step), "distance": figures["score"]}
        if game is not None:
            figures["watch/accuracy"] = self._accuracy(game, one_step, self.judged)
            figures["watch/accuracy-held-out"] = self._accuracy(game, one_step, self.held_out)
        return figures

    def _missed(self, one_step: OneStep) -> float:
        """Median: of a mean a few are most, where one step leads to another picture that fits the caption."""
        drawn = self._drawn(one_step, self.held_out.even(_WALKS).ids)
        return float((drawn - self.ends).square().flatten(1).mean(dim=1).median())

    def _drawn(self, draw: OneStep, ids: Tensor) -> Tensor:
        """From noise that no pair starts at: `(N, C, h, w)`."""
        start = torch.from_numpy(host_noise.gaussian(range(_FIRST, _FIRST + len(ids)), 1, self.teacher.latent_shape)[0])
        parts = split(len(ids), start.shape[1:], 100)
        return torch.cat(
            [draw(start[part].to(self.teacher.device), self._condition(ids[part])).cpu() for part in parts]
        )

    def _accuracy(self, game: Adversarial, one_step: OneStep, split: Split) -> float:
        split = split.even(128)
        draws = Draws.at(4, 0, range(len(split.ids)), self.teacher.device)
        conditioning = self._condition(split.ids)
        fake = one_step(draws.normal(*self.teacher.latent_shape), conditioning)
        return game.accuracy(split.latents.to(fake.device), fake, conditioning, draws)

    def _spread(self, draw: OneStep) -> float:
        """Mean deviation over seeds at one prompt, of latents."""
        ids = self.judged.even(_PROMPTS).ids.repeat_interleave(_SEEDS, dim=0)
        start = torch.from_numpy(host_noise.gaussian(range(len(ids)), 1, self.teacher.latent_shape)[0])
        parts = split(len(ids), start.shape[1:], len(ids))
        drawn = torch.cat(
            [draw(start[part].to(self.teacher.device), self._condition(ids[part])).cpu() for part in parts]
        )
        return float(drawn.unflatten(0, (-1, _SEEDS)).std(dim=1).mean())

    def _guided(self, start: Tensor, conditioning: Conditioning) -> Tensor:
        schedule = self.teacher.schedule
        denoise = self.teacher.denoise(conditioning, self.pairs.guidance)
        x0: Tensor = SAMPLERS[self.pairs.sampler](denoise, start, schedule.trailing(self.pairs.steps), schedule).float()
        return x0

    def _nearest(self, drawn: Tensor) -> float:
        """Median distance to the nearest training latents."""
        distances = torch.cdist(drawn.flatten(1).cpu(), self.train.latents.flatten(1))
        return float(distances.amin(dim=1).median())

    def _features(self, x0: Tensor, ids: Tensor) -> NDArray[np.float64]:
        """The teacher's middle features, averaged over positions, of lightly noised samples: `(N, C)`."""
        found = [
            self._middle(x0[part].to(self.teacher.device), self._condition(ids[part]))
            for part in split(len(x0), x0.shape[1:], 100)
        ]
        return torch.cat(found).cpu().double().numpy()

    def _middle(self, x0: Tensor, conditioning: Conditioning) -> Tensor:
        timesteps = torch.full((len(x0),), len(self.tables) // 10, device=x0.device)
        noise = Draws.at(3, 0, range(len(x0)), x0.device).normal(*x0.shape[1:])
        noisy = add_noise(x0, noise, *self.tables.at(timesteps))
        features = architecture(self.teacher.denoiser).feature_maps(noisy, timesteps, conditioning)
        return features[-1].mean(dim=(2, 3))

    def _condition(self, ids: Tensor) -> Conditioning:
        return self.teacher.conditioner(ids.to(self.teacher.device))  # type: ignore[no-any-return]


_FIRST = 2_000_000
"""Seed of the first sample that is judged: none of the training pairs'."""
