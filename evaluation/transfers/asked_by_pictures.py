"""What an evaluation asks for by pictures: variations, transfers of style, prompts beside other pictures; it draws nothing.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evaluation.transfers.styled_images import StyledImages
from metrics.features import Images
from models.labels import Input, Wish

MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the prompt at which prompt and picture name different things."""


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
