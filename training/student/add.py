"""Adversarial Diffusion Distillation: a student of one to four steps from a teacher (ADD, arXiv 2311.17042).

What the student learns from are the terms of its configuration, each in a file of its own; this file runs them and knows
none of them. It knows nothing about graphs or serving. Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
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
from models.conditioning import Conditioning
from training import adapter
from training.assemble import open_base
from training.latents import sized
from training.lora import merged
from training.run.draws import Draws
from training.run.method import Losses, Method, Phase
from training.run.sharding import is_shared
from training.student import watch
from training.student.batch import Batch, TrainingSet
from training.student.checks import mean
from training.student.student_config import StudentConfig
from training.student.student_network import Student
from training.student.term import Target, Term, TermPhase
from training.student.terms import TERMS
from training.subsets import split


class AddMethod(Method):
    """One student and its terms: their own phases, and the generator step, in which all of them have a share."""

    score_name = "the distance"
    shares_out = True
    averaged: Sequence[str] = ("student",)

    def __init__(self, config: StudentConfig) -> None:
        """Open networks and data. BadInput: something the configuration names is not there, or does not fit."""
        torch.manual_seed(config.loop.seed)
        self.config = config
        images = ImageFolder(data_folder(config.data), "train")
        self.teacher = sized(open_base(config.teacher, config.loop, config.flow), images)
        for module in (self.teacher.conditioner, self.teacher.denoiser, self.teacher.autoencoder):
            module.requires_grad_(False).eval()
        self.student = Student(config, self.teacher)
        self.terms: dict[str, Term[Any]] = {
            name: TERMS[name](term, self.student) for name, term in config.terms.items()
        }
        self.teaching: Sequence[Term[Any]] = ()
        """The terms of the generator steps so far: none before the warm-up is over, when there is nothing to watch yet."""
        self.modules: dict[str, nn.Module] = {"student": self.student.network}
        for term in self.terms.values():
            self.modules |= term.modules
        self.training_set = TrainingSet(config, self.student)
        self.scored_on = self.training_set.scored.said if self._imitates else "training captions with fresh noise"
        self.size, self.shares = len(self.training_set), self.training_set.shares

    def prepare(self) -> None:
        """Encode the images, and do what the terms want done before the first step, such as sampling pairs."""
        training = self.training_set
        training.prepare()
        self.groups = training.latents.groups
        for term in self.terms.values():
            term.prepare(training)
        self.checks = training.checks()
        if training.texts is not None:
            training.texts.rest()  # pairs have asked the conditioner

    def notes(self) -> Sequence[str]:
        """Captions that are cut."""
        return self.training_set.captions.cut(self.teacher.conditioner.beyond)

    def phases(self, steps: int) -> Sequence[Phase]:
        """The terms' phases, first those that end (healing, then the warm-up), and the generator's, which is the last."""
        config, begin = self.config, self.config.begin
        phases = [phase for term in self.terms.values() for phase in term.phases(begin)]
        phases.sort(key=lambda phase: (phase.stop is None, phase.start))
        generator = TermPhase(
            "generator", self.student.parameters(), config.optimizer, self.generator_step, start=begin
        )
        return [self._phase(phase) for phase in (*phases, generator)]

    def _phase(self, phase: TermPhase) -> Phase:
        """A term's phase as the loop runs it, which knows indices and no batches."""

        def loss(indices: list[int], draws: Draws) -> Losses:
            return phase.loss(self.training_set.batch(indices, draws))

        return Phase(phase.name, phase.parameters, phase.optimizer, loss, phase.start, phase.stop)

    def generator_step(self, batch: Batch) -> Losses:
        """The student's loss: the sum of its terms' weighted losses."""
        self.teaching = tuple(self.terms.values())
        losses = self._losses(batch)
        return {"total": torch.stack(list(losses.values())).sum(), **losses}

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        losses = {name: term.loss(batch) for name, term in self.terms.items()}
        return {name: loss for name, loss in losses.items() if loss is not None}

    @property
    def _imitates(self) -> bool:
        """Whether all that it learns leads to the teacher's pictures."""
        return all(term.leads_to == "teacher" for term in self.terms.values())

    def validate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """The checks of `checks.py`, each term's share of the gradient, and a warning for whatever looks wrong."""

        def one_step(noise: Tensor, conditioning: Conditioning) -> Tensor:
            last = torch.full((len(noise),), len(self.student.schedule) - 1, device=noise.device)
            return self.student.x0(noise, last, conditioning, averages["student"])

        target: Target = "teacher" if self._imitates else "data"
        figures = mean([(share, checks.figures(one_step, self.teaching, target)) for share, checks in self.checks])
        if self.teaching:
            figures |= self._shares(averages["student"])
        warnings = [line for term in self.terms.values() for line in term.warnings(figures)]
        for line in (*warnings, *watch.warnings(figures)):
            Console(stderr=True).print(f"watch: {line}", style="yellow")
        return figures

    @torch.enable_grad()
    def _shares(self, average: nn.Module) -> dict[str, float]:
        """Every term's share of the gradient at the student's last layer, on one fixed batch.

        Where the student is shared out, this process alone cannot ask it: `average` stands in for it.
        """
        shared = is_shared(self.student.parameters())
        with self.student.standing_in(average) if shared else nullcontext():
            indices = self.training_set.latents.parts[0].rows[:32]
            draws = Draws.at(5, 0, range(len(indices)), self.teacher.device)
            losses = self._losses(self.training_set.batch(indices, draws))
            norms = {name: self.student.gradient_norm(loss) for name, loss in losses.items()}
        return {f"share/{name}": norm / max(sum(norms.values()), 1e-12) for name, norm in norms.items()}

    def samples(self, averages: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """`(H, W, 3)`: the guided teacher at 16 steps above, the student at one below, same noise.

        Eight training captions, then eight held-out ones.
        """
        prompts = [*self.training_set.captions.shown(8), *self.training_set.held_out_captions.shown(8)]
        student, upper, lower = self.student.pipeline(averages["student"]), [], []
        for part in split(len(prompts), student.latent_shape, 16):
            some, seeds = [prompts[index] for index in part], part.tolist()
            upper += list(self.teacher.preview(some, seeds, 16, self.config.pairs.guidance))
            lower += list(student.preview(some, seeds))
        if self.training_set.texts is not None:
            self.training_set.texts.rest()
        return np.concatenate([np.concatenate(row, axis=1) for row in (upper, lower)], axis=0)

    def save(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        """The student as a diffusers folder, an adapter merged into it and kept beside it."""
        student = self.student.pipeline(averages["student"])
        folders.save(replace(student, denoiser=merged(student.denoiser)), folder)
        adapter.save(student.denoiser, folder)


CONFIG, METHOD = StudentConfig, AddMethod
