"""Attributes as a judge reads them off images: one answer a slot, nothing among them; it knows no generator.

Such a judge is `metrics.judge_network.Judge` whose labels are the attributes of the first slot, nothing in it, those of the
second, and so on. Shapes: `N` images, `H W` pixels, `T` slots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from metrics import features
from metrics.features import Images
from metrics.judge_network import Judge, JudgeConfig
from metrics.proportions import below

VISIBLE = 0.5
"""Share of real images that show an attribute in which a judge must see it, for its figures to say anything about it."""

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


@dataclass(frozen=True)
class Sightings:
    """How often a judge saw the attributes that were requested, by name; slots left free do not count."""

    counts: Mapping[str, int]
    """Images for which each was requested."""
    hits: Mapping[str, int]
    """Those of them in which the judge sees it."""

    def __add__(self, other: Sightings) -> Sightings:
        """Those of both."""
        names = {**self.counts, **other.counts}
        return Sightings(
            {name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in names},
            {name: self.hits.get(name, 0) + other.hits.get(name, 0) for name in names},
        )

    @property
    def share(self) -> float:
        """Of all that was requested; NaN where nothing was."""
        return sum(self.hits.values()) / total if (total := sum(self.counts.values())) else float("nan")

    @property
    def by_name(self) -> dict[str, float]:
        """The share of each attribute."""
        return {name: self.hits[name] / count for name, count in self.counts.items()}

    @property
    def mean(self) -> float:
        """The mean over names, in which a rare one counts as much as any other; NaN where nothing was requested."""
        return float(np.mean([*self.by_name.values()])) if self.counts else float("nan")

    def missed(self, least: float) -> list[str]:
        """Names seen less often than `least`, by more than two standard errors, the rarest sight first."""
        names = [name for name, share in self.by_name.items() if below(share, self.counts[name], least)]
        return sorted(names, key=lambda name: (self.by_name[name], name))

    def described(self, names: Sequence[str]) -> str:
        """`Mole 0 of 12, Fez 3 of 40`."""
        return ", ".join(f"{name} {self.hits[name]} of {self.counts[name]}" for name in names)


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
