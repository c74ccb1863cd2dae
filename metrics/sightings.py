"""How often what was requested is seen in images, name by name; it knows no judge and no images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metrics.proportions import below

LISTED = 8
"""Names that a line lists."""
VISIBLE = 0.5
"""Share of real images that show something in which a judge must see it, for its figures to say anything about it."""


@dataclass(frozen=True)
class Sightings:
    """How often a judge saw what was requested, by name; what was left free does not count."""

    counts: Mapping[str, int]
    """Images for which each was requested."""
    hits: Mapping[str, int]
    """Those of them in which the judge sees it."""

    def __add__(self, other: Sightings) -> Sightings:
        """Those of both."""
        names = {**self.counts, **other.counts}
        return Sightings(
            {name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in names},
            {name: self.hits.get(name, 0) + other.hits.get(name, 0) for name in names},
        )

    @property
    def share(self) -> float:
        """Of all that was requested; NaN where nothing was."""
        return sum(self.hits.values()) / total if (total := sum(self.counts.values())) else float("nan")

    @property
    def by_name(self) -> dict[str, float]:
        """The share of each attribute."""
        return {name: self.hits[name] / count for name, count in self.counts.items()}

    @property
    def mean(self) -> float:
        """The mean over names, in which a rare one counts as much as any other; NaN where nothing was requested."""
        return float(np.mean([*self.by_name.values()])) if self.counts else float("nan")

    def missed(self, least: float) -> list[str]:
        """Names seen less often than `least`, by more than two standard errors, the rarest sight first."""
        names = [name for name, share in self.by_name.items() if below(share, self.counts[name], least)]
        return sorted(names, key=lambda name: (self.by_name[name], name))

    def least(self, count: int) -> list[str]:
        """The names that are seen least, `count` at most; none of those that are always seen."""
        order = sorted(self.by_name, key=lambda name: (self.by_name[name], name))
        return [name for name in order if self.by_name[name] < 1][:count]

    def described(self, names: Sequence[str]) -> str:
        """`Mole 0 of 12, Fez 3 of 40`."""
        return ", ".join(f"{name} {self.hits[name]} of {self.counts[name]}" for name in names)

    def lines(self) -> list[str]:
        """Of a judge on real images, for a person: the mean over names, those seen least, those that it does not see."""
        lines = [f"the mean over {len(self.counts)} names is {self.mean:.3f} ({self.share:.3f} over all that is shown)"]
        if least := self.least(LISTED):
            lines.append(f"seen least on real images: {self.described(least)}")
        if blind := self.missed(VISIBLE):
            lines.append(f"it does not see in real images: {self.described(blind)}; its figures say nothing about them")
        return lines
