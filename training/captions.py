"""Captions or labels of a data set as ids, one column drawn at random for each sample; it knows nothing about networks.

Shapes: `N` samples, `S` tokens, labels or attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from base.errors import BadInput
from data.attributed import SLOTS
from data.imagefolder import ImageFolder
from models.labels import Input
from training.run.draws import Draws


class Captions:
    """Ids `(N, columns, S)` of every input column of one split, in memory. BadInput: inputs of another kind."""

    def __init__(
        self, images: ImageFolder, columns: Sequence[str], tokenize: Callable[[Sequence[Any]], Tensor]
    ) -> None:
        self.texts: list[list[Input]] = [images.column(column) for column in columns]
        ids = []
        for column, texts in zip(columns, self.texts, strict=True):
            try:
                ids.append(tokenize(texts))
            except BadInput as error:
                raise BadInput(f"column '{column}' of {images.name}: {error}{_slots_of(images, texts)}") from None
        self.ids = torch.stack(ids, dim=1)

    def draw(self, indices: Sequence[int], draws: Draws) -> Tensor:
        """Ids `(N, S)` of the samples at `indices`, each from a column drawn at random."""
        columns = draws.integers(self.ids.shape[1]).cpu()
        return self.ids[torch.as_tensor(indices), columns].to(draws.device)


def _slots_of(images: ImageFolder, texts: Sequence[Input]) -> str:
    """Where the attributes of a set stand, for a model that was told those of another."""
    slots = Path(images.name) / SLOTS
    listed = isinstance(texts[0], list) and slots.is_file()
    return (
        f"; the attributes of this set, by their slots, are in {slots}, those of the model under base.attributes"
        if listed
        else ""
    )
