"""Captions or labels of a data set as ids, one column drawn at random for each sample; it knows nothing about networks.

Shapes: `N` samples, `S` tokens, labels or attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from base.errors import BadInput
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
                raise BadInput(f"column '{column}' of {images.name}: {error}") from None
        self.ids = torch.stack(ids, dim=1)

    def draw(self, indices: Sequence[int], draws: Draws) -> Tensor:
        """Ids `(N, S)` of the samples at `indices`, each from a column drawn at random."""
        columns = draws.integers(self.ids.shape[1]).cpu()
        return self.ids[torch.as_tensor(indices), columns].to(draws.device)
