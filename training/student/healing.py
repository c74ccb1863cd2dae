"""Healing of a reduced student: it denoises the data again, and follows its teacher's outputs and inner maps.

BK-SDM's distillation-based retraining (arXiv 2305.15798, section 3.2). It knows nothing about what the student learns next.
Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from base.config import Config
from base.errors import BadInput
from models.architecture import architecture
from models.conditioning import Conditioning
from models.pipeline import Pipeline, predict
from models.sampling import add_noise, to_velocity
from training.run.draws import Draws
from training.run.method import Losses
from training.run.optimizer import OptimizerConfig
from training.schedule_tables import Tables


class HealingConfig(Config):
    """Steps before the warm-up, in the teacher's own prediction: `task·L_task + output·L_outKD + features·L_featKD`."""

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


class Healing:
    """The three terms, for one teacher and one student."""

    def __init__(self, config: HealingConfig, teacher: Pipeline, student: nn.Module, tables: Tables) -> None:
        """BadInput: maps of other widths are to be compared."""
        self.config, self.teacher, self.student, self.tables = config, teacher, student, tables
        self.inside, self.teachers = architecture(student), architecture(teacher.denoiser)
        ours, theirs = list(self.inside.widths), list(self.teachers.widths)
        if config.features and ours != theirs[: len(ours)]:
            raise BadInput(
                f"healing.features compares maps of one width, and the student's are {ours} where the teacher's are {theirs}: "
                "set healing.features=0, or reduce without block_out_channels"
            )

    def __call__(self, x0: Tensor, conditioning: Conditioning, draws: Draws) -> Losses:
        """The terms on noised data `(N, C, h, w)` at uniform timesteps; no gradient reaches the teacher."""
        timesteps, noise = draws.integers(len(self.tables)), draws.normal(*x0.shape[1:])
        alpha, sigma = self.tables.at(timesteps)
        noisy = add_noise(x0, noise, alpha, sigma)
        with torch.no_grad(), self.teachers.stage_maps() as theirs:
            wanted = predict(self.teacher.denoiser, noisy, timesteps, conditioning).float()
        with self.inside.stage_maps() as ours:
            output = predict(self.student, noisy, timesteps, conditioning).float()
        targets = {"epsilon": noise, "sample": x0, "v_prediction": to_velocity(x0, noise, alpha, sigma)}
        target = targets[self.teacher.schedule.prediction_type]
        terms = {
            "task": self.config.task * functional.mse_loss(output, target),
            "output": self.config.output * functional.mse_loss(output, wanted),
        }
        if self.config.features:
            terms["features"] = self.config.features * _distance(ours, theirs)
        return {"total": torch.stack(list(terms.values())).sum(), **terms}


def _distance(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> Tensor:
    """Squared distances of the stages that both have, summed; the outermost ones are those that stay."""
    both = ours.keys() & theirs.keys()
    return torch.stack([functional.mse_loss(ours[name].float(), theirs[name].float()) for name in sorted(both)]).sum()
