"""What a new shape and size took from pictures, or added to them, and which of it should be told; it knows no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from data.near_duplicates import Fingerprint

Size = tuple[int, int]
"""(W, H) in pixels."""
CUT, ENLARGED = 0.3, 2.0
"""Share of a picture's pixels, and times in each direction, above which it is told."""


@dataclass(frozen=True)
class Converted:
    """What one picture was, and what became of it."""

    look: Fingerprint
    """Of its pixels as decoded."""
    size: Size
    """As decoded, or trimmed."""
    written: Size
    """In the set."""

    def scale(self, fit: str) -> float:
        """How many times larger it is in the set, each way: what is cut fills the new shape, what is padded lies in it."""
        scales = [new / old for new, old in zip(self.written, self.size, strict=True)]
        return max(scales) if fit == "crop" else min(scales)

    def lost(self, fit: str) -> float:
        """Share of its pixels that a cut to the new shape leaves out."""
        return 1 - self.scale("pad") / self.scale("crop") if fit == "crop" else 0.0


def notes(made: Mapping[str, Converted], fit: str) -> list[str]:
    """Pictures by name → a line on those that lose much, and one on those that are enlarged: how many, and the worst."""
    lines = []
    lost = {name: share for name, one in made.items() if (share := one.lost(fit)) > CUT}
    if lost:
        name = max(lost, key=lambda name: lost[name])
        lines.append(
            f"{len(lost)} of {len(made)} pictures lose more than {CUT:.0%} to the cut, the most {name}: {lost[name]:.0%} of "
            f"{_by(made[name].size)} for {_by(made[name].written)}; fit pad keeps them whole"
        )
    larger = {name: scale for name, one in made.items() if (scale := one.scale(fit)) > ENLARGED}
    if larger:
        name = max(larger, key=lambda name: larger[name])
        lines.append(
            f"{len(larger)} of {len(made)} pictures are enlarged more than {ENLARGED:g} times, the most {name}: from "
            f"{_by(made[name].size)} to {_by(made[name].written)}; a smaller size blurs none"
        )
    return lines


def _by(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
