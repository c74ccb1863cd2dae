"""Figures of a student on fixed noise while it trains: distance to the reals, and what the watch-dogs look at.

It knows nothing about how the student is trained. Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

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
from training.student.pairs import PairsConfig
from training.subsets import split

if TYPE_CHECKING:
    from training.student.term import Target, Term

OneStep = Callable[[Tensor, Conditioning], Tensor]
"""Noise `(N, C, h, w)` → the student's x0."""

_MOST = 1000
"""Images that are judged, at most."""
_PROMPTS, _SEEDS = 8, 8
"""Captions, and samples of each, whose spread is measured."""
WALKS = 128
"""Samples of the guided teacher that the student is compared with."""
_FIRST = 2_000_000
"""Seed of the first sample that is judged: none of the training pairs'."""


@dataclass(frozen=True)
class Split:
    """Images of one split as the student sees them."""

    latents: Tensor  # (N, C, h, w)
    ids: Tensor  # (N, S)

    def even(self, count: int) -> Split:
        """`count` of them, evenly spaced."""
        indices = torch.linspace(0, len(self.ids) - 1, min(count, len(self.ids))).long()
        return Split(self.latents[indices], self.ids[indices])


class Checks:
    """What stays the same between two validations is computed at the first, and once."""

    def __init__(
        self,
        teacher: Pipeline,
        tables: Tables,
        train: Split,
        held_out: Split,
        pairs: PairsConfig,
        asked: Tensor,
        share: float = 1.0,
    ) -> None:
        """`asked`: ids `(N, S)` of captions that training knows, at which a student is compared with its teacher.

        `share`: how much of all that is judged this is, where there are several shapes.
        """
        self.teacher, self.tables, self.pairs, self.asked = teacher, tables, pairs, asked
        most = max(2, round(share * _MOST))
        self.train, self.judged, self.held_out = train, train.even(most), held_out.even(most)

    @cached_property
    def reals(self) -> NDArray[np.float64]:
        """Features `(N, D)` of the training latents."""
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
        """Where the guided teacher ends for the captions of `asked`: `(N, C, h, w)`."""
        return self._samples(self._guided, self.asked)

    def figures(self, one_step: OneStep, terms: Iterable[Term[Any]], target: Target) -> dict[str, float]:
        """`score`: Fréchet distance to the training latents in the teacher's middle features; the rest is watched.

        Where the target is the teacher, the student imitates its guided samples: its score is the median squared error at new
        ones, and that distance is watched: the nearer it comes to them, the farther it may be from the data, which guidance
        leaves. `terms` are those that have something to watch.
        """
        samples = self._samples(one_step, self.judged.ids)
        figures = {
            "score": frechet(self.reals, self._features(samples, self.judged.ids)),
            "error": float((samples - self.judged.latents).square().mean()),
            "watch/spread": self._spread(one_step) / self.width,
        }
        if self.near:  # captions are often those of training, word for word: then a copy is no sign of anything
            figures["watch/nearest"] = self._nearest(samples) / self.near
        if target == "teacher":
            figures |= {"score": self._teacher_error(one_step), "distance": figures["score"]}
        for term in terms:
            for images, suffix in ((self.judged, ""), (self.held_out, "-held-out")):
                watched = self._watched(term, one_step, images)
                figures |= {f"watch/{name}{suffix}": figure for name, figure in watched.items()}
        return figures

    def _teacher_error(self, one_step: OneStep) -> float:
        """Median: of a mean a few are most, where one step leads to another picture that fits the caption."""
        samples = self._samples(one_step, self.asked)
        return float((samples - self.ends).square().flatten(1).mean(dim=1).median())

    def _samples(self, draw: OneStep, ids: Tensor) -> Tensor:
        """For captions `(N, S)`, from noise that no pair starts at: `(N, C, h, w)`."""
        start = torch.from_numpy(host_noise.gaussian(range(_FIRST, _FIRST + len(ids)), 1, self.teacher.latent_shape)[0])
        parts = split(len(ids), start.shape[1:], 100)
        return torch.cat(
            [draw(start[part].to(self.teacher.device), self._condition(ids[part])).cpu() for part in parts]
        )

    def _watched(self, term: Term[Any], one_step: OneStep, images: Split) -> Mapping[str, float]:
        """A term's figures on 128 images and the student's samples for their captions."""
        images = images.even(128)
        draws = Draws.at(4, 0, range(len(images.ids)), self.teacher.device)
        conditioning = self._condition(images.ids)
        fake = one_step(draws.normal(*self.teacher.latent_shape), conditioning)
        return term.figures(images.latents.to(fake.device), fake, conditioning, draws)

    def _spread(self, draw: OneStep) -> float:
        """Mean deviation of latents over seeds at one caption."""
        ids = self.judged.even(_PROMPTS).ids.repeat_interleave(_SEEDS, dim=0)
        start = torch.from_numpy(host_noise.gaussian(range(len(ids)), 1, self.teacher.latent_shape)[0])
        parts = split(len(ids), start.shape[1:], len(ids))
        samples = torch.cat(
            [draw(start[part].to(self.teacher.device), self._condition(ids[part])).cpu() for part in parts]
        )
        return float(samples.unflatten(0, (-1, _SEEDS)).std(dim=1).mean())

    def _guided(self, start: Tensor, conditioning: Conditioning) -> Tensor:
        schedule = self.teacher.schedule
        denoise = self.teacher.denoise(conditioning, self.pairs.guidance)
        x0: Tensor = SAMPLERS[self.pairs.sampler](denoise, start, schedule.trailing(self.pairs.steps), schedule).float()
        return x0

    def _nearest(self, samples: Tensor) -> float:
        """Median distance of samples `(N, C, h, w)` to the nearest training latents."""
        distances = torch.cdist(samples.flatten(1).cpu(), self.train.latents.flatten(1))
        return float(distances.amin(dim=1).median())

    def _features(self, x0: Tensor, ids: Tensor) -> NDArray[np.float64]:
        """The teacher's middle features, averaged over positions, of lightly noised samples: `(N, C)`."""
        features = [
            self._middle(x0[part].to(self.teacher.device), self._condition(ids[part]))
            for part in split(len(x0), x0.shape[1:], 100)
        ]
        return torch.cat(features).cpu().double().numpy()

    def _middle(self, x0: Tensor, conditioning: Conditioning) -> Tensor:
        timesteps = torch.full((len(x0),), len(self.tables) // 10, device=x0.device)
        noise = Draws.at(3, 0, range(len(x0)), x0.device).normal(*x0.shape[1:])
        noisy = add_noise(x0, noise, *self.tables.at(timesteps))
        features = architecture(self.teacher.denoiser).feature_maps(noisy, timesteps, conditioning)
        return features[-1].mean(dim=(2, 3))

    def _condition(self, ids: Tensor) -> Conditioning:
        return self.teacher.conditioner(ids.to(self.teacher.device))


def mean(figures: Sequence[tuple[float, Mapping[str, float]]]) -> dict[str, float]:
    """Figures of several shapes as one: each name's mean, weighted by the shares of those that have it."""
    if len(figures) == 1:
        return dict(figures[0][1])
    names = dict.fromkeys(name for _, some in figures for name in some)
    having = {name: [(share, some[name]) for share, some in figures if name in some] for name in names}
    return {name: sum(s * value for s, value in own) / sum(s for s, _ in own) for name, own in having.items()}
