"""What edits an evaluation asks for: a picture, and in words the one thing that is to be different; it draws nothing.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.transfers.styled_images import StyledImages
from metrics.features import Images
from models.labels import Input, Wish

GROUND, STYLE = "ground", "style"
"""What is asked to be different; the rest is to stay."""
MIX = 0.5
"""Share of the words in an edit."""


@dataclass(frozen=True)
class AskedEdit:
    """Pictures, each with a wish that names what is to be different."""

    wishes: tuple[Input, ...]
    right: StyledImages
    """Real pictures of what should come out."""
    given: StyledImages
    """The pictures that are edited."""


def edits(targets: StyledImages, train: StyledImages) -> dict[str, AskedEdit]:
    """Kind → each target as an edit of a training picture that differs from it in that alone; kinds without pairs are left out.

    For another ground the picture is content and style, and words name the ground; for another style it is content alone, and
    words name the style.
    """
    rows = range(len(train))
    found: dict[str, list[tuple[int, int]]] = {GROUND: [], STYLE: []}
    for row in range(len(targets)):
        thing, style, ground = targets.things[row], targets.styles[row], targets.grounds[row]
        same = [i for i in rows if train.things[i] == thing]
        by_kind = {
            GROUND: [i for i in same if train.styles[i] == style and train.grounds[i] != ground],
            STYLE: [i for i in same if train.styles[i] != style and train.grounds[i] == ground],
        }
        for kind, others in by_kind.items():
            if others:
                found[kind].append((row, others[row % len(others)]))
    asked = {}
    for kind, pairs in found.items():
        right, given = targets.rows([row for row, _ in pairs]), train.rows([other for _, other in pairs])
        if pairs:
            asked[kind] = AskedEdit(_wishes(kind, right, given.images), right, given)
    return asked


def by_hand(captions: Sequence[str], kind: str, asked: AskedEdit) -> list[str]:
    """Captions of the given pictures with the one word changed, as somebody would who reads them.

    A caption says thing, style and `on` its ground, as those of icons do; what it does not say cannot be changed and is added.
    """
    return [
        _reground(caption, asked.given.grounds[row], asked.right.grounds[row])
        if kind == GROUND
        else _restyle(caption, asked.given.styles[row], asked.right.styles[row])
        for row, caption in enumerate(captions)
    ]


def _wishes(kind: str, right: StyledImages, images: Images) -> tuple[Input, ...]:
    if kind == GROUND:
        return tuple(
            Wish(f"on {ground}", image, image, MIX) for ground, image in zip(right.grounds, images, strict=True)
        )
    return tuple(Wish(style, image, mix=MIX) for style, image in zip(right.styles, images, strict=True))


def _reground(caption: str, before: str, after: str) -> str:
    rest = caption.removesuffix(f" on {before}").removesuffix(",")
    return f"{rest}{',' if ',' in rest else ''} on {after}"


def _restyle(caption: str, before: str, after: str) -> str:
    parts = [part.strip() for part in caption.split(",")]
    if before in parts:
        return ", ".join(after if part == before else part for part in parts)
    return ", ".join([parts[0], after, *parts[1:]])
