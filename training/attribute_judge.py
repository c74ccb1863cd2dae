"""Train the judge of a set with attributes: one answer a slot in place of one label; it knows nothing about generators.

Shapes: `N` batch, `H W` pixels, `K` uniform draws an image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from torch import Tensor, nn

from base.errors import BadInput
from base.runs import data_folder
from data.attributed import SLOTS
from data.imagefolder import ImageFolder
from metrics import attribute_accuracy as attributes
from metrics.judge_network import DRAWS, Judge, augment
from models.pixel_tensors import from_uint8
from training.judge import JudgeMethod, JudgeTraining
from training.run.draws import Draws
from training.run.method import Losses


class AttributeJudgeTraining(JudgeTraining):
    """`ippo train attribute-judge`."""

    attributes: str = "attributes"
    """Column of the attributes; which exclude each other stands in the set's `slots.json`."""


class AttributeJudgeMethod(JudgeMethod):
    """Classification slot by slot; shifted and recoloured, but neither turned nor cut out: an earring is two pixels."""

    def __init__(self, config: AttributeJudgeTraining) -> None:
        self.config: AttributeJudgeTraining = config
        source = data_folder(config.data)
        self.train_images, self.held_out = (ImageFolder(source, split) for split in ("train", "validation"))
        slots = _slots(Path(source))
        self.labels, self.held_out_labels = (
            attributes.slot_indices(images.column(config.attributes), slots)
            for images in (self.train_images, self.held_out)
        )
        self.judge = attributes.open_judge(slots)
        self.modules: Mapping[str, nn.Module] = {"judge": self.judge}
        self.size = len(self.train_images)

    def classify(self, indices: list[int], draws: Draws) -> Losses:
        """Cross-entropy on augmented images, the mean over the slots."""
        images = from_uint8(self.train_images.images(indices)).to(draws.device)
        augmented = augment(images, _upright(draws.uniform(DRAWS)))
        return {"total": attributes.attribute_loss(self.judge, augmented, self.labels[indices].to(draws.device))}

    def validate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """Share of the attributes of held-out images that it sees, and of whole images read without a mistake."""
        judge = cast(Judge, averages["judge"])
        shown = self.held_out.column(self.config.attributes)[:1000]
        images = self.held_out.images(list(range(len(shown))))  # (N, H, W, 3)
        share, _ = attributes.accuracy(judge, images, shown)
        whole = (attributes.read(judge, images) == self.held_out_labels[: len(shown)].numpy()).all(axis=1).mean()
        return {"score": -share, "accuracy": share, "whole": float(whole)}


def _upright(draws: Tensor) -> Tensor:
    """Draws `(N, K)` of `augment`, changed so that nothing is turned, zoomed or cut out."""
    draws[:, :2], draws[:, 11] = 0.5, 1.0
    return draws


def _slots(folder: Path) -> list[list[str]]:
    try:
        content = json.loads((folder / SLOTS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(
            f"{folder} holds no {SLOTS}: give a set with attributes, such as `ippo data avatars` makes"
        ) from None
    return list(content.values())


CONFIG, METHOD = AttributeJudgeTraining, AttributeJudgeMethod
