"""A request for attributes, each of its own weight → one number an attribute; it knows neither torch nor numpy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from base.config import closest
from base.errors import BadInput

Slots = Mapping[str, Sequence[str]]
"""Slot → the attributes that exclude each other in it; their order is that of the weights."""

HEAVIEST = 3.0
"""The largest weight; the smallest, 0, leaves the attribute free."""
_SUCH_AS = 3
_LIKENESS = 0.6
_EXAMPLE_WEIGHTS = (1.0, 2.0, 1.5, 3.0, 0.5)


def attribute_weights(request: object, slots: Slots) -> list[float]:
    """A weight `(A,)` for every attribute of `slots`, 0 for those that are left free; `""` leaves all of them free.

    `request`: weights by name, names (each of weight 1), or both as text: `Zombie, Cap=2`. BadInput: no such attribute,
    one that is named twice, two of one slot, or a weight outside of [0, 3].
    """
    weights: dict[str, float] = {}
    names = [name for slot in slots.values() for name in slot]
    for name, weight in _pairs(request):
        if name not in names:
            raise BadInput(f"attribute {name!r:.40} is unknown{_nearest(name, slots)}")
        if name in weights:
            raise BadInput(f"attribute '{name}' is named twice")
        weights[name] = _weight(name, weight)
    for slot, exclusive in slots.items():
        if len(both := [name for name in exclusive if weights.get(name)]) > 1:
            raise BadInput(f"attributes '{both[0]}' and '{both[1]}' exclude each other: one {slot} at most")
    return [weights.get(name, 0.0) for name in names]


def attribute_text(weights: Sequence[float], slots: Slots) -> str:
    """Weights as `attribute_weights` returns them → the text that it reads back: `Zombie, Cap=2`, without what is left free."""
    names = [name for slot in slots.values() for name in slot]
    named = [(name, float(weight)) for name, weight in zip(names, weights, strict=True) if weight]
    return ", ".join(name if weight == 1 else f"{name}={_plain(weight)}" for name, weight in named)


def attribute_examples(slots: Slots, count: int) -> list[dict[str, float]]:
    """`count` requests, always the same: an attribute of the first slot and one of another, of several weights."""
    first, *others = ([*names] for names in slots.values()) if slots else [[]]
    requests = []
    for turn in range(count if first else 0):
        second = others[turn % len(others)] if others else first
        names = dict.fromkeys((first[turn % len(first)], second[turn % len(second)]))
        requests.append(
            {name: _EXAMPLE_WEIGHTS[(turn + index) % len(_EXAMPLE_WEIGHTS)] for index, name in enumerate(names)}
        )
    return requests


def _plain(weight: float) -> str:
    """Without a point where it is whole, and otherwise exactly."""
    return f"{weight:g}" if weight == int(weight) else repr(weight)


def _pairs(request: object) -> Iterable[tuple[object, object]]:
    if isinstance(request, Mapping):
        return request.items()
    if isinstance(request, str):
        items = [item.strip() for item in request.split(",") if item.strip()]
        split = [item.partition("=") for item in items]
        return [(name.strip(), weight.strip() if sign else 1.0) for name, sign, weight in split]
    if isinstance(request, Sequence):
        return [(name, 1.0) for name in request]
    raise BadInput(f"attributes must be weights by name, names, or text such as 'Cap=2', got {request!r:.40}")


def _weight(name: str, weight: object) -> float:
    try:
        value = math.nan if isinstance(weight, bool) else float(weight)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not 0.0 <= value <= HEAVIEST:
        raise BadInput(f"weight {weight!r:.20} of attribute '{name}' is refused; accepted: 0 to {HEAVIEST:g}")
    return value


def _nearest(name: object, slots: Slots) -> str:
    """The closest attribute, or else what the slots hold: whoever sends a prompt learns what this model is asked for."""
    if close := closest(str(name), [known for names in slots.values() for known in names], _LIKENESS):
        return f"; did you mean '{close}'?"
    some = [f"{slot} ({_first(list(names), ', ')})" for slot, names in slots.items()]
    return f"; accepted are attributes, one of each slot: {_first(some, ', ')}"


def _first(names: Sequence[str], between: str) -> str:
    return between.join([*names[:_SUCH_AS], *(["…"] if len(names) > _SUCH_AS else [])])
