"""What a page may show for a task's input: a text box, a choice, pickers with weights; it knows no page and no task."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from models.attributes import HEAVIEST, Slots
from models.labels import Input

LISTED = 20
"""Up to so many choices are shown at once."""


@dataclass(frozen=True)
class Control:
    """What a page shows for the input; this one shows nothing."""

    label: str = ""

    def read(self, values: Sequence[object]) -> Input:
        """Values of the control's widgets, in their order → the input that they mean."""
        return str(values[0]) if values and values[0] is not None else ""


@dataclass(frozen=True)
class TextBox(Control):
    """Text is typed."""

    placeholder: str = ""


@dataclass(frozen=True)
class Choice(Control):
    """One of several names is chosen, the first at the start."""

    choices: tuple[str, ...] = ()

    @property
    def listed(self) -> bool:
        """Whether there are so few that all are shown at once."""
        return len(self.choices) <= LISTED


@dataclass(frozen=True)
class Pickers(Control):
    """A name or nothing is picked in each slot, with a weight from 0; as text `Zombie, Cap=2`."""

    slots: Slots = dataclasses.field(default_factory=dict)
    heaviest: float = HEAVIEST

    def read(self, values: Sequence[object]) -> Input:
        """A name (or nothing) and a weight for each slot → weights by name."""
        pairs = zip(values[::2], values[1::2], strict=True)
        return {str(name): float(str(weight)) for name, weight in pairs if name}
