"""Consistency distillation in continuous time: along the guided teacher's trajectory the student's clean sample stands still.

sCM (Lu & Song, arXiv 2410.11081), as SANA-Sprint (arXiv 2503.09641) distils by it: TrigFlow with σ_d = 1, where
x_φ = cos φ·x0 + sin φ·ε, F is the velocity and f = cos φ·x_φ − sin φ·F the clean sample. A v-prediction on a schedule with
α² + σ² = 1 is that already, φ being atan2(σ, α): no network is changed. It knows nothing about pairs or games.
Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from base.errors import BadInput
from models.conditioning import Conditioning
from models.parts import predict
from models.per_sample import per_sample
from models.sampling import add_noise, to_epsilon, to_velocity, to_x0
from training.rehearsal import Rehearsal
from training.run.draws import Draws
from training.schedule_tables import Angles
from training.student.batch import Batch
from training.student.student_network import Student
from training.student.term import Term, TermConfig

_DAMPING = 0.1
"""c of the tangent's normalisation."""


class ContinuousConsistencyConfig(TermConfig):
    """Consistency distillation in continuous time (sCM)."""

    weight: float = 1.0
    """Weight of the term."""
    guidance: float = 2.0
    """The teacher's guidance."""
    mean: float = 0.0
    """Of log tan φ, which is normal: where on a trajectory the student learns; higher: nearer to pure noise."""
    deviation: float = Field(default=1.6, gt=0)
    """Standard deviation of log tan φ."""

    def rehearse(self, rehearsal: Rehearsal) -> Tensor:
        """Passes of the guided teacher, of the student with its derivative (the work of two), and one that learns: a scalar."""
        rehearsal.guided_pass()
        with torch.no_grad():
            rehearsal.student_pass()
            rehearsal.student_pass()
        return rehearsal.student_pass().square().mean()


class ContinuousConsistency(Term[ContinuousConsistencyConfig]):
    """The loss at angles that have no end in a next point: the derivative along the trajectory takes its place."""

    configuration: ClassVar[type[TermConfig]] = ContinuousConsistencyConfig

    def __init__(self, config: ContinuousConsistencyConfig, student: Student) -> None:
        """BadInput: the student predicts something else than v."""
        super().__init__(config, student)
        if (kind := student.schedule.prediction_type) != "v_prediction":
            raise BadInput(f"continuous_consistency with a student of {kind}; accepted: prediction=v_prediction")
        self.angles, self.teacher_angles = Angles(student.schedule), Angles(self.teacher.schedule)

    def loss(self, batch: Batch) -> Tensor:
        """The term, weighted, a scalar; it starts from the batch's reals and needs none of the student's samples."""
        return self.config.weight * self.consistency_loss(batch.real, batch.conditioning, batch.draws)

    def consistency_loss(self, x0: Tensor, conditioning: Conditioning, draws: Draws) -> Tensor:
        """Over images `(N, C, h, w)`: a scalar whose gradient reaches the student alone (sCM, section 4; no adaptive weight).

        Its value is the mean square of the normalised tangent, about 1 while anything is left to learn: what falls is
        `validation/distance`.
        """
        angle = self.angles.within(torch.exp(self.config.mean + self.config.deviation * draws.normal()).atan())
        cos, sin = per_sample(angle.cos()), per_sample(angle.sin())
        sample = add_noise(x0, draws.normal(*x0.shape[1:]), cos, sin)
        velocity = self.velocity(sample, angle, conditioning)
        output, slope = self.derivative(sample, velocity, angle, conditioning)
        tangent = normalised(consistency_tangent(sample, output, velocity, slope, cos, sin))
        learning = predict(self.student.network, sample, self.angles.timesteps(angle)[0], conditioning).float()
        return (learning - output - tangent).square().mean()

    @torch.no_grad()
    def velocity(self, sample: Tensor, angle: Tensor, conditioning: Conditioning) -> Tensor:
        """dx/dφ `(N, C, h, w)` of the guided teacher's trajectory through `sample` at angles `(N,)`.

        A teacher whose schedule ends before pure noise is asked at its last timestep there.
        """
        angle = self.teacher_angles.within(angle)
        timesteps, _ = self.teacher_angles.timesteps(angle)
        cos, sin, kind = per_sample(angle.cos()), per_sample(angle.sin()), self.teacher.schedule.prediction_type
        output = self.teacher.denoise(conditioning, self.config.guidance)(sample, timesteps).float()
        if kind == "v_prediction":
            return output
        x0, noise = to_x0(sample, output, cos, sin, kind), to_epsilon(sample, output, cos, sin, kind)
        velocity: Tensor = to_velocity(x0, noise, cos, sin)
        return velocity

    @torch.no_grad()
    def derivative(
        self, sample: Tensor, velocity: Tensor, angle: Tensor, conditioning: Conditioning
    ) -> tuple[Tensor, Tensor]:
        """F and dF/dφ, each `(N, C, h, w)`, at angles `(N,)`, along the trajectory that goes on with `velocity`.

        By forward differentiation, one pass (sCM, section 4); attention in plain products, which has one.
        """
        timesteps, rate = self.angles.timesteps(angle)
        with forward_ad.dual_level(), sdpa_kernel(SDPBackend.MATH):
            moving, clock = forward_ad.make_dual(sample, velocity), forward_ad.make_dual(timesteps, rate)
            output, slope = forward_ad.unpack_dual(predict(self.student.network, moving, clock, conditioning))
            assert slope is not None
            return output.float(), slope.float()


def consistency_tangent(
    sample: Tensor, output: Tensor, velocity: Tensor, slope: Tensor, cos: Tensor, sin: Tensor
) -> Tensor:
    """cos φ·df/dφ of f = cos φ·x − sin φ·F, from F and dF/dφ, x and dx/dφ, all `(N, C, h, w)`."""
    return -cos * cos * (output - velocity) - cos * sin * (sample + slope)


def normalised(tangent: Tensor) -> Tensor:
    """g / (‖g‖ + 0.1) of every sample `(N, C, h, w)`, ‖·‖ its root mean square (sCM, section 4)."""
    return tangent / (tangent.square().mean(dim=(1, 2, 3), keepdim=True).sqrt() + _DAMPING)


TERM = ContinuousConsistency
