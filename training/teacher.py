"""Train or fine-tune a teacher: the denoiser (and the conditioner by choice) of a pipeline of any family.

It knows nothing about students. Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from base.errors import BadInput
from base.runs import data_folder
from data.imagefolder import ImageFolder
from models import folder as folders
from models.architecture import architecture
from models.pipeline import Pipeline
from models.sampling import add_noise
from models.task import task_of
from training import adapter
from training.assemble import open_base
from training.captions import Captions
from training.denoising_loss import min_snr, shifted_timesteps, target
from training.examples import examples
from training.latents import Latents, sized
from training.lora import LoraConfig, adapted, merged
from training.run.draws import Draws
from training.run.method import Losses, Method, Phase
from training.schedule_tables import Tables
from training.subsets import evenly, split
from training.teacher_config import TeacherConfig
from training.texts import Texts

_SCORED = 512
"""Samples that a score is taken of, at most."""


class TeacherMethod(Method):
    """Denoising in the pipeline's own prediction type, inputs dropped now and then."""

    shares_out = True
    score_name = "the loss"

    def __init__(self, config: TeacherConfig) -> None:
        torch.manual_seed(config.loop.seed)
        self.config = config
        source = data_folder(config.data)
        self.train_images, self.held_out = ImageFolder(source, "train"), ImageFolder(source, "validation")
        self.pipeline = sized(open_base(config.base, config.loop, config.flow), self.train_images)
        if config.lora is not None:
            self._adapt(config.lora)
        self.tables = Tables(self.pipeline.schedule)
        weights = "weights" in task_of(self.pipeline).conditioner_inputs
        if config.attribute_dropout and not weights:
            raise BadInput("attribute_dropout is for a base whose inputs are attributes; this one takes no attributes")
        train, held_out = (
            examples(self.pipeline, images, config.captions, config.contexts)
            for images in (self.train_images, self.held_out)
        )
        self.captions, self.held_out_captions = train.rows, held_out.rows
        self.null = self.pipeline.conditioner.tokenize([self.pipeline.null_input])
        self.pipeline.conditioner.requires_grad_(config.train_conditioner)
        if config.train_conditioner:
            self.pipeline.conditioner.float()  # what learns does so in float32
        self.scored = self.captions.scored(self.held_out_captions, _SCORED)
        self.shares = self.captions.shares(config.loop.balance, weights)
        self.scored_on = self.scored.said
        self.latents, self.held_out_latents = train.latents(), held_out.latents()
        self.groups = self.latents.groups
        self.texts = Texts(self.pipeline, self._all_ids()) if config.cache_text else None
        self.modules: Mapping[str, nn.Module] = {"denoiser": self.pipeline.denoiser}
        if config.train_conditioner:
            self.modules = {**self.modules, "conditioner": self.pipeline.conditioner}
        self.averaged: Sequence[str] = tuple(self.modules)
        self.size = len(train)

    def notes(self) -> Sequence[str]:
        """Captions that are cut."""
        return self.captions.cut(self.pipeline.conditioner.beyond)

    def phases(self, steps: int) -> Sequence[Phase]:
        """One phase: denoising."""
        weights = [weight for module in self.modules.values() for weight in module.parameters()]
        return [
            Phase(
                "teacher", [weight for weight in weights if weight.requires_grad], self.config.optimizer, self.denoise
            )
        ]

    def denoise(self, indices: list[int], draws: Draws) -> Losses:
        """The loss at uniform timesteps, shifted and weighted."""
        x0 = self.latents[indices].to(draws.device)
        ids = self.captions.draw(indices, draws)
        dropped = (draws.uniform() < self.config.condition_dropout)[:, None]
        ids = self._freed(torch.where(dropped, self.null.to(draws.device), ids), draws)
        schedule = self.pipeline.schedule
        timesteps = shifted_timesteps(draws.uniform(), self.config.shift, len(schedule))
        noise = draws.normal(*x0.shape[1:])
        if self.config.noise_offset:
            noise = noise + self.config.noise_offset * draws.normal(x0.shape[1], 1, 1)
        error = self._error(self.pipeline, x0, ids, timesteps, noise)
        weights = min_snr(self.tables, timesteps, self.config.min_snr_gamma, schedule.prediction_type)
        return {"total": (error * weights).mean(), "error": error.mean()}

    def validate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """The unweighted loss at fixed noise and timesteps: on inputs that training knows, and on those that it does not."""
        rows, held_out = self.scored, (self.held_out_latents, self.held_out_captions)
        known = [
            self._losses(averages, *held_out, rows.held_out),
            self._losses(averages, self.latents, self.captions, rows.train, seed=1),
        ]
        figures = {"score": float(torch.cat(known).mean())}
        if rows.unknown:
            figures["unknown"] = float(self._losses(averages, *held_out, rows.unknown).mean())
        return figures

    def test(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """The same on the test split, where there is one."""
        try:
            images = ImageFolder(data_folder(self.config.data), "test")
        except BadInput:
            return {}
        test = examples(self.pipeline, images, self.config.captions, self.config.contexts)
        rows = evenly(len(test), _SCORED)
        return {"loss": float(self._losses(averages, test.latents(), test.rows, rows).mean())}

    def _losses(
        self,
        averages: Mapping[str, nn.Module],
        encoded: Latents,
        captions: Captions,
        rows: Sequence[int],
        seed: int = 0,
    ) -> Tensor:
        """The loss of each of the rows, `(N,)`, those of one shape together."""
        if not rows:
            return torch.empty(0)
        pipeline = self._averaged(averages)
        draws, errors = Draws.at(seed, 0, range(len(rows)), pipeline.device), []
        ids = self._freed(captions.draw(rows, draws), draws)
        timesteps = draws.integers(len(pipeline.schedule))
        for alike in encoded.together(rows):
            x0 = encoded[[rows[place] for place in alike]].to(pipeline.device)
            own = ids[alike], timesteps[alike], draws.only(alike).normal(*x0.shape[1:])
            for part in split(len(alike), x0.shape[1:], 64):
                errors.append(self._error(pipeline, x0[part], *(values[part] for values in own)))
        return torch.cat(errors).cpu()

    def samples(self, averages: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Eight training inputs above eight held-out ones, twenty guided steps: `(2·H, 8·W, 3)`; fewer of fewer inputs."""
        count = min(8, len(self.captions.ids), len(self.held_out_captions.ids))
        inputs = [*self.captions.shown(count), *self.held_out_captions.shown(count)]
        pipeline = self._averaged(averages)
        images = np.concatenate(
            [
                pipeline.preview([inputs[index] for index in seeds], seeds.tolist(), 20, self.config.guidance)
                for seeds in split(len(inputs), pipeline.latent_shape, 16)
            ]
        )
        if self.texts is not None:
            self.texts.rest()
        return np.concatenate([np.concatenate(list(row), axis=1) for row in (images[:count], images[count:])], axis=0)

    def save(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        """The pipeline as a diffusers folder, an adapter merged into it and kept beside it."""
        pipeline = self._averaged(averages)
        folders.save(replace(pipeline, denoiser=merged(pipeline.denoiser)), folder)
        adapter.save(pipeline.denoiser, folder)

    def _adapt(self, config: LoraConfig) -> None:
        if self.config.loop.frozen == "bf16":
            self.pipeline.denoiser.to(torch.bfloat16)
        self.pipeline.denoiser = adapted(self.pipeline.denoiser, config)

    def _all_ids(self) -> Tensor:
        """Ids `(M, S)` of every caption, and of none."""
        splits = (self.captions, self.held_out_captions)
        return torch.cat([self.null, *(captions.ids.flatten(0, 1) for captions in splits)])

    def _averaged(self, averages: Mapping[str, nn.Module]) -> Pipeline:
        changed: dict[str, Any] = dict(averages)
        return replace(self.pipeline, **changed)

    def _error(self, pipeline: Pipeline, x0: Tensor, ids: Tensor, timesteps: Tensor, noise: Tensor) -> Tensor:
        """The error of the model output, one number a sample `(N,)`."""
        alpha, sigma = self.tables.at(timesteps)
        noisy = add_noise(x0, noise, alpha, sigma)
        conditioning = (self.texts or pipeline.conditioner)(ids)
        output = pipeline.denoiser(noisy, timesteps, **conditioning.arrays())
        expected = target(pipeline.schedule.prediction_type, x0, noise, alpha, sigma)
        return architecture(pipeline.denoiser).error(output, output.sample, expected)

    def _freed(self, ids: Tensor, draws: Draws) -> Tensor:
        """Inputs `(N, A)` with attributes left free at random."""
        if not self.config.attribute_dropout:
            return ids
        free = draws.uniform(ids.shape[1]) < self.config.attribute_dropout
        return torch.where(free, self.null.to(ids.device), ids)


CONFIG, METHOD = TeacherConfig, TeacherMethod
