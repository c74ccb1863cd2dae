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
from training.balance import shares
from training.run.draws import Draws, Shares
from training.scored import Scored, parts, scored_rows
from training.subsets import evenly


class Captions:
    """Ids `(N, columns, S)` of every input column of one split, in memory. BadInput: inputs of another kind."""

    def __init__(
        self, images: ImageFolder, columns: Sequence[str], tokenize: Callable[[Sequence[Any]], Tensor]
    ) -> None:
        if not columns:
            raise BadInput(f"captions: no column named; {images.name} has {', '.join(images.columns)}")
        self.texts: list[list[Input]] = [images.column(column) for column in columns]
        ids = []
        for column, texts in zip(columns, self.texts, strict=True):
            try:
                ids.append(tokenize(texts))
            except BadInput as error:
                raise BadInput(f"column '{column}' of {images.name}: {error}{_slots_of(images, texts)}") from None
        self.ids = torch.stack(ids, dim=1)

    @property
    def tokens(self) -> int:
        """S, of a caption."""
        return self.ids.shape[-1]

    def shares(self, balance: float | None, weights: bool) -> Shares:
        """How often each sample is drawn; `weights`: whether ids are weights of attributes, of which each is a name.

        Elsewhere a sample's names are its captions, or its label.
        """
        if weights:
            return shares([row.nonzero()[:, -1].tolist() for row in self.ids], 1 if balance is None else balance)
        return shares([[str(text) for text in texts] for texts in zip(*self.texts, strict=True)], balance or 0)

    def cut(self, beyond: Callable[[Sequence[Any]], list[str]]) -> list[str]:
        """A line on captions whose end `beyond` says is left out, with one of them; none where all are read whole."""
        return self._cut([text for column in self.texts for text in column], beyond)

    def _cut(self, texts: Sequence[Any], beyond: Callable[[Sequence[Any]], list[str]]) -> list[str]:
        lost = [(text, end) for text, end in zip(texts, beyond(texts), strict=True) if end]
        if not lost:
            return []
        text, end = lost[len(lost) // 2]
        return [
            f"{len(lost)} of {len(texts)} captions are longer than the {self.tokens} tokens that are read, and lose "
            f"their end, such as '{end}' of '{text}'"
        ]

    def shown(self, most: int) -> list[Input]:
        """`most` inputs of the first column, or all: what sample grids are drawn for."""
        return [self.texts[0][index] for index in evenly(len(self.ids), most)]

    def scored(self, held_out: Captions, most: int) -> Scored:
        """Which rows of this training split and of a held-out one a model is scored on, `most` of each kind."""
        known = {part for texts in self.texts for text in texts for part in parts(text)}
        rows = {ids.numpy().tobytes() for ids in self.ids.flatten(0, 1)}
        knows = [
            ids.numpy().tobytes() in rows or all(part in known for part in parts(text))
            for text, ids in zip(held_out.texts[0], held_out.ids[:, 0], strict=True)
        ]
        return scored_rows(knows, len(self.ids), most)

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
