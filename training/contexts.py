"""Which contexts a training picture is shown with: its caption, other pictures of its thing and of its style, or both.

The target is always a real picture of a thing, in a style, on a ground. Cross pairs take the content from another style's
picture of the thing and the style from another thing's picture, so that the two are told apart. It knows no network.
Shapes: `N` samples, `K` choices, `R` length of a row, `T` tokens of a picture, `D` width.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from base.config import Config
from base.errors import BadInput
from data.imagefolder import ImageFolder
from models.context_encoder import ContextEncoder
from models.labels import Input, Wish
from models.picture_conditioner import PictureConditioner
from models.pixel_tensors import from_uint8
from models.stable_diffusion import tokenized
from models.versatile_diffusion import WishConditioner
from training.balance import shares as balanced
from training.captions import Captions
from training.run import tensor_cache
from training.run.device import device
from training.run.draws import Draws, Shares
from training.scored import Scored, scored_rows
from training.subsets import split

_FIXED = 4
"""Choices of contexts for each picture where they are not drawn anew."""
_LARGE = 1 << 16
"""Numbers of a picture's tokens from which one choice must do: those of CLIP ViT-L/14 are 1.6 MB a row."""


class ContextsConfig(Config):
    """How often a picture is shown with which contexts; the shares add up to 1."""

    thing: str = "emoji"
    """Column that says what a picture shows."""
    style: str = "style"
    """Column that names its style."""
    ground: str = "ground"
    """Column that names its ground."""
    plain: list[str] = ["text", "text_fr"]
    """Columns of captions that do not name the style."""
    caption: float = Field(default=0.3, ge=0)
    """A caption alone."""
    cross: float = Field(default=0.25, ge=0)
    """Content from another style's picture of the thing, style from another thing's picture."""
    variation: float = Field(default=0.15, ge=0)
    """Content and style from one picture, the target's own."""
    styled: float = Field(default=0.15, ge=0)
    """A caption that does not name the style, and another thing's picture for it."""
    edit: float = Field(default=0.15, ge=0)
    """Content from any picture of the thing, and a caption that says only what is to be different."""
    both: float = Field(default=0.0, ge=0)
    """A caption and the target itself as content, as published: neither thing nor style need be known."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(sum(self.shares()) - 1) > 1e-6:
            raise ValueError(f"the shares of contexts add up to {sum(self.shares()):g}, not to 1")
        return self

    def shares(self) -> tuple[float, ...]:
        """Of caption, cross, variation, styled, edit and both."""
        return self.caption, self.cross, self.variation, self.styled, self.edit, self.both

    def needs_labels(self) -> bool:
        """Whether it must be known what a picture shows, and in which style and on which ground."""
        return self.cross + self.styled + self.edit > 0


@dataclass(frozen=True)
class Shown:
    """What one sample is shown: a caption's text, and the numbers of pictures."""

    text: str = ""
    content: int | None = None
    style: int | None = None
    mix: float = 1.0


class Contexts(Captions):
    """Rows `(N, R)` of one split, drawn anew for every step; `ids` `(N, K, R)` are fixed ones. BadInput: a lacking column."""

    def __init__(
        self, images: ImageFolder, columns: Sequence[str], config: ContextsConfig, conditioner: WishConditioner
    ) -> None:
        self.images, self.config, self.conditioner = images, config, conditioner
        self.captions, self.plain, (self.things, self.styles, self.grounds) = labels(images, columns, config)
        self.of_thing, self.of_style = _groups(self.things), _groups(self.styles)
        self.embeds = embeds(conditioner, images)  # (M, T, D)
        self._ids: dict[str, Tensor] = {}
        self.texts, self.ids = [self._wishes()], self._fixed_rows()

    def __len__(self) -> int:
        return len(self.images)

    def shares(self, balance: float | None, weights: bool) -> Shares:
        """How often each picture is drawn, by the names in its captions."""
        return balanced([list(texts) for texts in zip(*self.captions, strict=True)], balance or 0)

    @property
    def tokens(self) -> int:
        """S, of a caption."""
        return self.conditioner.tokenizer.model_max_length

    def cut(self, beyond: Callable[[Sequence[Any]], list[str]]) -> list[str]:
        """A line on captions whose end is left out, as of captions alone; wishes are made of them."""
        return self._cut([text for column in self.captions for text in column], beyond)

    def scored(self, held_out: Captions, most: int) -> Scored:
        """Rows of things that training has in their style, `most` of them; the loss of other combinations rises as these are
        learnt. Of pictures without labels all: they say what words may not."""
        assert isinstance(held_out, Contexts)
        known = set(zip(self.things, self.styles, strict=True))
        return scored_rows(
            [pair in known for pair in zip(held_out.things, held_out.styles, strict=True)], len(self.ids), most
        )

    def _wishes(self) -> list[Input]:
        """One fixed wish of every picture, to look at."""
        choices = [self.choose(index, row) for index, row in enumerate(self._fixed(1)[:, 0])]
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
        rows = [self._rows([self.choose(i, row[k]) for i, row in enumerate(draws)]) for k in range(count)]
        return torch.stack(rows, dim=1)

    def draw(self, indices: Sequence[int], draws: Draws) -> Tensor:
        """Rows `(N, R)` of the pictures at `indices`, their contexts drawn at random."""
        numbers = draws.uniform(6).cpu().numpy()
        choices = [self.choose(index, row) for index, row in zip(indices, numbers, strict=True)]
        return self._rows(choices).to(draws.device)

    def choose(self, index: int, numbers: Any) -> Shown:
        """The contexts of one picture, by six uniform numbers `(6,)`; a caption where the set has no such other picture."""
        kind, *rest = (float(number) for number in numbers)
        edges = np.cumsum(self.config.shares())
        kinds: list[Callable[[int, Sequence[float]], Shown | None]] = [
            self._caption,
            self._cross,
            self._variation,
            self._styled,
            self._edit,
            self._both,
        ]
        choice = kinds[min(len(kinds) - 1, int(np.searchsorted(edges, kind, side="right")))](index, rest)
        return choice or self._caption(index, rest)

    def _caption(self, index: int, numbers: Sequence[float]) -> Shown:
        return Shown(_one(self.captions, numbers[0])[index])

    def _cross(self, index: int, numbers: Sequence[float]) -> Shown | None:
        content, style = self._same_thing(index, numbers[0], True), self._same_style(index, numbers[1])
        if content is None or style is None:
            return None
        text = "" if self.grounds[content] == self.grounds[index] else self._differences(index, content, False)
        return Shown(text, content, style, 0.3 + 0.4 * numbers[2] if text else 0.0)

    def _variation(self, index: int, numbers: Sequence[float]) -> Shown | None:
        return Shown("", index, index, 0.0)

    def _styled(self, index: int, numbers: Sequence[float]) -> Shown | None:
        style = self._same_style(index, numbers[1])
        text = _one(self.plain, numbers[0])[index]
        return None if style is None else Shown(text, None, style, 0.2 + 0.6 * numbers[2])

    def _edit(self, index: int, numbers: Sequence[float]) -> Shown | None:
        content = self._same_thing(index, numbers[0], False)
        if content is None or not (text := self._differences(index, content, True)):
            return None
        return Shown(text, content, None, 0.2 + 0.6 * numbers[2])

    def _both(self, index: int, numbers: Sequence[float]) -> Shown | None:
        return Shown(_one(self.captions, numbers[0])[index], index, None, 0.2 + 0.6 * numbers[2])

    def _differences(self, index: int, content: int, style: bool) -> str:
        """What a picture has otherwise than the one that its content comes from, in words."""
        said = [self.styles[index]] if style and self.styles[index] != self.styles[content] else []
        said += [f"on {self.grounds[index]}"] if self.grounds[index] != self.grounds[content] else []
        return ", ".join(said)

    def _same_thing(self, index: int, number: float, other_style: bool) -> int | None:
        """Another picture of the thing; of those in another style first one on the same ground, where there is one."""
        others = [other for other in self.of_thing[self.things[index]] if other != index]
        if other_style:
            others = [other for other in others if self.styles[other] != self.styles[index]]
            others = [other for other in others if self.grounds[other] == self.grounds[index]] or others
        return _one(others, number) if others else None

    def _same_style(self, index: int, number: float) -> int | None:
        """Another thing's picture in the style."""
        group = self.of_style[self.styles[index]]
        start = int(number * len(group))
        turned = (group[(start + step) % len(group)] for step in range(len(group)))
        return next((other for other in turned if self.things[other] != self.things[index]), None)

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


def labels(
    images: ImageFolder, columns: Sequence[str], config: ContextsConfig
) -> tuple[list[list[str]], list[list[str]], list[list[str]]]:
    """Captions by column, those that do not name the style, and things, styles and grounds; the latter empty if not needed.

    BadInput: a lacking column, or things that each have one style where contexts are to cross them.
    """
    captions = [images.captions(column) for column in columns]
    if not columns:
        raise BadInput(f"captions: no column named; {images.name} has {', '.join(images.columns)}")
    if not config.needs_labels():
        return captions, [], [[""] * len(images)] * 3
    plain = [images.captions(column) for column in config.plain]
    things, styles, grounds = (images.captions(column) for column in (config.thing, config.style, config.ground))
    several = any(len({styles[index] for index in group}) > 1 for group in _groups(things).values())
    if images.split == "train" and config.cross and not several:  # of a held-out thing there may be one picture
        raise BadInput(
            f"{images.name}: every {config.thing} has one {config.style}, so content and style cannot be told apart"
        )
    return captions, plain, [things, styles, grounds]


def embeds(conditioner: PictureConditioner, images: ImageFolder) -> Tensor:
    """The tokens `(N, T, D)` of all pictures of a split, once for all runs."""
    return embeds_of(conditioner.image_encoder, images)


@torch.no_grad()
def embeds_of(image_encoder: ContextEncoder, images: ImageFolder) -> Tensor:
    """The same of an encoder alone: tokens `(N, T, D)`."""
    encoder = image_encoder.to(device())
    name = tensor_cache.digest([encoder], images.digest)

    def encode() -> Tensor:
        batches = split(len(images), (3, *images.shape), 64)
        return torch.cat([encoder(from_uint8(images.images(b.tolist())).to(device())).float().cpu() for b in batches])

    return tensor_cache.cached(f"pictures-{name}", encode)


def _groups(values: Sequence[str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, value in enumerate(values):
        groups[value].append(index)
    return groups


def _one(many: Sequence[Any], number: float) -> Any:
    return many[min(len(many) - 1, int(number * len(many)))]
