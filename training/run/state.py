"""The state of a run, as its checkpoints hold it: weights, averages, optimizers, and how far it is.

What a network never learns is left out; it comes from the base again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from base.errors import BadInput
from training.run import checkpoint, sharding
from training.run.device import any_process
from training.run.ema import Ema
from training.run.method import Phase


@dataclass
class State:
    """Everything that a checkpoint holds."""

    phases: list[tuple[Phase, torch.optim.Optimizer]]
    averages: dict[str, Ema]
    modules: Mapping[str, nn.Module]
    steps: int  # of the whole run
    scaler: torch.amp.GradScaler
    step: int = 0
    best: float = math.inf
    best_step: int = 0
    seconds: float = 0.0
    skipped: int = 0
    lost: dict[str, int] = field(default_factory=dict)  # phase → steps in a row without a finite gradient

    def due(self, here: bool, accelerator: Accelerator) -> bool:
        """Whether this process has a part in writing a checkpoint now: the main one, and all where weights are shared out.

        `here`: whether its own clock says so; the main one's counts.
        """
        main = accelerator.is_main_process
        return any_process(main and here, accelerator) if sharding.processes() > 1 else main and here

    def write(self, run: Path, main: bool = True) -> None:
        """As the newest checkpoint of `run`; older ones go. Only the main process writes; all gather what is shared out."""
        tensors: dict[str, Tensor] = {}
        for name, module in self.modules.items():
            tensors |= {f"module.{name}.{key}": value for key, value in _learnt(module, module).items()}
        for name, ema in self.averages.items():
            tensors |= {f"ema.{name}.{key}": value for key, value in _learnt(ema.module, ema.source).items()}
        for phase, optimizer in self.phases:
            tensors |= checkpoint.optimizer_state(optimizer, f"optimizer.{phase.name}")
        tensors = sharding.gathered(tensors, main)
        if not main:
            return
        facts: dict[str, Any] = {"step": self.step, "steps": self.steps, "best": self.best, "best_step": self.best_step}
        facts |= {"seconds": self.seconds, "skipped": self.skipped, "scaler": self.scaler.state_dict()}
        folder = checkpoint.at(run, self.step)
        checkpoint.write(folder, tensors, facts)
        checkpoint.drop_older(run, folder)

    def verdict(self, score: str, on: str, last: float | None) -> str:
        """Which model is the run's and why, for a person: what the score is, what it is taken on, and that of the last step."""
        if math.isinf(self.best):
            return f"the model is that of the last step, {self.step}: {score} was never a number"
        best = f"best at step {self.best_step} of {self.step}, because {score} is lowest there: {self.best:.4g} on {on}"
        if self.best_step == self.step or last is None:
            return best
        return f"{best}; at the end it is {last:.4g}. loop.last=true writes the last model too, --take last uses it"

    def averaged(self, main: bool = True) -> dict[str, nn.Module]:
        """The averages as networks, by name, whole on the main process; all gather what is shared out."""
        return {name: sharding.whole(ema.module, main) for name, ema in self.averages.items()}

    def read(self, run: Path) -> None:
        """From the newest checkpoint of `run`, if there is one. BadInput: of another configuration."""
        folder = checkpoint.newest(run)
        if folder is None:
            return
        tensors, facts = checkpoint.read(folder)
        for name, module in self.modules.items():
            _restore(module, f"module.{name}.", tensors, folder, module)
        for name, ema in self.averages.items():
            _restore(ema.module, f"ema.{name}.", tensors, folder, ema.source)
        for phase, optimizer in self.phases:
            checkpoint.restore_optimizer(optimizer, f"optimizer.{phase.name}", tensors)
        self.step, self.best = int(facts["step"]), float(facts["best"])
        self.best_step = int(facts.get("best_step", 0))
        self.seconds, self.skipped = float(facts["seconds"]), int(facts["skipped"])
        if scale := facts.get("scaler"):  # a few numbers, of a run in fp16
            self.scaler.load_state_dict(scale)


def _learnt(module: nn.Module, source: nn.Module) -> dict[str, Tensor]:
    """The state of `module` without what `source` never learns: that comes from the base again."""
    frozen = {name for name, weight in source.named_parameters() if not weight.requires_grad}
    return {name: value for name, value in module.state_dict().items() if name not in frozen}


def _restore(module: nn.Module, prefix: str, tensors: Mapping[str, Tensor], folder: Path, source: nn.Module) -> None:
    weights = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    try:
        if lacking := _learnt(module, source).keys() - weights.keys():
            raise RuntimeError(f"no {min(lacking)}")
        own = module.state_dict()
        parts = {name: sharding.alike(value, own.get(name, value)) for name, value in weights.items()}
        module.load_state_dict({**own, **parts})
    except RuntimeError as error:
        raise BadInput(f"{folder} belongs to another configuration; choose another run name or delete it") from error
