"""A pipeline: conditioner, denoiser, autoencoder and schedule under one task; it knows nothing about training or graphs.

Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens, `D` width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from base.config import nearest
from base.errors import BadInput
from models import noise, sampling
from models.conditioning import Conditioning
from models.guidance import guidance_terms
from models.labels import Input
from models.parts import Autoencoder, Conditioner, predict
from models.schedule import STUDENT_TIMESTEPS, Schedule
from models.scheduler_configs import is_student as is_student_scheduler
from models.task import doing, task_named

Watch = Callable[[int, NDArray[np.uint8], NDArray[np.uint8]], None]
"""Called at every step with the timestep, the sample, and the x0 that is seen in it, both as images `(N, H, W, 3)`."""


@dataclass
class Pipeline:
    """Teacher or student: two pipelines of one shape; the student needs few steps and no guidance."""

    task: str
    conditioner: Conditioner
    denoiser: nn.Module  # called as `Denoiser` says
    autoencoder: Autoencoder
    scheduler: dict[str, Any]  # as diffusers writes it, `_class_name` included
    latent_shape: tuple[int, int, int]  # (C, h, w)
    shapes: tuple[tuple[int, int, int], ...] = ()
    """Those that it learnt from pictures of several shapes, `latent_shape` first."""
    null_input: str = ""
    classes: tuple[str, ...] = ()  # names of the labels, where the input is a label
    slots: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # names of the attributes, where they are the input
    siblings: tuple[Pipeline, ...] = ()
    """The other flows of its folder, which share modules with it and are saved with it."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """Task → what its folder lacks to do that as well."""

    @cached_property
    def schedule(self) -> Schedule:
        """The noise schedule, from `scheduler`. BadInput: one that is not read."""
        return Schedule.from_config(self.scheduler)

    @property
    def inputs(self) -> tuple[str, ...]:
        """What a request holds besides its seed: the keys of the task."""
        return task_named(self.task).keys()

    @property
    def is_student(self) -> bool:
        """Whether it draws in a few steps, without guidance."""
        return is_student_scheduler(self.scheduler)

    def flow(self, task: str) -> Pipeline:
        """The flow of this folder that does that task, which is this one where its folder has no other.

        BadInput: none in the folder does it.
        """
        flows = {one.task: one for one in (self, *self.siblings)}
        if (found := doing(task, flows)) is None:
            raise BadInput(f"no flow '{task}'{self.lacking.get(task) or nearest(task, flows)}")
        others = tuple(one for name, one in flows.items() if name != found)
        return replace(flows[found], siblings=others)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Pipeline:
        """Move every network, in place."""
        for module in (self.conditioner, self.denoiser, self.autoencoder):
            module.to(device=device, dtype=dtype)
        return self

    def condition(self, inputs: Sequence[Input]) -> Conditioning:
        """N inputs of the task → conditioning `(N, S, D)`, on the denoiser's device. BadInput: as `Conditioner.tokenize`."""
        ids = self.conditioner.tokenize(inputs).to(self.device)
        return self.conditioner(ids)

    def null_beside(self, conditioning: Conditioning) -> Conditioning:
        """The null condition for each sample of a conditioning, arrays `(N, …)`."""
        count = next(iter(conditioning.arrays().values())).shape[0]
        null = self.condition([self.null_input]).map(lambda array: array.expand(count, *array.shape[1:]))
        return self.conditioner.null_beside(null, conditioning)

    @property
    def device(self) -> torch.device:
        """The device on which the denoiser's weights are."""
        return next(self.denoiser.parameters()).device

    def denoise(self, conditioning: Conditioning, guidance: float | None = None) -> sampling.Denoise:
        """Bind conditioning and guidance weight: `(sample (N, C, h, w), timestep) → model output` of the sample's shape.

        Without a weight the conditioning alone runs; with one, all passes of a step run as one batch.
        """
        if guidance is None or (guidance == 1.0 and conditioning.weights is None):
            return lambda sample, timestep: predict(self.denoiser, sample, timestep, conditioning)
        null = self.null_beside(conditioning)
        count = next(iter(null.arrays().values())).shape[0]
        terms = guidance_terms(conditioning, guidance, self.conditioner)
        rows = torch.cat([torch.arange(count, device=terms.samples.device), terms.samples])  # the sample of each row
        single = terms.conditions.arrays()
        batch = Conditioning(**{name: torch.cat([array, single[name]]) for name, array in null.arrays().items()})

        def guided(sample: Tensor, timestep: Tensor | int) -> Tensor:
            times = timestep if isinstance(timestep, int) or timestep.ndim == 0 else timestep[rows]
            outputs = predict(self.denoiser, sample[rows], times, batch)
            conditions = [outputs[index] for index in terms.indices]
            return sampling.guide(outputs[:count], conditions, terms.weights)

        return guided

    def generate(
        self,
        inputs: Sequence[Input],
        seeds: Sequence[int],
        steps: int = 1,
        guidance: float | None = None,
        sampler: str = "ddim",
        watch: Watch | None = None,
    ) -> NDArray[Any]:
        """Draw images `(N, H, W, 3)`, or write token ids `(N, S)`, as the task's `output` says.

        `guidance=None` runs the student's loop, a number the teacher's `sampler`. `watch` is shown every step.
        """
        latents = self.sample(inputs, seeds, steps, guidance, sampler, watch)
        with torch.no_grad():
            return self.autoencoder.output(latents)

    def preview(
        self, inputs: Sequence[Input], seeds: Sequence[int], steps: int = 1, guidance: float | None = None
    ) -> NDArray[np.uint8]:
        """What `generate` gives, as pictures `(N, H, W, 3)` to look at, whatever comes out."""
        return self._images(self.sample(inputs, seeds, steps, guidance))

    @torch.no_grad()
    def sample(
        self,
        inputs: Sequence[Input],
        seeds: Sequence[int],
        steps: int = 1,
        guidance: float | None = None,
        sampler: str = "ddim",
        watch: Watch | None = None,
    ) -> Tensor:
        """The latents `(N, C, h, w)` that `generate` decodes."""
        ancestral = sampling.student_loop if guidance is None else sampling.ANCESTRAL.get(sampler)
        timesteps = STUDENT_TIMESTEPS[steps] if guidance is None else self.schedule.trailing(steps)
        count = len(timesteps) if ancestral else 1
        start = torch.from_numpy(noise.gaussian(seeds, count, self.latent_shape)).to(self.device)
        denoise = self._watched(self.denoise(self.condition(inputs), guidance), watch)
        if ancestral:
            return ancestral(denoise, list(start), timesteps, self.schedule)
        return sampling.SAMPLERS[sampler](denoise, start[0], timesteps, self.schedule)

    def _watched(self, denoise: sampling.Denoise, watch: Watch | None) -> sampling.Denoise:
        if watch is None:
            return denoise
        schedule = self.schedule

        def shown(sample: Tensor, timestep: int) -> Tensor:
            output: Tensor = denoise(sample, timestep)
            alpha, sigma = schedule.alpha[timestep], schedule.sigma[timestep]
            x0 = sampling.to_x0(sample, output, alpha, sigma, schedule.prediction_type)
            watch(timestep, self._images(sample), self._images(x0))
            return output

        return shown

    @torch.no_grad()
    def _images(self, latents: Tensor) -> NDArray[np.uint8]:
        return self.autoencoder.picture(latents)
