"""Consistency distillation: all points of a trajectory of the guided teacher lead the student to the same clean sample.

Latent consistency models (LCM, arXiv 2310.04378), after consistency models (CM, arXiv 2303.01469). With f the consistency
function, θ⁻ = stop-gradient(θ), and Ψ one DDIM step of the guided teacher from t_{n+k} to t_n, the loss is (LCM, section
4.3; CM, equation 7)

    E ‖ f_θ(x_{t_{n+k}}, t_{n+k}) − f_θ⁻(Ψ(x_{t_{n+k}}, t_{n+k}, t_n), t_n) ‖²  /  (C·h·w)

It knows nothing about pairs or games. Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from base.errors import BadInput
from models.conditioning import Conditioning
from models.per_sample import per_sample
from models.sampling import add_noise, to_epsilon, to_x0
from training.rehearsal import Rehearsal
from training.run.draws import Draws
from training.student.batch import Batch
from training.student.student_network import Student
from training.student.term import Term, TermConfig

_SIGMA_DATA, _SCALING = 0.5, 10.0
"""Of c_skip and c_out, as LCM and diffusers' `LCMScheduler` have them."""


class ConsistencyConfig(TermConfig):
    """Consistency distillation."""

    weight: float = 1.0
    """Weight of the term."""
    steps: int = Field(default=8, ge=2, le=250)
    """Points of a trajectory, from pure noise down, 1000 / `steps` timesteps (k) apart: a step of the teacher each."""
    guidance: float = Field(default=2.0, ge=0)
    """The teacher's guidance, 1 + ω in the paper."""

    def rehearse(self, rehearsal: Rehearsal) -> Tensor:
        """A pass of the student, one of the guided teacher and one for the target, as a scalar."""
        rehearsal.guided_pass()
        with torch.no_grad():
            rehearsal.student_pass()
        return rehearsal.student_pass().square().mean()


class Consistency(Term[ConsistencyConfig]):
    """The loss over trajectories that start at noised images.

    The points are those that DDIM walks over in `steps` steps, `trailing`: the first is the last timestep, pure noise, where a
    student of one step is used, and the last step ends at the clean sample, which is time 0. The target needs no moving
    average: one that lags only slows the way that the clean end's information takes up to pure noise, point by point.
    """

    configuration: ClassVar[type[TermConfig]] = ConsistencyConfig

    def __init__(self, config: ConsistencyConfig, student: Student) -> None:
        """BadInput: a timestep of the student is no point of the trajectories, so nothing would teach it."""
        super().__init__(config, student)
        points = self.teacher.schedule.trailing(config.steps)
        if lacking := sorted(set(student.config.timesteps) - set(points)):
            raise BadInput(
                f"consistency.steps={config.steps} has no point at the student's timestep {lacking[0]}: "
                "take a multiple of 4 for its timesteps 999, 749, 499 and 249"
            )
        self.points = torch.tensor([*points, 0])

    def loss(self, batch: Batch) -> Tensor:
        """The term, weighted, a scalar; it starts from the batch's reals and needs none of the student's samples."""
        return self.config.weight * self.consistency_loss(batch.real, batch.conditioning, batch.draws)

    def consistency_loss(self, x0: Tensor, conditioning: Conditioning, draws: Draws) -> Tensor:
        """Over images `(N, C, h, w)`, each at a uniform point: a scalar whose gradient reaches the student alone."""
        index = draws.integers(len(self.points) - 1)
        points = self.points.to(index.device)
        start, end = points[index], points[index + 1]
        noisy = self.student.add_noise(x0, draws.normal(*x0.shape[1:]), start)
        with torch.no_grad():
            target = self.consistency(self.teacher_step(noisy, start, end, conditioning), end, conditioning)
        return (self.consistency(noisy, start, conditioning) - target).square().mean()

    def consistency(self, sample: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """f(x, t) = c_skip(t)·x + c_out(t)·x̂0 `(N, C, h, w)` (CM, equation 5; LCM, section 4.1): f(x, 0) = x exactly.

        From a timestep of 50 on c_skip is below 1e-6: there f is x̂0 itself, as the student is used.
        """
        time = _SCALING * per_sample(timesteps).float()
        skip = _SIGMA_DATA**2 / (time**2 + _SIGMA_DATA**2)
        out = time / (time**2 + _SIGMA_DATA**2).sqrt()
        return skip * sample + out * self.student.x0(sample, timesteps, conditioning)

    @torch.no_grad()
    def teacher_step(self, sample: Tensor, start: Tensor, end: Tensor, conditioning: Conditioning) -> Tensor:
        """Ψ: one DDIM step of the guided teacher (LCM, section 4.2) between timesteps `(N,)`; time 0 is the clean sample."""
        alpha, sigma = self.student.tables.at(start)
        prediction = self.teacher.schedule.prediction_type
        output = self.teacher.denoise(conditioning, self.config.guidance)(sample, start).float()
        x0 = to_x0(sample, output, alpha, sigma, prediction)
        epsilon = to_epsilon(sample, output, alpha, sigma, prediction)
        return torch.where(per_sample(end == 0), x0, add_noise(x0, epsilon, *self.student.tables.at(end)))


TERM = Consistency
