"""The adversarial game: light heads tell reals from the student's samples through a frozen feature network (ADD, LADD).

ADD is arXiv 2311.17042, section 3.2; LADD arXiv 2403.12015. It knows nothing about where reals and samples come from.
Shapes: `N` batch, `C` channels, `h w` latent, `D` width of what a head is conditioned on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from models.architecture import architecture
from models.conditioning import Conditioning
from training.rehearsal import Rehearsal
from training.run.draws import Draws
from training.run.method import Losses
from training.run.optimizer import OptimizerConfig
from training.student import losses
from training.student.batch import Batch, TrainingSet
from training.student.discriminator import TIME, Discriminator, head_conditioning
from training.student.discriminator_features import (
    Features,
    TeacherFeatures,
    View,
    draw_view,
)
from training.student.pixel_features import open_pixel_features
from training.student.student_network import Student
from training.student.term import Reals, Target, Term, TermConfig, TermPhase

if TYPE_CHECKING:
    from training.student.student_config import StudentConfig

SATURATED = 0.9
"""Share of reals ranked above fakes from which the student learns nothing more from the heads."""
BY_HEART = 0.15
"""How much surer the heads may be of training reals than of held-out ones."""


class AdversarialConfig(TermConfig):
    """The adversarial game."""

    discriminator: OptimizerConfig
    """The heads' optimizer; about ten times the student's rate."""
    weight: float = 1.0
    """Weight of the student's adversarial term."""
    game: losses.Game = "relativistic"
    """`relativistic`, `hinge` or `non-saturating`."""
    penalty: losses.Penalty = "r1+r2"
    """`r1+r2`, `r1`, `approximate` (R1 and R2 by finite differences) or `none`, on the heads' inputs."""
    gamma: float = 1.0
    """Weight of the penalty."""
    features: str = "teacher"
    """`teacher` (LADD), the folder or Hub name of a vision transformer (ADD: DINOv2), or what `ippo convert efficientnet-lite`
    wrote (Projected GAN)."""
    samples: int | None = Field(default=None, ge=1)
    """Samples of every batch that the game looks at; none: all. Few are an unbiased estimate, and pixels are dear."""
    width: int = 64
    """Channels of a head."""
    reals: Reals = "data"
    """What counts as real: the data, the guided teacher's samples, or one after the other."""

    def refuse(self, student: StudentConfig) -> None:
        """ValueError: the game cannot be played on such batches."""
        if self.game == "hinge" and student.loop.batch == 1:
            raise ValueError("hinge with a batch of 1 is degenerate: the discriminator sees one side at a time")

    def teaches(self) -> bool:
        """Whether the student's side has a weight."""
        return self.weight > 0

    def real_source(self) -> Reals | None:
        """`reals`: all terms see the batch that the heads see."""
        return self.reals

    def rehearse(self, rehearsal: Rehearsal) -> Tensor:
        """The teacher's features of the student's samples, as a scalar; those of a vision transformer are not counted."""
        if self.features != "teacher":
            return rehearsal.fake.square().mean()
        timesteps = torch.zeros(len(rehearsal.sample), dtype=torch.long)
        maps = architecture(rehearsal.teacher).feature_maps(rehearsal.fake, timesteps, rehearsal.conditioning)
        return torch.stack([feature.float().square().mean() for feature in maps]).sum()


class Adversarial(Term[AdversarialConfig]):
    """Heads, what they look through, and both sides of the game."""

    configuration: ClassVar[type[TermConfig]] = AdversarialConfig
    leads_to: ClassVar[Target] = "data"

    def __init__(self, config: AdversarialConfig, student: Student) -> None:
        """BadInput: `features` names neither a vision transformer nor a converted EfficientNet-Lite."""
        super().__init__(config, student)
        self.levels, self.features = len(student.tables), self._open_features()
        width = architecture(self.teacher.denoiser).text_width
        self.discriminator = Discriminator(self.features.channels, config.width, width + TIME)
        self.modules = {"discriminator": self.discriminator}

    def _open_features(self) -> Features:
        denoiser, decode = self.teacher.denoiser, self.teacher.autoencoder.decode
        if self.config.features == "teacher":
            return TeacherFeatures(denoiser, self.student.tables)
        return open_pixel_features(self.config.features, decode)

    def prepare(self, samples: TrainingSet) -> None:
        """Sample the teacher, where its samples count as real."""
        if self.config.reals != "data":
            len(samples.pairs)

    def phases(self, begin: int) -> Sequence[TermPhase]:
        """The discriminator's, before the student's."""
        heads, rate = list(self.discriminator.parameters()), self.config.discriminator
        return [TermPhase("discriminator", heads, rate, self.discriminator_step, start=begin)]

    def discriminator_step(self, batch: Batch) -> Losses:
        """The heads' loss on the batch; no gradient reaches the student."""
        with torch.no_grad():
            seen = self._seen(batch)
        return self.discriminator_loss(*seen)

    def loss(self, batch: Batch) -> Tensor:
        """The student's side of the game, weighted: a scalar."""
        return self.config.weight * self.generator_loss(*self._seen(batch))

    def discriminator_loss(self, real: Tensor, fake: Tensor, conditioning: Conditioning, draws: Draws) -> Losses:
        """The heads' loss: tell reals from fakes `(N, C, h, w)`, with the penalty on the heads' inputs."""
        view, condition = self._view(real, conditioning, draws)
        with torch.no_grad():
            maps = [self.features(sample, view, conditioning) for sample in (real, fake)]
        with torch.autocast(draws.device.type, enabled=False):
            of_real, of_fake = (self.discriminator(side, condition) for side in maps)
            game = losses.mean(
                [losses.discriminator(self.config.game, r, f) for r, f in zip(of_real, of_fake, strict=True)]
            )
            terms = {"game": game, "penalty": self.config.gamma * self._penalty(maps, condition, draws)}
        right = torch.stack([(r > f).float().mean() for r, f in zip(of_real, of_fake, strict=True)]).mean()
        return {"total": torch.stack(list(terms.values())).sum(), **terms, "accuracy": right}

    def generator_loss(self, real: Tensor, fake: Tensor, conditioning: Conditioning, draws: Draws) -> Tensor:
        """The student's side on reals and fakes `(N, C, h, w)`: a scalar whose gradient flows through `fake` only."""
        view, condition = self._view(real, conditioning, draws)
        with torch.no_grad():
            real_maps = self.features(real, view, conditioning)
        fake_maps = self.features(fake, view, conditioning)
        with torch.autocast(draws.device.type, enabled=False):
            of_real, of_fake = self.discriminator(real_maps, condition), self.discriminator(fake_maps, condition)
            return losses.mean(
                [losses.generator(self.config.game, r, f) for r, f in zip(of_real, of_fake, strict=True)]
            )

    @torch.no_grad()
    def figures(self, real: Tensor, fake: Tensor, conditioning: Conditioning, draws: Draws) -> Mapping[str, float]:
        """`accuracy`: how often heads rank a real `(N, C, h, w)` above the fake of its caption; 0.5 is a draw."""
        view, condition = self._view(real, conditioning, draws)
        of_real, of_fake = (
            self.discriminator(self.features(sample, view, conditioning), condition) for sample in (real, fake)
        )
        right = [(r > f).float().mean() for r, f in zip(of_real, of_fake, strict=True)]
        return {"accuracy": float(torch.stack(right).mean())}

    def warnings(self, figures: Mapping[str, float]) -> Sequence[str]:
        """Heads that win every time, or know the training set by heart."""
        lines = []
        known, new = figures.get("watch/accuracy", 0.5), figures.get("watch/accuracy-held-out", 0.5)
        if known > SATURATED:
            lines.append(
                f"the discriminator ranks {known:.0%} of the reals above the fakes (saturated at {SATURATED:.0%}): lower "
                "adversarial.discriminator.rate, raise adversarial.gamma, or start from a longer warm-up"
            )
        if known - new > BY_HEART:
            lines.append(
                f"the discriminator knows training reals ({known:.0%}) better than held-out ones ({new:.0%}): set "
                "adversarial.reals to both, or raise adversarial.gamma"
            )
        return lines

    def _seen(self, batch: Batch) -> tuple[Tensor, Tensor, Conditioning, Draws]:
        """Reals, fakes `(N, C, h, w)`, conditioning and streams of the samples that the game looks at."""
        few = self.config.samples or len(batch.real)
        streams = batch.draws.only(range(min(few, len(batch.real))))
        return batch.real[:few], batch.fake[:few], batch.conditioning.map(lambda array: array[:few]), streams

    def _view(self, real: Tensor, conditioning: Conditioning, draws: Draws) -> tuple[View, Tensor]:
        """How reals and fakes are looked at, and what heads are conditioned on `(N, D)`."""
        view = draw_view(draws, real, self.levels)
        level = view.timesteps if self.features.noisy else torch.zeros_like(view.timesteps)
        return view, head_conditioning(conditioning, level)

    def _penalty(self, maps: Sequence[Sequence[Tensor]], condition: Tensor, draws: Draws) -> Tensor:
        """Of the reals' maps, and of the fakes' unless it is R1 alone; a scalar."""
        if self.config.penalty == "none":
            return torch.zeros((), device=draws.device)
        sides = maps[:1] if self.config.penalty == "r1" else maps
        return torch.stack([self._side_penalty(side, condition, draws) for side in sides]).sum()

    def _side_penalty(self, maps: Sequence[Tensor], condition: Tensor, draws: Draws) -> Tensor:
        # A quarter is an unbiased estimate; of the whole batch the penalty would be half of the heads' step. It is the first
        # of the global batch, wherever its samples are, so that parts and processes sum up to what one of all would give.
        batch = self.student.config.loop.batch
        quarter = max(1, batch // 4)
        rows = [row for row, position in enumerate(draws.positions) if position < quarter]
        if not rows:
            return torch.zeros((), device=draws.device)
        share, condition, terms = len(rows) / quarter * batch / len(draws), condition[rows], []
        for head, feature in zip(self.discriminator.heads, [side[rows] for side in maps], strict=True):

            def logits(inputs: Tensor, head: Callable[[Tensor, Tensor], Tensor] = head) -> Tensor:
                return head(inputs, condition)

            if self.config.penalty == "approximate":
                terms.append(losses.finite_penalty(logits, feature.float(), draws.normal(*feature.shape[1:])[rows]))
            else:
                terms.append(losses.gradient_penalty(logits, feature.float()))
        return share * losses.mean(terms)


TERM = Adversarial
