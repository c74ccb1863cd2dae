"""Adversarial Diffusion Distillation: a student of one to four steps from a teacher (ADD, arXiv 2311.17042).

Warm-up by regression on (noise, guided teacher sample) pairs, then up to four terms at once: the adversarial game
(`adversarial.py`), ADD's distillation (`distillation.py`), distribution matching (`matching.py`), and the regression.
It knows nothing about graphs or serving. Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from base.runs import data_folder
from data.imagefolder import ImageFolder
from models import folder as folders
from models.architecture import architecture
from models.conditioning import Conditioning
from models.pipeline import Pipeline, predict
from models.sampling import add_noise, to_x0
from models.schedule import Schedule, student_scheduler
from training import latents
from training.assemble import earlier
from training.captions import Captions
from training.lora import adapted, merged
from training.run.draws import Draws
from training.run.method import Losses, Method, Phase
from training.schedule_tables import Tables
from training.student import pairs, watch
from training.student.adversarial import Adversarial
from training.student.checks import Checks, Split
from training.student.distillation import Distillation
from training.student.healing import Healing
from training.student.matching import Matching
from training.student.student_config import StudentConfig
from training.subsets import evenly, split
from training.teacher import configure, open_base
from training.texts import Texts


class AddMethod(Method):
    """Phases over one student: healing, warm-up, then discriminator, fake score and student in turn."""

    averaged: Sequence[str] = ("student",)
    begun: bool = False
    """Whether the warm-up is over: until then heads know nothing, and no term but the regression has a share."""

    def __init__(self, config: StudentConfig) -> None:
        torch.manual_seed(config.loop.seed)
        self.config = config
        source = data_folder(config.data)
        images, held_out = ImageFolder(source, "train"), ImageFolder(source, "validation")
        self.teacher = open_base(config.teacher, config.loop)
        for module in (self.teacher.conditioner, self.teacher.denoiser, self.teacher.autoencoder):
            module.requires_grad_(False).eval()
        self.tables = Tables(self.teacher.schedule)
        self.scheduler = student_scheduler(self.teacher.scheduler, config.prediction)
        self.schedule = Schedule.from_config(self.scheduler)
        self.converted, self.noised = Tables(self.schedule), Tables(_ending_in_noise(self.schedule))
        self.student = self._begin(config)
        self.modules: dict[str, nn.Module] = {"student": self.student}
        self._open_terms(config)
        tokenize: Any = self.teacher.conditioner.tokenize
        self.captions = Captions(images, config.captions, tokenize)
        held_out_ids = Captions(held_out, config.captions, tokenize).ids[:, 0]
        self.latents, held_out_latents = (latents.encode(self.teacher, split) for split in (images, held_out))
        self.texts = Texts(self.teacher, self.captions.ids.flatten(0, 1)) if config.cache_text else None
        with torch.autocast(self.teacher.device.type, torch.bfloat16, enabled=config.loop.precision == "bf16"):
            self.pairs = pairs.draw(self.teacher, self.captions.ids.flatten(0, 1), config.pairs, config.timesteps)
        self.size = len(images)
        splits = (Split(self.latents, self.captions.ids[:, 0]), Split(held_out_latents, held_out_ids))
        self.checks = Checks(self.teacher, self.tables, *splits, config.pairs)

    def _begin(self, config: StudentConfig) -> nn.Module:
        """The student before its first step; the teacher takes its own precision."""
        teacher, half = self.teacher.denoiser, config.loop.frozen == "bf16"
        if config.lora is not None:
            return adapted(teacher.to(torch.bfloat16) if half else teacher, config.lora)
        student = earlier(config.start, teacher, self.schedule).to(self.teacher.device) if config.goes_on else teacher
        if config.reduce or not config.goes_on:  # the teacher's own weights stay as they are
            student = architecture(student).reduced(config.reduce)
        if half:
            teacher.to(torch.bfloat16)
        if config.start == "random":
            student = architecture(student).fresh()
        configure(student, config.loop)
        return student.requires_grad_(True)

    def _open_terms(self, config: StudentConfig) -> None:
        width = architecture(self.teacher.denoiser).text_width
        self.game = self.distillation = self.matching = self.healing = None
        if config.healing is not None:
            self.healing = Healing(config.healing, self.teacher, self.student, self.tables)
        if config.adversarial is not None:
            self.game = Adversarial(config.adversarial, self.teacher, self.tables, width)
            self.modules["discriminator"] = self.game.discriminator
        if config.distillation is not None:
            self.distillation = Distillation(config.distillation, self.teacher, self.tables)
        if config.matching is not None:
            self.matching = Matching(config.matching, self.teacher, self.tables)
            self.modules["score"] = self.matching.score

    def phases(self, steps: int) -> Sequence[Phase]:
        """Healing, then warm-up, up to `config.begin`; from there on everybody else, the student last."""
        config, begin = self.config, self.config.begin
        student = [weight for weight in self.student.parameters() if weight.requires_grad]
        found = [Phase("warmup", student, config.warmup_optimizer, self.regress, begin - config.warmup, begin)]
        if config.healing is not None:
            healing = config.healing
            found.insert(0, Phase("healing", student, healing.optimizer, self.heal, stop=healing.steps))
        if self.game is not None:
            heads, rate = list(self.game.discriminator.parameters()), self.game.config.discriminator
            found.append(Phase("discriminator", heads, rate, self.discern, start=begin))
        if self.matching is not None:
            rate = self.matching.config.optimizer
            found.append(Phase("score", self.matching.parameters(), rate, self.follow, start=begin))
        return [*found, Phase("generator", student, self.config.optimizer, self.deceive, start=begin)]

    def heal(self, indices: list[int], draws: Draws) -> Losses:
        """The student's denoising beside the teacher's, on the data."""
        assert self.healing is not None
        conditioning = self._condition(self.captions.draw(indices, draws))
        return self.healing(self.latents[indices].to(draws.device), conditioning, draws)

    def regress(self, indices: list[int], draws: Draws) -> Losses:
        """Squared error of the student's x0 against where the teacher ends that starts from the very same sample."""
        timesteps = self._timesteps(draws)
        places, noise, target = self.pairs.at(draws.integers(len(self.pairs)), timesteps)
        origin, target = self.pairs.samples[places].to(draws.device), target.to(draws.device)
        noisy = add_noise(origin, noise.to(draws.device), *self.noised.at(timesteps))
        conditioning = self._condition(self.pairs.ids[places].to(draws.device))
        return {"total": (self._x0(self.student, noisy, timesteps, conditioning) - target).square().mean()}

    def discern(self, indices: list[int], draws: Draws) -> Losses:
        """The heads' loss."""
        assert self.game is not None
        real, conditioning = self._reals(indices, draws)
        with torch.no_grad():
            fake = self._fake(real, conditioning, draws)
        return self.game.discern(real, fake, conditioning, draws)

    def follow(self, indices: list[int], draws: Draws) -> Losses:
        """The fake score's loss."""
        assert self.matching is not None
        real, conditioning = self._reals(indices, draws)
        with torch.no_grad():
            fake = self._fake(real, conditioning, draws)
        return {"total": self.matching.follow(fake, conditioning, draws)}

    def deceive(self, indices: list[int], draws: Draws) -> Losses:
        """The student's loss: the terms that were chosen, each with its weight."""
        self.begun = True
        terms = self._terms(indices, draws)
        if self.game is not None and self.game.config.balance:
            terms["adversarial"] = terms["adversarial"] * self._balance(terms)
        return {"total": torch.stack(list(terms.values())).sum(), **terms}

    def _terms(self, indices: list[int], draws: Draws) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        if not self._imitates:
            real, conditioning = self._reals(indices, draws)
            fake = self._fake(real, conditioning, draws)
        if self.game is not None:
            terms["adversarial"] = self.game.config.weight * self.game.deceive(real, fake, conditioning, draws)
        if self.distillation is not None:
            terms["distillation"] = self.distillation.config.weight * self.distillation(fake, conditioning, draws)
        if self.matching is not None:
            terms["matching"] = self.matching.config.weight * self.matching.pull(fake, conditioning, draws)
        if self.config.regression:
            terms["regression"] = self.config.regression * self.regress(indices, draws)["total"]
        return terms

    def _balance(self, terms: Mapping[str, Tensor]) -> Tensor:
        """‖∇ others‖ / ‖∇ adversarial‖ at the last layer (VQGAN, arXiv 2012.09841, equation 7)."""
        norms = self._norms(terms)
        others = torch.stack([norm for name, norm in norms.items() if name != "adversarial"]).square().sum().sqrt()
        return (others / norms["adversarial"].clamp(min=1e-6)).clamp(max=1e4).detach()

    def _norms(self, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Norm of every term's gradient at the last layer that the student learns."""
        learnt = [weight for weight in self.student.parameters() if weight.requires_grad]
        last = architecture(self.student).last_weight()
        last = last if last.requires_grad else learnt[-1]
        gradients = {name: torch.autograd.grad(term, last, retain_graph=True)[0] for name, term in terms.items()}
        return {name: gradient.norm() for name, gradient in gradients.items()}

    def validate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """The checks of `checks.py`, each term's share of the gradient, and a warning for whatever looks wrong."""
        denoiser = averages["student"]

        def one_step(start: Tensor, conditioning: Conditioning) -> Tensor:
            last = torch.full((len(start),), len(self.schedule) - 1, device=start.device)
            return self._x0(denoiser, start, last, conditioning)

        figures = self.checks.figures(one_step, self.game if self.begun else None, self._imitates)
        if self.begun:
            figures |= self._shares()
        for line in watch.warnings(figures):
            Console(stderr=True).print(f"watch: {line}", style="yellow")
        return figures

    def samples(self, averages: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Sixteen captions: the guided teacher at 16 steps above, the student at one step below, same noise."""
        prompts = [self.captions.texts[0][place] for place in evenly(self.size, 16)]
        student, upper, lower = self._averaged(averages), [], []
        for part in split(len(prompts), student.latent_shape, 16):
            some, seeds = [prompts[place] for place in part], part.tolist()
            upper += list(self.teacher.generate(some, seeds, 16, self.config.pairs.guidance))
            lower += list(student.generate(some, seeds))
        return np.concatenate([np.concatenate(row, axis=1) for row in (upper, lower)], axis=0)

    def save(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        """The student as a diffusers folder."""
        student = self._averaged(averages)
        folders.save(replace(student, denoiser=merged(student.denoiser)), folder)

    @torch.enable_grad()
    def _shares(self) -> dict[str, float]:
        """Every term's share of the gradient at the student's last layer, on one fixed batch."""
        count = min(32, self.size)
        norms = self._norms(self._terms(list(range(count)), Draws.at(5, 0, range(count), self.teacher.device)))
        total = sum(float(norm) for norm in norms.values())
        return {f"share/{name}": float(norm) / max(total, 1e-12) for name, norm in norms.items()}

    @property
    def _imitates(self) -> bool:
        """Whether there is nothing to learn from but the teacher's guided samples."""
        return self.game is None and self.distillation is None and self.matching is None

    def _averaged(self, averages: Mapping[str, nn.Module]) -> Pipeline:
        return replace(self.teacher, denoiser=averages["student"], scheduler=self.scheduler)

    def _timesteps(self, draws: Draws) -> Tensor:
        """Timesteps `(N,)` of the student, as often as the configuration says."""
        known = torch.tensor(list(self.config.timesteps), device=draws.device)
        share = torch.tensor(list(self.config.timesteps.values()), device=draws.device)
        edges = share.cumsum(0) / share.sum()
        return known[torch.bucketize(draws.uniform(), edges[:-1].contiguous(), right=True)]

    def _condition(self, ids: Tensor) -> Conditioning:
        with torch.no_grad():
            return (self.texts or self.teacher.conditioner)(ids)  # type: ignore[no-any-return]

    def _reals(self, indices: list[int], draws: Draws) -> tuple[Tensor, Conditioning]:
        """What counts as real `(N, C, h, w)`, and its conditioning: the data, the guided teacher's samples, or both."""
        source = "data" if self.game is None else self.game.config.reals
        data, ids = self.latents[indices], self.captions.draw(indices, draws).cpu()
        if source != "data":
            chosen = draws.integers(len(self.pairs)).cpu()
            drawn = torch.tensor([source == "teacher" or place % 2 == 1 for place in range(len(indices))])
            data = torch.where(drawn[:, None, None, None], self.pairs.samples[chosen], data)
            ids = torch.where(drawn[:, None], self.pairs.ids[chosen], ids)
        return data.to(draws.device), self._condition(ids.to(draws.device))

    def _x0(self, denoiser: nn.Module, sample: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        output = predict(denoiser, sample, timesteps, conditioning).float()
        x0: Tensor = to_x0(sample, output, *self.converted.at(timesteps), self.schedule.prediction_type)
        return x0

    def _fake(self, real: Tensor, conditioning: Conditioning, draws: Draws) -> Tensor:
        """The student's x0 of a noised real, `x_s = α_s·x0 + σ_s·ε` (ADD, section 3.1), or of its own earlier output."""
        timesteps = self._timesteps(draws)
        if self.config.own_outputs:
            own = (draws.uniform() < self.config.own_outputs)[:, None, None, None]
            real = torch.where(own, self._earlier(real, timesteps, conditioning, draws), real)
        noisy = add_noise(real, draws.normal(*real.shape[1:]), *self.noised.at(timesteps))
        return self._x0(self.student, noisy, timesteps, conditioning)

    @torch.no_grad()
    def _earlier(self, x0: Tensor, timesteps: Tensor, conditioning: Conditioning, draws: Draws) -> Tensor:
        """What the student's own steps before `timesteps` drew, from pure noise on (DMD2's backward simulation)."""
        for step in sorted(self.config.timesteps, reverse=True)[:-1]:
            now = torch.full_like(timesteps, step)
            noisy = add_noise(x0, draws.normal(*x0.shape[1:]), *self.noised.at(now))
            later = (timesteps < step)[:, None, None, None]
            x0 = torch.where(later, self._x0(self.student, noisy, now, conditioning), x0)
        return x0


def _ending_in_noise(schedule: Schedule) -> Schedule:
    """The schedule that noise is added with: its last step is pure noise whatever the conversion back assumes.

    An epsilon student cannot have α = 0 in `x0 = (x − σ·ε)/α`; it sees pure noise and keeps its own table.
    """
    return replace(schedule, alpha=(*schedule.alpha[:-1], 0.0), sigma=(*schedule.sigma[:-1], 1.0))


CONFIG, METHOD = StudentConfig, AddMethod
