"""Train the judge of a data set: the network that gives every figure, never used in any other training.

Shapes: `N` batch, `H W` pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from base.config import Config
from base.files import atomic_folder
from base.runs import data_folder
from data.imagefolder import ImageFolder
from metrics import judge_network as judges
from metrics.judge_network import DRAWS, Judge, JudgeConfig, augment, judge_loss
from metrics.sightings import Sightings
from models.pixel_tensors import from_uint8, to_uint8
from training import balance
from training.run.draws import Draws
from training.run.loop_config import LoopConfig
from training.run.method import Losses, Method, Phase
from training.run.optimizer import OptimizerConfig
from training.scored import scored
from training.subsets import evenly

SCORED = 1000
"""Images that a score is taken of, at most."""


class JudgeTraining(Config):
    """`ippo train judge`."""

    run: str
    """Name of the run."""
    data: str
    """Folder or name of the image set; it needs a `label` column."""
    label: str = "label"
    """Column of the labels, whole numbers from 0."""
    loop: LoopConfig
    optimizer: OptimizerConfig


class JudgeMethod(Method):
    """Classification of the real training split, with neither blur nor noise among the augmentations."""

    score_name = "the negated accuracy"
    averaged: Sequence[str] = ("judge",)

    def __init__(self, config: JudgeTraining) -> None:
        self.config = config
        self.train_images = ImageFolder(data_folder(config.data), "train").of_one_size()
        self.held_out = ImageFolder(data_folder(config.data), "validation").of_one_size()
        self.labels, self.held_out_labels = (
            torch.tensor(images.labels(config.label)) for images in (self.train_images, self.held_out)
        )
        self.judge = Judge(JudgeConfig(labels=int(self.labels.max()) + 1))
        self.modules: Mapping[str, nn.Module] = {"judge": self.judge}
        self.size = len(self.train_images)
        self.scored = scored(self.labels.tolist(), self.held_out_labels.tolist(), SCORED)
        self.shares = balance.shares([[label] for label in self.labels.tolist()], config.loop.balance or 0)
        self.scored_on = self.scored.said

    def phases(self, steps: int) -> Sequence[Phase]:
        """One phase: classification."""
        return [Phase("judge", list(self.judge.parameters()), self.config.optimizer, self.classify)]

    def classify(self, indices: list[int], draws: Draws) -> Losses:
        """Cross-entropy on augmented images `(N, 3, H, W)`."""
        images = from_uint8(self.train_images.images(indices)).to(draws.device)
        augmented = augment(images, draws.uniform(DRAWS))
        return {"total": judge_loss(self.judge, augmented, self.labels[indices].to(draws.device))}

    def validate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """Accuracy on held-out images of labels that training has, or on augmented training images instead."""
        seen = self._sightings(cast(Judge, averages["judge"]))
        return {"score": -seen.share, "accuracy": seen.share, "mean over names": seen.mean}

    def closing(self, model: Path) -> Sequence[str]:
        """The labels that it does not see in real images."""
        return self._sightings(judges.load(model)).lines()

    @torch.no_grad()
    def _sightings(self, judge: Judge) -> Sightings:
        """How often it recognises each label where it is scored."""
        rows = self.scored
        labels = torch.cat([self.held_out_labels[rows.held_out], self.labels[rows.train]])
        instead = from_uint8(self.train_images.images(rows.train))
        draws = Draws.at(1, 0, range(len(rows.train)), torch.device("cpu"))
        augmented = augment(instead, draws.uniform(DRAWS)) if rows.train else instead
        images = torch.cat([from_uint8(self.held_out.images(rows.held_out)), augmented])
        device = next(judge.parameters()).device
        guesses = torch.cat([judge(batch.to(device)).argmax(dim=1).cpu() for batch in images.split(100)])  # (N,)
        hits = Counter(str(label) for label in labels[guesses == labels].tolist())
        counts = Counter(map(str, labels.tolist()))
        return Sightings(dict(counts), {name: hits[name] for name in counts})

    def samples(self, averages: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Sixteen augmented training images side by side, `(H, 16·W, 3)`."""
        shown = evenly(self.size, 16)
        draws = Draws.at(0, 0, range(len(shown)), torch.device("cpu"))
        images = augment(from_uint8(self.train_images.images(shown)), draws.uniform(DRAWS))
        return np.concatenate(list(to_uint8(images)), axis=1)

    def save(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        """`judge.safetensors` and `config.json`."""
        with atomic_folder(folder) as hidden:
            judges.save(cast(Judge, averages["judge"]), hidden)


CONFIG, METHOD = JudgeTraining, JudgeMethod
