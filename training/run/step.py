"""One phase of one step: gradients of its weights, from every part and every process, then its optimizer; it knows no loss.

Shapes: none of its own; a phase's loss takes the indices of its samples and gives scalars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from base.errors import BadInput
from training.run.device import average
from training.run.draws import Draws
from training.run.loop_config import LoopConfig
from training.run.method import Phase
from training.run.optimizer import rate_factor
from training.run.sharding import full, is_shared
from training.run.state import State

NOT_FINITE = 10
"""Steps in a row without a finite gradient that end a run."""


@dataclass(frozen=True)
class Step:
    """What a phase needs of the run it is part of."""

    config: LoopConfig
    state: State
    accelerator: Accelerator
    indices: Sequence[int]
    """The batch `(B,)`: indices of training samples, those of all processes."""

    def run(self, number: int) -> dict[str, float]:
        """Phase `number` of the run: gradients, clip, rate, optimizer; returns its figures, named `phase/loss`.

        A gradient that is not finite moves nothing and is counted. BadInput: that happens ten times in a row.
        """
        phase, optimizer = self.state.phases[number]
        losses = self._gradients(phase, number)
        self.state.scaler.unscale_(optimizer)
        norm = full(nn.utils.clip_grad_norm_(phase.parameters, phase.optimizer.clip))
        figures = {f"{phase.name}/{name}": float(loss) for name, loss in losses.items()}
        if not bool(torch.isfinite(norm)):
            self._skip(phase)
            return figures | {"skipped": self.state.skipped}

        self.state.lost[phase.name] = 0
        stop = self.state.steps if phase.stop is None else min(phase.stop, self.state.steps)
        factor = rate_factor(phase.optimizer, self.state.step - phase.start, stop - phase.start)
        optimizer.param_groups[0]["lr"] = phase.optimizer.rate * factor
        optimizer.step()
        return figures | {f"{phase.name}/gradient": float(norm)}

    def _gradients(self, phase: Phase, number: int) -> dict[str, Tensor]:
        """Fill in the gradients of the phase's weights; returns its mean losses, without gradient."""
        config, accelerator, means = self.config, self.accelerator, dict[str, Tensor]()
        own = range(accelerator.process_index, config.batch, accelerator.num_processes)
        for parameter in phase.parameters:
            parameter.grad = None
        for part in (own[first :: config.accumulate] for first in range(config.accumulate)):
            # Random numbers belong to (seed, step, sample), so one process or eight draw the same.
            draws = Draws.at(config.seed, self.state.step, part, accelerator.device, number)
            with accelerator.autocast():
                losses = phase.loss([self.indices[position] for position in part], draws)
            self._backward(phase, self.state.scaler.scale(losses["total"] / config.accumulate))
            for name, loss in losses.items():
                means[name] = means.get(name, 0) + loss.detach() / config.accumulate
        if accelerator.num_processes > 1:
            if not is_shared(phase.parameters):
                average([parameter.grad for parameter in phase.parameters if parameter.grad is not None], accelerator)
            means = {name: accelerator.reduce(loss, "mean") for name, loss in means.items()}
        return means

    def _backward(self, phase: Phase, total: Tensor) -> None:
        """Add to the gradients of the phase's own weights alone: the discriminator gets none from the generator's loss.

        Weights that are shared out are whole ones in a graph, so that a backward cannot be limited to some of them: there
        the gradients of other phases' weights, which come averaged over processes as all do, are dropped after it.
        """
        shared = is_shared(phase.parameters)
        total.backward(inputs=None if shared else list(phase.parameters))  # type: ignore[no-untyped-call]
        if shared:
            own = {id(parameter) for parameter in phase.parameters}
            for other, _ in self.state.phases:
                for parameter in other.parameters:
                    if id(parameter) not in own:
                        parameter.grad = None

    def _skip(self, phase: Phase) -> None:
        state = self.state
        state.skipped, state.lost[phase.name] = state.skipped + 1, state.lost.get(phase.name, 0) + 1
        if state.lost[phase.name] == NOT_FINITE:
            raise BadInput(
                f"{NOT_FINITE} steps in a row up to {state.step + 1} without a finite gradient ({phase.name}): lower "
                "its optimizer's rate, look at the last samples, or set loop.precision=no; the last checkpoint is kept"
            )
