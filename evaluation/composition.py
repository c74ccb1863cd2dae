"""How well attributes are composed: what the judge sees of those asked for, known combinations or not, over weights.

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
"""At which every attribute of a row is asked for; 0 leaves it free, so its accuracy is that of chance."""
REALS = "held-out reals"


@dataclass(frozen=True)
class Shown:
    """Real images `(N, H, W, 3)` and the attributes that each shows."""

    images: Images
    attributes: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.attributes)

    def even(self, count: int) -> Shown:
        """`count` rows, evenly spaced, or all."""
        places = np.linspace(0, len(self) - 1, min(count, len(self))).astype(int)
        return Shown(self.images[places], tuple(self.attributes[place] for place in places))


@dataclass(frozen=True)
class Composition:
    """Shares of the attributes asked for that the judge sees, of one source of images."""

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
        found = [self.weights[weight] for weight in sorted(self.weights)]
        return found == sorted(found) and found[0] < found[-1]


def compositions(
    judge: Judge, seen: Shown, unseen: Shown, draws: Mapping[str, Draw], batch: int = 50
) -> tuple[Composition, ...]:
    """The reals, which are the ceiling, and then every source, asked for the same attributes with the same seeds."""
    share, by_name = accuracy(judge, seen.images, seen.attributes)
    found = [Composition(REALS, share, _share(judge, unseen.images, unseen.attributes), len(seen), {}, dict(by_name))]
    for name, draw in draws.items():
        drawn = {weight: _drawn(draw, seen.attributes, weight, batch, name) for weight in WEIGHTS}
        shares = {weight: _share(judge, images, seen.attributes) for weight, images in drawn.items()}
        share, by_name = accuracy(judge, drawn[1.0], seen.attributes)
        others = _drawn(draw, unseen.attributes, 1.0, batch, name) if len(unseen) else unseen.images
        other = _share(judge, others, unseen.attributes)
        found.append(Composition(name, share, other, len(seen), shares, dict(by_name)))
    return tuple(found)


def asked(attributes: Sequence[str], weight: float = 1.0) -> str:
    """Attributes of one weight as text."""
    return ", ".join(name if weight == 1 else f"{name}={weight:g}" for name in attributes)


def _share(judge: Judge, images: Images, attributes: Sequence[Sequence[str]]) -> float:
    return accuracy(judge, images, attributes)[0] if len(images) else float("nan")


def _drawn(draw: Draw, rows: Sequence[Sequence[str]], weight: float, batch: int, name: str) -> Images:
    wanted = [asked(row, weight) for row in rows]
    parts = [range(start, min(start + batch, len(wanted))) for start in range(0, len(wanted), batch)]
    shown = track(parts, f"attributes at weight {weight:g}: {name}", console=Console(stderr=True))
    return np.concatenate([draw(wanted[part.start : part.stop], part) for part in shown])
