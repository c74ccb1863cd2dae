"""What pictures are asked for by pictures in an evaluation, and what was drawn for them; it draws nothing and judges nothing.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metrics.features import Images
from metrics.judge_network import Judge
from models.labels import Input, Wish

if TYPE_CHECKING:
    from evaluation.transfers.edits import AskedEdit

Principal = Callable[[Images, Images], list[Input]]
"""Pictures `(N, H, W, 3)` of things and of styles → the same wishes, style told apart by principal components."""
MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the prompt at which prompt and picture name different things."""


@dataclass(frozen=True)
class StyledImages:
    """Real images `(N, H, W, 3)`, the thing, style and ground that each shows, and its caption."""

    images: Images
    things: tuple[str, ...]
    styles: tuple[str, ...]
    grounds: tuple[str, ...]
    captions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.things)

    def rows(self, indices: Sequence[int]) -> StyledImages:
        """The rows at `indices`."""
        chosen = [tuple(names[i] for i in indices) for names in (self.things, self.styles, self.grounds, self.captions)]
        return StyledImages(self.images[list(indices)], *chosen)

    def even(self, count: int) -> StyledImages:
        """`count` rows, evenly spaced, or all."""
        return self.rows(np.linspace(0, len(self) - 1, min(count, len(self))).astype(int).tolist())


@dataclass(frozen=True)
class StyledReals:
    """Real images whose thing and style are known: trained ones, held-out ones, and combinations that training lacks."""

    train: StyledImages
    held_out: StyledImages
    combinations: StyledImages


@dataclass(frozen=True)
class AskedByPictures:
    """Images asked for by pictures and words, and what should be seen in them."""

    wishes: tuple[Input, ...]
    right: StyledImages
    """What should come out, of each."""
    content: Images
    """`(N, H, W, 3)`: whose thing it is."""
    style: Images
    """`(N, H, W, 3)`: whose style it is."""
    others: tuple[str, ...] = ()
    """The other thing that is asked for, where prompt and picture name two."""


def variations(held_out: StyledImages) -> AskedByPictures:
    """Each held-out picture, asked for as content and style at once."""
    wishes = tuple(Wish(content=image, style=image) for image in held_out.images)
    return AskedByPictures(wishes, held_out, held_out.images, held_out.images)


def transfers(targets: StyledImages, train: StyledImages) -> AskedByPictures | None:
    """Each target as the content of a training picture and the style of another; None where training has no such pairs.

    The content has another style, on the target's ground where there is one; the style is another thing's.
    """
    pairs = [(row, *found) for row in range(len(targets)) if (found := _pair(targets, row, train)) is not None]
    if not pairs:
        return None
    rows, contents, styles = ([pair[place] for pair in pairs] for place in range(3))
    content, style = train.images[contents], train.images[styles]
    wishes = tuple(Wish(content=one, style=other) for one, other in zip(content, style, strict=True))
    return AskedByPictures(wishes, targets.rows(rows), content, style)


def mixes(held_out: StyledImages) -> Callable[[float], AskedByPictures]:
    """Share of the prompt → each caption beside the picture of another thing, which is the content."""
    turned = [(row + len(held_out) // 2) % len(held_out) for row in range(len(held_out))]
    differ = [row for row, other in enumerate(turned) if held_out.things[row] != held_out.things[other]]
    right, others = held_out.rows(differ), held_out.rows([turned[row] for row in differ])

    def at(mix: float) -> AskedByPictures:
        pairs = zip(right.captions, others.images, strict=True)
        wishes = tuple(Wish(caption, content=image, mix=mix) for caption, image in pairs)
        return AskedByPictures(wishes, right, others.images, others.images, others.things)

    return at


def recoloured(images: Images, others: Images) -> Images:
    """Images `(N, H, W, 3)` with mean and deviation of each colour channel of others `(N, H, W, 3)`.

    The transfer of Reinhard et al. (2001), in RGB: what a style is, where it is no more than colours.
    """
    own, target = images.astype(np.float64), others.astype(np.float64)
    (mean, deviation), (new_mean, new_deviation) = (
        (one.mean(axis=(1, 2), keepdims=True), one.std(axis=(1, 2), keepdims=True)) for one in (own, target)
    )
    moved = (own - mean) * new_deviation / np.maximum(deviation, 1e-9) + new_mean
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Rivals:
    """Other ways to the same pictures, which the same source draws; None where the flows at hand have no such way."""

    principal: Principal | None = None
    """Style transfer by principal components."""
    caption: Callable[[Images], list[str]] | None = None
    """Pictures `(N, H, W, 3)` → captions that name all of them: edits by writing, changing the words and drawing anew."""


class SourceTransfers:
    """Images that one source drew from pictures: a baseline, the teacher or a student."""

    def __init__(
        self, judge: Judge, variation: tuple[AskedByPictures, Images] | None = None,
        transfer: tuple[AskedByPictures, Images] | None = None,
        mixed: Mapping[float, tuple[AskedByPictures, Images]] | None = None,
        edited: Mapping[str, tuple[AskedEdit, Images]] | None = None,
    ) -> None:  # fmt: skip
        """What was asked for, each with an image `(N, H, W, 3)` of each wish; `mixed` by the text's share, `edited` by kind."""
        self.judge, self.variation, self.transfer = judge, variation, transfer
        self.mixed, self.edited = mixed or {}, edited or {}

    def __len__(self) -> int:
        shown = [*(one for one in (self.variation, self.transfer) if one is not None), *self.edited.values()]
        return sum(len(images) for _, images in shown)


@dataclass(frozen=True)
class Curve:
    """Over the share of the prompt: how often its thing is seen, and how often the picture's."""

    prompt: dict[float, float]
    picture: dict[float, float] = field(default_factory=dict)


def rank_correlation(values: Sequence[float]) -> float:
    """Spearman's correlation of values with their order; NaN of values that are all equal."""
    if len(set(values)) < 2:
        return float("nan")
    _, inverse, counts = np.unique(np.array(values), return_inverse=True, return_counts=True)
    ends: NDArray[np.int64] = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]
    return float(np.corrcoef(ranks, np.arange(len(values)))[0, 1])


def _pair(targets: StyledImages, row: int, train: StyledImages) -> tuple[int, int] | None:
    """Rows of training pictures: of the same thing in another style, of another thing in the same style."""
    thing, style, ground = targets.things[row], targets.styles[row], targets.grounds[row]
    contents = [i for i in range(len(train)) if train.things[i] == thing and train.styles[i] != style]
    contents = [i for i in contents if train.grounds[i] == ground] or contents
    styles = [i for i in range(len(train)) if train.things[i] != thing and train.styles[i] == style]
    styles = [i for i in styles if train.grounds[i] == ground] or styles
    if not contents or not styles:
        return None
    return contents[row % len(contents)], styles[(7 * row) % len(styles)]
