"""How well attributes are composed: what the judge sees of those requested, known combinations or not, over weights.

It knows callables, no generators. Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.progress import track

from evaluation.bench import Draw
from metrics.attribute_accuracy import accuracy
from metrics.features import Images
from metrics.judge_network import Judge

WEIGHTS = (0.0, 1.0, 2.0)
"""At which every attribute of a row is requested; 0 leaves it free, so its accuracy is that of chance."""
REALS = "held-out reals"


@dataclass(frozen=True)
class AttributedImages:
    """Real images `(N, H, W, 3)` and the attributes that each shows."""

    images: Images
    attributes: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.attributes)

    def even(self, count: int) -> AttributedImages:
        """`count` rows, evenly spaced, or all."""
        indices = np.linspace(0, len(self) - 1, min(count, len(self))).astype(int)
        return AttributedImages(self.images[indices], tuple(self.attributes[index] for index in indices))


@dataclass(frozen=True)
class Composition:
    """Shares of the requested attributes that the judge sees, of one source of images."""

    name: str
    seen: float
    """On combinations that training knows."""
    unseen: float
    """On combinations that training does not know; NaN where the set holds none."""
    n: int
    """Images of known combinations; of the others there are as many at most."""
    weights: dict[float, float] = field(default_factory=dict)
    """On known combinations with every attribute at this weight; empty for reals."""
    by_name: dict[str, float] = field(default_factory=dict)
    """On known combinations, by attribute."""

    @property
    def rises(self) -> bool:
        """Whether accuracy rises with the weight, and falls nowhere on the way."""
        shares = [self.weights[weight] for weight in sorted(self.weights)]
        return shares == sorted(shares) and shares[0] < shares[-1]


def compositions(
    judge: Judge, seen: AttributedImages, unseen: AttributedImages, draws: Mapping[str, Draw], batch: int = 50
) -> tuple[Composition, ...]:
    """The reals, which are the ceiling, and then every source, given the same attributes and the same seeds.

    `seen` are real images of combinations that training knows, `unseen` of combinations that it does not.
    """
    share, by_name = accuracy(judge, seen.images, seen.attributes)
    lines = [Composition(REALS, share, _share(judge, unseen.images, unseen.attributes), len(seen), {}, dict(by_name))]
    for name, draw in draws.items():
        by_weight = {weight: _images(draw, seen.attributes, weight, batch, name) for weight in WEIGHTS}
        shares = {weight: _share(judge, images, seen.attributes) for weight, images in by_weight.items()}
        share, by_name = accuracy(judge, by_weight[1.0], seen.attributes)
        others = _images(draw, unseen.attributes, 1.0, batch, name) if len(unseen) else unseen.images
        other = _share(judge, others, unseen.attributes)
        lines.append(Composition(name, share, other, len(seen), shares, dict(by_name)))
    return tuple(lines)


def attribute_prompt(attributes: Sequence[str], weight: float = 1.0) -> str:
    """Attributes of one weight as a prompt: `Ape=2, Fez=2`, or `Ape, Fez` at weight 1."""
    return ", ".join(name if weight == 1 else f"{name}={weight:g}" for name in attributes)


def _share(judge: Judge, images: Images, attributes: Sequence[Sequence[str]]) -> float:
    return accuracy(judge, images, attributes)[0] if len(images) else float("nan")


def _images(draw: Draw, rows: Sequence[Sequence[str]], weight: float, batch: int, name: str) -> Images:
    prompts = [attribute_prompt(row, weight) for row in rows]
    batches = [range(start, min(start + batch, len(prompts))) for start in range(0, len(prompts), batch)]
    shown = track(batches, f"attributes at weight {weight:g}: {name}", console=Console(stderr=True))
    return np.concatenate([draw(prompts[seeds.start : seeds.stop], seeds) for seeds in shown])
