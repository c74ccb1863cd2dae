"""What a training method is to the loop: phases with their losses, figures, a picture, a folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from training.run.batches import Groups
from training.run.draws import Draws, Shares
from training.run.optimizer import OptimizerConfig

Losses = Mapping[str, Tensor]
"""`total` is backpropagated; everything is logged."""


@dataclass
class Phase:
    """One optimizer's part of a step: which weights it moves, by which loss, and when."""

    name: str
    parameters: Sequence[nn.Parameter]
    optimizer: OptimizerConfig
    loss: Callable[[list[int], Draws], Losses]
    start: int = 0
    stop: int | None = None

    def active(self, step: int) -> bool:
        """Whether the phase runs at `step`."""
        return step >= self.start and (self.stop is None or step < self.stop)


class Method(ABC):
    """What a training method gives the loop; its constructor is cheap, and opens networks and data sets only."""

    modules: Mapping[str, nn.Module]
    """What is trained and saved."""
    averaged: Sequence[str]
    """The names in `modules` that get a moving average."""
    size: int
    """Number of training samples."""
    shares: Shares = None
    """How often each of them is drawn."""
    groups: Groups = None
    """Which of them may share a batch."""

    shares_out: ClassVar[bool] = False
    """Whether its averaged networks can be shared out among processes: they are called as a whole, no part alone."""
    score_name: ClassVar[str] = "the score"
    """What `score` is, for a person."""
    scored_on: str = "held-out samples"
    """What it is taken on, for a person."""

    def prepare(self) -> None:
        """Compute what training reads and is kept for later runs (latents, a teacher's samples); before the first phase."""
        return

    @abstractmethod
    def phases(self, steps: int) -> Sequence[Phase]:
        """The phases of a run of `steps` steps, in order within a step."""

    @abstractmethod
    def validate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """Figures on held-out data with the averaged weights; `score` (lower is better) chooses the best."""

    def notes(self) -> Sequence[str]:
        """What should be known before the first step, a line each."""
        return ()

    def closing(self, model: Path) -> Sequence[str]:
        """What should be known of the model that was kept, in the folder `model`, a line each."""
        return ()

    def test(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """Figures on the test split once all is done; none where the method has no such figures."""
        return {}

    @abstractmethod
    def samples(self, averages: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """A picture `(H, W, 3)` that shows how far training is."""

    @abstractmethod
    def save(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        """Write the trained model as `folder`, atomically."""
