"""Healing of a reduced student: it denoises the data again, and follows its teacher's outputs and inner maps.

BK-SDM's distillation-based retraining (arXiv 2305.15798, section 3.2). It knows nothing about what the student learns next.
Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from base.errors import BadInput
from models.architecture import architecture
from models.conditioning import Conditioning
from models.parts import predict
from models.sampling import add_noise
from training.denoising_loss import target
from training.lora import OWN_NETWORK
from training.run.draws import Draws
from training.run.method import Losses
from training.run.optimizer import OptimizerConfig
from training.student.batch import Batch
from training.student.student_network import Student
from training.student.term import Term, TermConfig, TermPhase

if TYPE_CHECKING:
    from training.student.student_config import StudentConfig


class HealingConfig(TermConfig):
    """Healing of a reduced student before the warm-up: `task·L_task + output·L_outKD + features·L_featKD`."""

    steps: int = Field(ge=1)
    """How many."""
    optimizer: OptimizerConfig
    """The student's meanwhile; the paper's rate is 5e-5, constant."""
    task: float = 1.0
    """Weight of the denoising loss on the data."""
    output: float = 1.0
    """Weight of the squared distance of the student's output from the teacher's."""
    features: float = 1.0
    """Weight of that of the maps at the end of every stage that both have; 0 where `reduce` changes their widths."""

    def refuse(self, student: StudentConfig) -> None:
        """ValueError: an adapter's base is whole."""
        if student.lora:
            raise ValueError(OWN_NETWORK)

    def steps_before(self) -> int:
        """`steps`."""
        return self.steps

    def teaches(self) -> bool:
        """It has a phase alone."""
        return False


class Healing(Term[HealingConfig]):
    """The student's own denoising, beside its teacher's, in the teacher's prediction type."""

    configuration: ClassVar[type[TermConfig]] = HealingConfig

    def __init__(self, config: HealingConfig, student: Student) -> None:
        """BadInput: maps of other widths are to be compared."""
        super().__init__(config, student)
        self.tables = student.tables
        self.student_inside, self.teacher_inside = architecture(student.network), architecture(self.teacher.denoiser)
        ours, theirs = list(self.student_inside.widths), list(self.teacher_inside.widths)
        if config.features and ours != theirs[: len(ours)]:
            raise BadInput(
                f"healing.features compares maps of one width, and the student's are {ours} where the teacher's are {theirs}: "
                "set healing.features=0, or reduce without block_out_channels"
            )

    def phases(self, begin: int) -> Sequence[TermPhase]:
        """The run's first steps."""
        config = self.config
        return [TermPhase("healing", self.student.parameters(), config.optimizer, self.healing_step, stop=config.steps)]

    def healing_step(self, batch: Batch) -> Losses:
        """The loss on the images of the batch."""
        conditioning = batch.image_conditioning
        return self.healing_loss(batch.images, conditioning, batch.draws)

    def healing_loss(self, x0: Tensor, conditioning: Conditioning, draws: Draws) -> Losses:
        """The terms on data `(N, C, h, w)` noised to uniform timesteps; no gradient reaches the teacher."""
        timesteps, noise = draws.integers(len(self.tables)), draws.normal(*x0.shape[1:])
        alpha, sigma = self.tables.at(timesteps)
        noisy = add_noise(x0, noise, alpha, sigma)
        with torch.no_grad(), self.teacher_inside.stage_maps() as theirs:
            teacher_output = predict(self.teacher.denoiser, noisy, timesteps, conditioning).float()
        with self.student_inside.stage_maps() as ours:
            output = predict(self.student.network, noisy, timesteps, conditioning).float()
        expected = target(self.teacher.schedule.prediction_type, x0, noise, alpha, sigma)
        terms = {
            "task": self.config.task * functional.mse_loss(output, expected),
            "output": self.config.output * functional.mse_loss(output, teacher_output),
        }
        if self.config.features:
            terms["features"] = self.config.features * _distance(ours, theirs)
        return {"total": torch.stack(list(terms.values())).sum(), **terms}


def _distance(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> Tensor:
    """Squared distances of the stages that both have, summed; the outermost ones are those that stay."""
    both = ours.keys() & theirs.keys()
    return torch.stack([functional.mse_loss(ours[name].float(), theirs[name].float()) for name in sorted(both)]).sum()


TERM = Healing
