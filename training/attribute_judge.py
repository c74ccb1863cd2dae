"""Train the judge of a set with attributes: one answer a slot in place of one label; it knows nothing about generators.

Shapes: `N` batch, `H W` pixels, `K` uniform draws an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from base.errors import BadInput
from base.runs import data_folder
from data.attributed import SLOTS, read_slots
from data.imagefolder import ImageFolder
from metrics import attribute_accuracy as attributes
from metrics import judge_network as judges
from metrics.judge_network import DRAWS, Judge, augment
from models.pixel_tensors import from_uint8
from training import balance
from training.judge import SCORED, JudgeMethod, JudgeTraining
from training.run.draws import Draws
from training.run.method import Losses
from training.scored import scored


class AttributeJudgeTraining(JudgeTraining):
    """`ippo train attribute-judge`."""

    attributes: str = "attributes"
    """Column of the attributes; which exclude each other stands in the set's `slots.json`."""


class AttributeJudgeMethod(JudgeMethod):
    """Classification slot by slot; shifted and recoloured, but neither turned nor cut out: an earring is two pixels."""

    def __init__(self, config: AttributeJudgeTraining) -> None:
        self.config: AttributeJudgeTraining = config
        source = data_folder(config.data)
        self.train_images, self.held_out = (
            ImageFolder(source, split).of_one_size() for split in ("train", "validation")
        )
        slots = _slots(Path(source))
        self.labels, self.held_out_labels = (
            attributes.slot_indices(images.lists(config.attributes), slots)
            for images in (self.train_images, self.held_out)
        )
        self.judge = attributes.open_judge(slots)
        self.modules: Mapping[str, nn.Module] = {"judge": self.judge}
        self.size = len(self.train_images)
        train, held_out = (images.column(config.attributes) for images in (self.train_images, self.held_out))
        self.scored = scored(train, held_out, SCORED)
        self.scored_on = self.scored.said
        names = [
            [(slot, index) for slot, index in enumerate(row) if index < len(slots[slot])]
            for row in self.labels.tolist()
        ]
        self.shares = balance.shares(names, 1 if config.loop.balance is None else config.loop.balance)

    def classify(self, indices: list[int], draws: Draws) -> Losses:
        """Cross-entropy on augmented images, the mean over the slots."""
        images = from_uint8(self.train_images.images(indices)).to(draws.device)
        augmented = augment(images, _upright(draws.uniform(DRAWS)))
        return {"total": attributes.attribute_loss(self.judge, augmented, self.labels[indices].to(draws.device))}

    def validate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """Share of the attributes that it sees, its mean over their names, and of whole images read without a mistake."""
        judge, (images, shown, labels) = cast(Judge, averages["judge"]), self._scored
        seen = attributes.sightings(judge, images, shown)
        whole = (attributes.read(judge, images) == labels).all(axis=1).mean()
        return {"score": -seen.share, "accuracy": seen.share, "mean over names": seen.mean, "whole": float(whole)}

    def closing(self, model: Path) -> Sequence[str]:
        """The attributes that it does not see in real images, and those that no such image shows."""
        judge, (images, shown, _) = judges.load(model), self._scored
        seen = attributes.sightings(judge, images, shown)
        absent = [name for slot in judge.config.slots for name in slot if name not in seen.counts]
        unknown = f"no image that it is scored on shows {', '.join(absent)}: nobody knows whether it sees them"
        return [*seen.lines(), unknown] if absent else seen.lines()

    @cached_property
    def _scored(self) -> tuple[NDArray[np.uint8], list[Sequence[str]], NDArray[np.int64]]:
        """Images `(N, H, W, 3)` that it is scored on, what each shows, and that as `(N, T)`."""
        parts = ((self.held_out, self.scored.held_out), (self.train_images, self.scored.train))
        columns = [(images.column(self.config.attributes), some) for images, some in parts]
        pixels = np.concatenate([images.images(some) for images, some in parts])
        labels = torch.cat([self.held_out_labels[self.scored.held_out], self.labels[self.scored.train]])
        return pixels, [column[row] for column, some in columns for row in some], labels.numpy()


def _upright(draws: Tensor) -> Tensor:
    """Draws `(N, K)` of `augment`, changed so that nothing is turned, zoomed or cut out."""
    draws[:, :2], draws[:, 11] = 0.5, 1.0
    return draws


def _slots(folder: Path) -> list[list[str]]:
    """What excludes each other. BadInput: nothing says it."""
    if not (slots := read_slots(folder)):
        raise BadInput(f"{folder} holds no {SLOTS}: give a set with attributes, such as `ippo data avatars` makes")
    return list(slots.values())


CONFIG, METHOD = AttributeJudgeTraining, AttributeJudgeMethod
