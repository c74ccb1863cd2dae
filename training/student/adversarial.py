"""The adversarial game of a student: reals against its samples, through a frozen feature network.

It knows nothing about where reals and samples come from. Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from base.config import Config
from models.conditioning import Conditioning
from models.pipeline import Pipeline
from training.run.draws import Draws
from training.run.method import Losses
from training.run.optimizer import OptimizerConfig
from training.schedule_tables import Tables
from training.student import losses
from training.student.discriminator import TIME, Discriminator, told
from training.student.discriminator_features import (
    Augmentation,
    Features,
    TeacherFeatures,
    View,
    VisionFeatures,
    draw_view,
)


class AdversarialConfig(Config):
    """The adversarial game."""

    discriminator: OptimizerConfig
    """The heads' optimizer; about ten times the student's rate."""
    weight: float = 1.0
    """Weight of the student's adversarial term."""
    balance: bool = False
    """Whether `weight` is multiplied by ‖∇ other terms‖ / ‖∇ adversarial‖ at the student's last layer (VQGAN)."""
    game: losses.Game = "relativistic"
    """`relativistic`, `hinge` or `non-saturating`."""
    penalty: losses.Penalty = "r1+r2"
    """`r1+r2`, `r1`, `approximate` (R1 and R2 by finite differences) or `none`, on the heads' inputs."""
    gamma: float = 1.0
    """Weight of the penalty."""
    features: str = "teacher"
    """`teacher` (LADD), or the folder or Hub name of a vision transformer (ADD: DINOv2)."""
    layers: int = 4
    """Evenly spaced layers of a vision transformer that get a head."""
    width: int = 64
    """Channels of a head."""
    told: Literal["text", "text and image"] = "text"
    """What heads are told by projection; the image is the vision transformer's class token of the real."""
    misaligned: float = 0.0
    """Weight of reals under another sample's caption as further fakes."""
    augment: list[Augmentation] = []
    """Differentiable augmentation of reals and fakes alike: `translation`, `cutout`, `colour`."""
    reals: Literal["data", "teacher", "both"] = "data"
    """What counts as real: the data, the guided teacher's samples, or one after the other."""


class Adversarial:
    """Heads, what they look through, and both sides of the game."""

    def __init__(self, config: AdversarialConfig, teacher: Pipeline, tables: Tables, text: int) -> None:
        self.config, self.levels = config, len(tables)
        self.features, image = _features(config, teacher, tables)
        self.discriminator = Discriminator(self.features.channels, config.width, text + TIME + image)

    def discern(self, real: Tensor, fake: Tensor, conditioning: Conditioning, draws: Draws) -> Losses:
        """The heads' loss: tell reals from the student's samples, with the penalty on the heads' inputs."""
        view, condition = self._view(real, conditioning, draws)
        with torch.no_grad():
            maps = [self._maps(sample, view, conditioning) for sample in (real, fake)]
        with torch.autocast(draws.device.type, enabled=False):
            ours, theirs = (self.discriminator(found, condition) for found in maps)
            game = losses.mean(
                [losses.discriminator(self.config.game, r, f) for r, f in zip(ours, theirs, strict=True)]
            )
            terms = {"game": game, "penalty": self.config.gamma * self._penalty(maps, condition, draws)}
        if self.config.misaligned:
            terms["misaligned"] = self.config.misaligned * self._misaligned(real, ours, view, conditioning, condition)
        right = torch.stack([(r > f).float().mean() for r, f in zip(ours, theirs, strict=True)]).mean()
        return {"total": torch.stack(list(terms.values())).sum(), **terms, "accuracy": right}

    def deceive(self, real: Tensor, fake: Tensor, conditioning: Conditioning, draws: Draws) -> Tensor:
        """The student's side; gradient flows through `fake` only."""
        view, condition = self._view(real, conditioning, draws)
        with torch.no_grad():
            of_real = self._maps(real, view, conditioning)
        of_fake = self._maps(fake, view, conditioning)
        with torch.autocast(draws.device.type, enabled=False):
            ours, theirs = self.discriminator(of_real, condition), self.discriminator(of_fake, condition)
            return losses.mean([losses.generator(self.config.game, r, f) for r, f in zip(ours, theirs, strict=True)])

    @torch.no_grad()
    def accuracy(self, real: Tensor, fake: Tensor, conditioning: Conditioning, draws: Draws) -> float:
        """How often heads rank a real above the fake of its caption; 0.5 is a draw."""
        view, condition = self._view(real, conditioning, draws)
        ours, theirs = (self.discriminator(self._maps(x, view, conditioning), condition) for x in (real, fake))
        return float(torch.stack([(r > f).float().mean() for r, f in zip(ours, theirs, strict=True)]).mean())

    def _view(self, real: Tensor, conditioning: Conditioning, draws: Draws) -> tuple[View, Tensor]:
        view = draw_view(draws, real, self.levels)
        level = view.timesteps if self.features.noisy else torch.zeros_like(view.timesteps)
        image = None
        if self.config.told == "text and image":
            with torch.no_grad():
                image = self.features.embed(real)  # type: ignore[attr-defined]
        return view, told(conditioning, level, image)

    def _maps(self, sample: Tensor, view: View, conditioning: Conditioning) -> list[Tensor]:
        return self.features(sample, view, conditioning)

    def _penalty(self, maps: Sequence[Sequence[Tensor]], condition: Tensor, draws: Draws) -> Tensor:
        if self.config.penalty == "none":
            return torch.zeros((), device=draws.device)
        chosen = maps[:1] if self.config.penalty == "r1" else maps
        return torch.stack([self._one_penalty(side, condition, draws) for side in chosen]).sum()

    def _one_penalty(self, maps: Sequence[Tensor], condition: Tensor, draws: Draws) -> Tensor:
        terms = []
        few = max(
            1, len(condition) // 4
        )  # an unbiased estimate; of the whole batch it would be half of the heads' step
        condition = condition[:few]
        for head, feature in zip(self.discriminator.heads, [found[:few] for found in maps], strict=True):

            def logits(inputs: Tensor, head: Callable[[Tensor, Tensor], Tensor] = head) -> Tensor:
                return head(inputs, condition)

            if self.config.penalty == "approximate":
                terms.append(losses.finite_penalty(logits, feature.float(), draws.normal(*feature.shape[1:])[:few]))
            else:
                terms.append(losses.gradient_penalty(logits, feature.float()))
        return losses.mean(terms)

    def _misaligned(
        self, real: Tensor, ours: Sequence[Tensor], view: View, conditioning: Conditioning, condition: Tensor
    ) -> Tensor:
        """Reals under the caption of the sample before them, where that is another caption, as fakes."""
        wrong = conditioning.map(lambda array: array.roll(1, 0))
        names = conditioning.arrays()
        other = torch.stack([(wrong.arrays()[n] != names[n]).flatten(1).any(1) for n in names]).any(0)
        if not bool(other.any()):
            return torch.zeros((), device=real.device)
        with torch.no_grad():
            maps = self._maps(real, view, wrong)
        with torch.autocast(real.device.type, enabled=False):
            text = wrong.last_token().float()
            theirs = self.discriminator(maps, torch.cat([text, condition[:, text.shape[1] :]], dim=1))
            return losses.mean(
                [losses.discriminator(self.config.game, r[other], f[other]) for r, f in zip(ours, theirs, strict=True)]
            )


def _features(config: AdversarialConfig, teacher: Pipeline, tables: Tables) -> tuple[Features, int]:
    """The feature network, and how many numbers its image embedding has where heads are told the image."""
    if config.features == "teacher":
        return TeacherFeatures(teacher.denoiser, tables, config.augment), 0
    decode: Any = teacher.autoencoder.decode
    vision = VisionFeatures(config.features, decode, config.augment, config.layers)
    return vision, vision.channels[0] if config.told == "text and image" else 0
