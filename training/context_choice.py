"""Which contexts a training picture is shown with: its caption, other pictures of its thing and of its style, or both.

The target is always a real picture of a thing, in a style, on a ground. Cross pairs take the content from another style's
picture of the thing and the style from another thing's picture, so that the two are told apart. It knows captions and labels,
no pixels and no network.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from base.config import Config
from base.errors import BadInput
from data.imagefolder import ImageFolder


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
    unnamed: float = Field(default=0.0, ge=0)
    """Style and ground in words and no thing: what is left of a prompt whose thing nobody knows."""
    both: float = Field(default=0.0, ge=0)
    """A caption and the target itself as content, as published: neither thing nor style need be known."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(sum(self.shares()) - 1) > 1e-6:
            raise ValueError(f"the shares of contexts add up to {sum(self.shares()):g}, not to 1")
        return self

    def shares(self) -> tuple[float, ...]:
        """Of caption, cross, variation, styled, edit, unnamed and both."""
        return self.caption, self.cross, self.variation, self.styled, self.edit, self.unnamed, self.both

    def needs_labels(self) -> bool:
        """Whether it must be known what a picture shows, and in which style and on which ground."""
        return self.cross + self.styled + self.edit + self.unnamed > 0


@dataclass(frozen=True)
class Shown:
    """What one sample is shown: a caption's text, and the numbers of pictures."""

    text: str = ""
    content: int | None = None
    style: int | None = None
    mix: float = 1.0


class ContextChoice:
    """The contexts of the samples of one split, which are its pictures."""

    def __init__(self, images: ImageFolder, columns: Sequence[str], config: ContextsConfig) -> None:
        """BadInput: a lacking column, or things that each have one style where contexts are to cross them."""
        self.config, self.pictures = config, len(images)
        self.captions = [images.captions(column) for column in columns]
        if not columns:
            raise BadInput(f"captions: no column named; {images.name} has {', '.join(images.columns)}")
        self.plain: list[list[str]] = []
        self.things = self.styles = self.grounds = [""] * len(images)
        if config.needs_labels():
            self.plain = [images.captions(column) for column in config.plain]
            labels = (config.thing, config.style, config.ground)
            self.things, self.styles, self.grounds = (images.captions(column) for column in labels)
        self.of_thing, self.of_style = _groups(self.things), _groups(self.styles)
        if config.cross and images.split == "train":  # of a held-out thing there may be one picture
            self._check_crossed(images.name)

    def _check_crossed(self, name: str) -> None:
        """BadInput: every thing has one style."""
        if not any(len({self.styles[index] for index in group}) > 1 for group in self.of_thing.values()):
            raise BadInput(
                f"{name}: every {self.config.thing} has one {self.config.style}, so content and style cannot be told apart"
            )

    def __len__(self) -> int:
        return self.pictures

    def at(self, index: int, numbers: Any) -> Shown:
        """The contexts of one sample, by six uniform numbers `(6,)`; a caption where the set has no such other picture."""
        kind, *rest = (float(number) for number in numbers)
        edges = np.cumsum(self.config.shares())
        kinds: list[Callable[[int, Sequence[float]], Shown | None]] = [
            self._caption,
            self._cross,
            self._variation,
            self._styled,
            self._edit,
            self._unnamed,
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

    def _unnamed(self, index: int, numbers: Sequence[float]) -> Shown | None:
        return Shown(f"{self.styles[index]}, on {self.grounds[index]}")

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


class OwnContexts(ContextChoice):
    """The contexts of captions, each its picture, itself as a text to say otherwise, or both: every caption is a sample."""

    def __init__(self, images: ImageFolder, columns: Sequence[str], config: ContextsConfig) -> None:
        """BadInput: contexts of other pictures than the caption's own, or no caption at all."""
        if config.needs_labels():
            raise BadInput(
                "contexts: captions are written from caption, variation and both; set cross, styled, edit, unnamed to 0"
            )
        super().__init__(images, columns, config)

    def __len__(self) -> int:
        return self.pictures * len(self.captions)

    @property
    def said(self) -> list[str]:
        """Every sample's caption, picture by picture."""
        return [texts[index] for index in range(self.pictures) for texts in self.captions]

    def _caption(self, index: int, numbers: Sequence[float]) -> Shown:
        return Shown(self._own(index)[1])

    def _variation(self, index: int, numbers: Sequence[float]) -> Shown | None:
        picture, _ = self._own(index)
        return Shown("", picture, None, 0.0)

    def _both(self, index: int, numbers: Sequence[float]) -> Shown | None:
        picture, text = self._own(index)
        return Shown(text, picture, None, 0.2 + 0.6 * numbers[2])

    def _own(self, index: int) -> tuple[int, str]:
        """The picture and the caption of a sample."""
        picture, column = divmod(index, len(self.captions))
        return picture, self.captions[column][picture]


def _groups(values: Sequence[str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, value in enumerate(values):
        groups[value].append(index)
    return groups


def _one(many: Sequence[Any], number: float) -> Any:
    return many[min(len(many) - 1, int(number * len(many)))]
