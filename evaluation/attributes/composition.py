"""How well attributes are composed: what the judge sees of those requested, known combinations or not, over weights.

It knows callables, no generators. Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from evaluation.attributes.slots_by_kind import REALS
from evaluation.draw import Draw, drawn
from metrics.attribute_accuracy import sightings
from metrics.features import Images
from metrics.judge_network import Judge
from metrics.proportions import falls
from metrics.sightings import Sightings

WEIGHTS = (0.0, 1.0, 2.0)
"""At which every attribute of a row is requested; 0 leaves it free, so its accuracy is that of chance."""


@dataclass(frozen=True)
class AttributedImages:
    """Real images `(N, H, W, 3)` and the attributes that each shows."""

    images: Images
    attributes: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.attributes)

    def rows(self, indices: Sequence[int]) -> AttributedImages:
        """The rows at `indices`."""
        return AttributedImages(self.images[list(indices)], tuple(self.attributes[index] for index in indices))

    def even(self, count: int) -> AttributedImages:
        """`count` rows, evenly spaced, or all."""
        return self.rows(np.linspace(0, len(self) - 1, min(count, len(self))).astype(int).tolist())

    def lacking(self, others: AttributedImages, each: int) -> AttributedImages:
        """The first of `others` that show what fewer than `each` of these rows do."""
        counts, more = Counter(name for row in self.attributes for name in row), []
        for index, row in enumerate(others.attributes):
            if any(counts[name] < each for name in row):
                counts.update(row)
                more.append(index)
        return others.rows(more)


@dataclass(frozen=True)
class Composition:
    """Shares of the requested attributes that the judge sees, of one source of images."""

    name: str
    seen: float
    """On combinations that training knows."""
    unseen: float
    """On combinations that training does not know; NaN where the set holds none."""
    n: int
    """Images of known combinations."""
    unseen_n: int = 0
    """Images of the others."""
    weights: dict[float, float] = field(default_factory=dict)
    """On known combinations with every attribute at this weight; empty for reals."""
    names: Sightings = field(default_factory=lambda: Sightings({}, {}))
    """On known combinations, and on more rows of what few of them show, by attribute."""

    @property
    def rises(self) -> bool:
        """Whether accuracy rises with the weight, and falls nowhere on the way by more than two standard errors."""
        shares = [self.weights[weight] for weight in sorted(self.weights)]
        return shares[0] < shares[-1] and not any(falls(*pair, self.n) for pair in pairwise(shares))


def compositions(
    judge: Judge,
    seen: AttributedImages,
    unseen: AttributedImages,
    draws: Mapping[str, Draw],
    batch: int = 50,
    more: AttributedImages | None = None,
) -> tuple[Composition, ...]:
    """The reals, which are the ceiling, and then every source, given the same attributes and the same seeds.

    `seen` are real images of combinations that training knows, `unseen` of combinations that it does not; those of `more` count
    for the figures by name alone.
    """
    more = more or seen.rows([])
    own, others = sightings(judge, seen.images, seen.attributes), sightings(judge, unseen.images, unseen.attributes)
    n, new_n = len(seen), len(unseen)
    named = own + sightings(judge, more.images, more.attributes)
    lines = [Composition(REALS, own.share, others.share, n, new_n, names=named)]
    for name, draw in draws.items():
        by_weight = {
            weight: sightings(judge, _images(draw, seen.attributes, weight, batch, name), seen.attributes)
            for weight in WEIGHTS
        }
        new, rare = (
            sightings(judge, _images(draw, rows.attributes, 1.0, batch, name), rows.attributes)
            for rows in (unseen, more)
        )
        shares = {weight: seen_at.share for weight, seen_at in by_weight.items()}
        lines.append(Composition(name, shares[1.0], new.share, n, new_n, shares, by_weight[1.0] + rare))
    return tuple(lines)


def attribute_prompt(attributes: Sequence[str], weight: float = 1.0) -> str:
    """Attributes of one weight as a prompt: `Ape=2, Fez=2`, or `Ape, Fez` at weight 1."""
    return ", ".join(name if weight == 1 else f"{name}={weight:g}" for name in attributes)


def _images(draw: Draw, rows: Sequence[Sequence[str]], weight: float, batch: int, name: str) -> Images:
    if not rows:
        return np.empty((0, 1, 1, 3), np.uint8)
    prompts = [attribute_prompt(row, weight) for row in rows]
    return np.concatenate(drawn(draw, prompts, range(len(prompts)), batch, f"attributes at weight {weight:g}: {name}"))
