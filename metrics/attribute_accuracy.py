"""Attributes as a judge reads them off images: one answer a slot, nothing among them; it knows no generator.

Such a judge is `metrics.judge_network.Judge` whose labels are the attributes of the first slot, nothing in it, those of the
second, and so on. Shapes: `N` images, `H W` pixels, `T` slots.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from metrics import features
from metrics.features import Images
from metrics.judge_network import Judge, JudgeConfig
from metrics.sightings import Sightings

Slots = Sequence[Sequence[str]]
"""The attributes of each slot, which exclude each other."""


def open_judge(slots: Slots) -> Judge:
    """An untrained judge of these attributes."""
    names = tuple(tuple(slot) for slot in slots)
    return Judge(JudgeConfig(labels=sum(len(slot) + 1 for slot in names), slots=names))


def slot_indices(rows: Sequence[Sequence[str]], slots: Slots) -> Tensor:
    """The attributes that N images show → `(N, T)`: the attribute's index in each slot, the slot's length for nothing."""
    indices = [[next((slot.index(name) for name in row if name in slot), len(slot)) for slot in slots] for row in rows]
    return torch.tensor(indices, dtype=torch.int64)


def attribute_loss(judge: Judge, images: Tensor, targets: Tensor, smoothing: float = 0.1) -> Tensor:
    """Cross-entropy of images `(N, 3, H, W)` against `slot_indices` `(N, T)`, the mean over the slots."""
    answers = _answers(judge, judge(images))
    losses = [
        functional.cross_entropy(answer, targets[:, slot], label_smoothing=smoothing)
        for slot, answer in enumerate(answers)
    ]
    return torch.stack(losses).mean()


def read(judge: Judge, images: Images) -> NDArray[np.int64]:
    """Images `(N, H, W, 3)` uint8 → what the judge sees in them, `(N, T)`, as `slot_indices` writes it."""
    logits = torch.from_numpy(features.rows(judge, judge.forward, images))
    return torch.stack([answer.argmax(dim=1) for answer in _answers(judge, logits)], dim=1).numpy()


def shows(judge: Judge, images: Images, names: Sequence[str]) -> NDArray[np.bool_]:
    """Whether the judge sees in each of images `(N, H, W, 3)` the one attribute that is named for it; never an unknown one."""
    slots, seen = judge.config.slots, read(judge, images)  # (N, T)
    places = {name: (column, index) for column, slot in enumerate(slots) for index, name in enumerate(slot)}
    found = [name in places and row[places[name][0]] == places[name][1] for row, name in zip(seen, names, strict=True)]
    return np.array(found, dtype=bool)


def sightings(judge: Judge, images: Images, requested: Sequence[Sequence[str]]) -> Sightings:
    """What the judge sees of the requested attributes in images `(N, H, W, 3)`."""
    if not requested:
        return Sightings({}, {})
    slots = judge.config.slots
    targets, seen = slot_indices(requested, slots).numpy(), read(judge, images)  # (N, T)
    counts, hits = dict[str, int](), dict[str, int]()
    for column, slot in enumerate(slots):
        for index, name in enumerate(slot):
            asked = targets[:, column] == index
            if asked.any():
                counts[name] = int(asked.sum())
                hits[name] = int((seen[asked, column] == index).sum())
    return Sightings(counts, hits)


def _answers(judge: Judge, logits: Tensor) -> tuple[Tensor, ...]:
    """Logits `(N, L)` → those of each slot."""
    return logits.split([len(slot) + 1 for slot in judge.config.slots], dim=1)
