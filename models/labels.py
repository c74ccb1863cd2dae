"""What a request can hold, and labels → rows of a class-conditional model's table; it knows neither torch nor numpy.

Shapes: `H W` pixels, `T` tokens of a picture, `D` width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from base.config import nearest
from base.errors import BadInput

Input = object
"""A prompt, a label's name or number, attributes, …: what the model's task takes. `""` is the null condition of every task."""


@dataclass(frozen=True, eq=False)
class Wish:
    """What text and pictures say together of one image to draw; what is left out says nothing."""

    prompt: str = ""
    content: Any | None = None
    """The picture whose thing is drawn: `(H, W, 3)` uint8, or its tokens `(T/2, D)` float32."""
    style: Any | None = None
    """The picture in whose style it is drawn, in the same forms."""
    mix: float | None = None
    """Share of the prompt beside the pictures, 0 to 1; none: half where both are there, else all of what is."""

    focus: float | None = None
    """0: the content picture's content alone, and of a style picture beside it the style alone; 1: the other way round; ½ or
    none: as they are. Told apart by principal components of a picture's local tokens (`models.context_focus`)."""

    @property
    def focuses(self) -> tuple[float, float]:
        """Of the content picture, and of the style picture: that of one alone is `focus`."""
        own = 0.5 if self.focus is None else self.focus
        return own, own if self.content is None else 1 - own

    @property
    def share(self) -> float:
        """`mix`, or what stands for none."""
        pictures = self.content is not None or self.style is not None
        default = 1.0 if not pictures else 0.5 if self.prompt else 0.0
        return default if self.mix is None else self.mix

    def __str__(self) -> str:
        """The prompt, and which pictures come with it."""
        pictures = [name for name in ("content", "style") if getattr(self, name) is not None]
        return " + ".join([*([self.prompt] if self.prompt else []), *pictures])


@dataclass(frozen=True, eq=False)
class Seen:
    """One picture to write about."""

    image: Any
    """`(H, W, 3)` uint8, or its tokens `(T, D)` float32."""
    column: str = ""
    """Which of the model's kinds of caption is wanted; empty: any."""

    def __str__(self) -> str:
        return self.column or ANY


ANY = "any"
"""The kind of caption that may be each of them."""


def caption_kind(name: str, kinds: Sequence[str]) -> str:
    """The kind of caption that a `Seen` picture is given: `name`, without one the first of `kinds`; `any` is empty there.

    BadInput: the model does not know it.
    """
    if name in kinds or not name:
        return name or next(iter(kinds), "")
    if name != ANY:
        accepted = f"accepted: {', '.join(kinds)}, {ANY}" if kinds else "this model has no kinds of caption"
        raise BadInput(f"as '{name:.40}' is unknown; {accepted}")
    return ""


_LISTED = 20
_DIGITS = 9


def class_id(label: object, classes: Sequence[str]) -> int:
    """The row of a label: its number from 0, or its name; `""` is the null condition, the row after the last class.

    Without classes (an unconditional model) every input is the null condition. BadInput: no such class.
    """
    if not classes or label == "":
        return len(classes)
    if isinstance(label, str) and label in classes:
        return list(classes).index(label)
    if isinstance(label, str) and not (label.isascii() and label.isdigit() and len(label) <= _DIGITS):
        raise BadInput(f"label {_short(label)} is unknown{_accepted(label, classes)}")
    if isinstance(label, bool) or not isinstance(label, int | str):
        raise BadInput(f"label {_short(label)} is neither a number nor a name{_accepted('', classes)}")
    if not 0 <= int(label) < len(classes):
        raise BadInput(f"label {_short(label)} is out of range; accepted: 0 to {len(classes) - 1}")
    return int(label)


def _accepted(label: str, classes: Sequence[str]) -> str:
    close = nearest(label, classes)
    return close if len(classes) <= _LISTED or "did you mean" in close else f"; accepted: 0 to {len(classes) - 1}"


def _short(label: object) -> str:
    text = repr(label)
    return text if len(text) <= 40 else text[:37] + "..."
