"""Training pictures' contexts as rows of numbers: tokens of captions and of pictures, and their mix; it trains nothing.

Shapes: `N` samples, `M` pictures, `K` choices, `R` length of a row, `T` tokens of a picture, `D` width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from data.imagefolder import ImageFolder
from models.labels import Input, Wish
from models.prompt_ids import tokenized
from models.wish_conditioner import WishConditioner
from training.balance import shares as balanced
from training.captions import Captions
from training.context_choice import ContextChoice, Shown
from training.picture_tokens import picture_tokens
from training.run.draws import Draws, Shares
from training.scored import Scored, scored_rows

_FIXED = 4
"""Choices of contexts for each picture where they are not drawn anew."""
_LARGE = 1 << 16
"""Numbers of a picture's tokens from which one choice must do: those of CLIP ViT-L/14 are 1.6 MB a row."""


class Contexts(Captions):
    """Rows `(N, R)` of one split, drawn anew for every step; `ids` `(N, K, R)` are fixed ones."""

    def __init__(self, choice: ContextChoice, images: ImageFolder, conditioner: WishConditioner) -> None:
        """`choice`: of the samples that are made of these pictures."""
        self.choice, self.conditioner = choice, conditioner
        self.embeds = picture_tokens(conditioner.image_encoder, images)  # (M, T, D)
        self._ids: dict[str, Tensor] = {}
        self.texts, self.ids = [self._wishes()], self._fixed_rows()

    def __len__(self) -> int:
        return len(self.choice)

    def shares(self, balance: float | None, weights: bool) -> Shares:
        """How often each picture is drawn, by the names in its captions."""
        return balanced([list(texts) for texts in zip(*self.choice.captions, strict=True)], balance or 0)

    @property
    def tokens(self) -> int:
        """S, of a caption."""
        return self.conditioner.tokenizer.model_max_length

    def cut(self, beyond: Callable[[Sequence[Any]], list[str]]) -> list[str]:
        """A line on captions whose end is left out, as of captions alone; wishes are made of them."""
        return self._cut([text for column in self.choice.captions for text in column], beyond)

    def scored(self, held_out: Captions, most: int) -> Scored:
        """Rows of things that training has in their style, `most` of them; the loss of other combinations rises as these are
        learnt. Of pictures without labels all: they say what words may not."""
        assert isinstance(held_out, Contexts)
        known = set(zip(self.choice.things, self.choice.styles, strict=True))
        asked = zip(held_out.choice.things, held_out.choice.styles, strict=True)
        return scored_rows([pair in known for pair in asked], len(self.ids), most)

    def _wishes(self) -> list[Input]:
        """One fixed wish of every picture, to look at."""
        choices = [self.choice.at(index, row) for index, row in enumerate(self._fixed(1)[:, 0])]
        half, tokens = self.embeds.shape[1] // 2, self.embeds.numpy()
        wishes = [
            Wish(
                one.text,
                None if one.content is None else tokens[one.content, :half],
                None if one.style is None else tokens[one.style, half:],
                one.mix,
            )
            for one in choices
        ]
        return cast("list[Input]", wishes)

    def _fixed_rows(self) -> Tensor:
        """`(N, K, R)`."""
        count = _FIXED if self.embeds[0].numel() < _LARGE else 1
        draws = self._fixed(count)
        rows = [self._rows([self.choice.at(i, row[k]) for i, row in enumerate(draws)]) for k in range(count)]
        return torch.stack(rows, dim=1)

    def draw(self, indices: Sequence[int], draws: Draws) -> Tensor:
        """Rows `(N, R)` of the pictures at `indices`, their contexts drawn at random."""
        numbers = draws.uniform(6).cpu().numpy()
        choices = [self.choice.at(index, row) for index, row in zip(indices, numbers, strict=True)]
        return self._rows(choices).to(draws.device)

    def _rows(self, choices: Sequence[Shown]) -> Tensor:
        half = self.embeds.shape[1] // 2
        pictures = torch.zeros(len(choices), *self.embeds.shape[1:])
        for row, choice in zip(pictures, choices, strict=True):
            if choice.content is not None:
                row[:half] = self.embeds[choice.content, :half]
            if choice.style is not None:
                row[half:] = self.embeds[choice.style, half:]
        ids = torch.stack([self._tokenized(choice.text) for choice in choices])
        return self.conditioner.pack(ids, pictures, torch.tensor([choice.mix for choice in choices]))

    def _tokenized(self, text: str) -> Tensor:
        if text not in self._ids:
            self._ids[text] = tokenized(self.conditioner.tokenizer, [text])[0]
        return self._ids[text]

    def _fixed(self, count: int) -> Any:
        positions = range(len(self))
        return Draws.at(6, 0, positions, torch.device("cpu")).uniform(count, 6).numpy()
