"""The student: the network that learns, where it starts from, and the schedule it is trained and sampled with.

It knows no losses. Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from models.architecture import architecture
from models.conditioning import Conditioning
from models.parts import predict
from models.pipeline import Pipeline
from models.sampling import add_noise, to_x0
from models.schedule import Schedule
from models.scheduler_configs import student_scheduler
from training.assemble import configure, earlier
from training.lora import adapted
from training.run.draws import Draws
from training.schedule_tables import Tables

if TYPE_CHECKING:
    from training.student.student_config import StudentConfig


class Student:
    """A network of its teacher's shape, or a smaller one, and its schedule: the last timestep is pure noise."""

    def __init__(self, config: StudentConfig, teacher: Pipeline) -> None:
        """BadInput: the earlier student it starts from is none of this teacher."""
        self.config, self.teacher = config, teacher
        self.tables = Tables(teacher.schedule)
        """The teacher's α and σ."""
        self.scheduler = student_scheduler(teacher.scheduler, config.prediction)
        self.schedule = Schedule.from_config(self.scheduler)
        self._converting, self._noising = Tables(self.schedule), Tables(_ending_in_noise(self.schedule))
        self.network = self._start()

    def _start(self) -> nn.Module:
        """The network before its first step; the teacher takes its own precision."""
        config, teacher = self.config, self.teacher.denoiser
        half = config.loop.frozen == "bf16"
        if config.lora is not None:
            return adapted(teacher.to(torch.bfloat16) if half else teacher, config.lora)
        network = teacher
        if config.goes_on:
            network = earlier(config.start, teacher, self.schedule).to(self.teacher.device)
        if config.reduce or not config.goes_on:  # the teacher's own weights stay as they are
            network = architecture(network).reduced(config.reduce)
        if half:
            teacher.to(torch.bfloat16)
        if config.start == "random":
            network = architecture(network).fresh()
        configure(network, config.loop)
        return network.requires_grad_(True)

    def parameters(self) -> list[nn.Parameter]:
        """What learns: all weights, or those of an adapter."""
        return [weight for weight in self.network.parameters() if weight.requires_grad]

    def pipeline(self, network: nn.Module) -> Pipeline:
        """The teacher's pipeline with a student's network and schedule in it."""
        return replace(self.teacher, denoiser=network, scheduler=self.scheduler)

    def add_noise(self, x0: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """`x_s = α_s·x0 + σ_s·ε` `(N, C, h, w)` at timesteps `(N,)` (ADD, section 3.1)."""
        noisy: Tensor = add_noise(x0, noise, *self._noising.at(timesteps))
        return noisy

    def x0(
        self, sample: Tensor, timesteps: Tensor, conditioning: Conditioning, network: nn.Module | None = None
    ) -> Tensor:
        """The clean sample `(N, C, h, w)` that the student, or an average of it, sees in `sample` at timesteps `(N,)`."""
        output = predict(network or self.network, sample, timesteps, conditioning).float()
        x0: Tensor = to_x0(sample, output, *self._converting.at(timesteps), self.schedule.prediction_type)
        return x0

    def error(self, sample: Tensor, timesteps: Tensor, conditioning: Conditioning, target: Tensor) -> Tensor:
        """How wrong x0 is that the student sees in `sample (N, C, h, w)` at `timesteps (N,)`: a scalar.

        Mean squared error, or the cross-entropy of a network that gives logits.
        """
        output: Any = self.network(sample, timesteps, **conditioning.arrays())
        kind = self.schedule.prediction_type
        x0: Tensor = to_x0(sample, output.sample.float(), *self._converting.at(timesteps), kind)
        return architecture(self.network).error(output, x0, target).mean()

    def draw_timesteps(self, draws: Draws) -> Tensor:
        """Timesteps `(N,)` of the student, as often as the configuration says."""
        known = torch.tensor(list(self.config.timesteps), device=draws.device)
        share = torch.tensor(list(self.config.timesteps.values()), device=draws.device)
        edges = share.cumsum(0) / share.sum()
        return known[torch.bucketize(draws.uniform(), edges[:-1].contiguous(), right=True)]

    @contextmanager
    def standing_in(self, network: nn.Module) -> Iterator[None]:
        """Another network of its shape in its place, which learns nothing but has a gradient at its last layer."""
        own, last = self.network, architecture(network).last_weight()
        self.network = network
        last.requires_grad_(True)
        try:
            yield
        finally:
            self.network = own
            last.requires_grad_(False)

    def gradient_norm(self, loss: Tensor) -> float:
        """Norm of a scalar loss's gradient at the last layer that learns."""
        last = architecture(self.network).last_weight()
        last = last if last.requires_grad else self.parameters()[-1]
        (gradient,) = torch.autograd.grad(loss, last, retain_graph=True)
        return float(gradient.norm())


def _ending_in_noise(schedule: Schedule) -> Schedule:
    """The schedule that noise is added with: its last step is pure noise whatever the conversion back assumes.

    An epsilon student cannot have α = 0 in `x0 = (x − σ·ε)/α`; it sees pure noise and keeps its own table.
    """
    return replace(schedule, alpha=(*schedule.alpha[:-1], 0.0), sigma=(*schedule.sigma[:-1], 1.0))
