"""What a request can hold, and labels → rows of a class-conditional model's table; it knows neither torch nor numpy."""

from __future__ import annotations

from collections.abc import Sequence

from base.config import nearest
from base.errors import BadInput

Input = object
"""A prompt, a label's name or number, attributes, …: what the model's task takes. `""` is the null condition of every task."""

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
