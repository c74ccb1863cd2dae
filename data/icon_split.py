"""Which pictures of things there are, and which of them no training sees; it knows nothing of pixels or captions.

Every seen thing is trained on white and on one colour in each of its styles, but for what is held out:

| kind | split | what is new |
|---|---|---|
| `seen` | validation | thing and style on another ground, white in half of them; of every second thing |
| `unseen-combination` | test | thing and style together; of every second thing |
| `unseen-ground` | test | thing and ground together; of every thing |
| `unseen-thing` | test | the thing, of several words that occur in other things' names; one in twenty |
| `unseen-style` | test | the style; of every seen thing |

A `whole` set holds out no combination and no ground: a judge is to know what a model must compose.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from data.emoji_captions import WHITE
from data.icon_captions import COLOURS, words
from data.icon_sets import Style
from data.icon_things import Thing

UNSEEN_SHARE = 0.05
"""Share of the things that are held out entirely."""

Grounds = Mapping[tuple[str, str], Sequence[str]]
"""Emoji and set → the colours on which that picture stands out. What is not in it does not exist."""


@dataclass(frozen=True)
class IconRow:
    """One picture of the set."""

    split: str
    kind: str
    """A row of the table on top of this module."""
    thing: Thing
    label: int
    """The thing's number: the seen ones in order, then the unseen."""
    style: Style
    ground: str


@dataclass(frozen=True)
class IconPlan:
    """What the rows of a set are planned from."""

    styles: Sequence[Style]
    unseen_style: Style
    grounds: Grounds
    colours: int
    """Coloured grounds in training, besides white, of each thing in each style."""
    seed: int
    whole: bool = False
    """Whether every combination of a seen thing with a style or a ground is in training."""

    def of(self, thing: Thing) -> list[Style]:
        """The trained styles in which the thing exists."""
        return [style for style in self.styles if (thing.emoji, style.icon_set) in self.grounds]

    def ordered(self, thing: Thing, purpose: str, names: Sequence[str]) -> list[str]:
        """`names` in an order of this thing's own, by a hash."""
        return sorted(names, key=lambda name: digest(self.seed, f"{purpose}/{name}", thing.emoji))

    def fitting(self, thing: Thing, style: Style, colours: Sequence[str]) -> list[str]:
        """The colours in their order, those first on which the thing stands out."""
        good = self.grounds[thing.emoji, style.icon_set]
        return sorted(colours, key=lambda colour: colour not in good)


def choose_unseen(things: Sequence[Thing], seed: int) -> list[Thing]:
    """About one thing in twenty, each composed: all its English names have several words, every word occurs in others.

    What one word names cannot be composed, and is the first that a person types.
    """
    counts = Counter(word for thing in things for word in words(thing))
    unseen: list[Thing] = []
    for thing in sorted(things, key=lambda thing: digest(seed, "unseen", thing.emoji)):
        several = all(" " in name for name in (thing.name, *thing.also))
        composed = several and all(counts[word] >= 2 for word in words(thing))
        if composed and len(unseen) < UNSEEN_SHARE * len(things) - 0.5:
            unseen.append(thing)
            counts.subtract(words(thing))
    return [thing for thing in things if thing in unseen]


def plan_rows(plan: IconPlan, seen: Sequence[Thing], unseen: Sequence[Thing]) -> list[IconRow]:
    """Every picture of the set, one of each thing in turn."""
    validated, lacking = (_every_second(seen, purpose, plan.seed) for purpose in ("validation", "combination"))
    lacking = set() if plan.whole else lacking
    planned = [
        list(_rows_of_seen(plan, thing, label, thing in validated, thing in lacking))
        for label, thing in enumerate(seen)
    ]
    planned += [list(_rows_of_unseen(plan, thing, len(seen) + index)) for index, thing in enumerate(unseen)]
    longest = max((len(rows) for rows in planned), default=0)
    return [rows[turn] for turn in range(longest) for rows in planned if turn < len(rows)]


def _rows_of_seen(plan: IconPlan, thing: Thing, label: int, validated: bool, lacking: bool) -> Iterator[IconRow]:
    styles = plan.of(thing)
    by_name = {style.icon_set: style for style in styles}
    order = [by_name[name] for name in plan.ordered(thing, "style", list(by_name))]
    missing_style = order.pop() if lacking and len(order) > 1 else None
    colours = _colours(plan, thing, order)
    missing = None if plan.whole else colours.pop(0)
    white_held_out = validated and digest(plan.seed, "white", thing.emoji)[0] < 128
    for turn, style in enumerate(order):
        own = plan.fitting(thing, style, colours[turn % len(colours) :] + colours[: turn % len(colours)])
        if turn or not white_held_out:
            yield IconRow("train", "seen", thing, label, style, WHITE)
        for colour in own[: plan.colours]:
            yield IconRow("train", "seen", thing, label, style, colour)
        if validated and not turn:
            ground = WHITE if white_held_out else own[plan.colours]
            yield IconRow("validation", "seen", thing, label, style, ground)
    if missing_style is not None:
        for ground in (WHITE, plan.fitting(thing, missing_style, colours)[0]):
            yield IconRow("test", "unseen-combination", thing, label, missing_style, ground)
    if missing is not None:
        best = min(order, key=lambda style: missing not in plan.grounds[thing.emoji, style.icon_set])
        yield IconRow("test", "unseen-ground", thing, label, best, missing)
    if (thing.emoji, plan.unseen_style.icon_set) in plan.grounds:
        on_white = digest(plan.seed, "unseen style", thing.emoji)[0] < 128
        ground = WHITE if on_white else plan.fitting(thing, plan.unseen_style, colours)[0]
        yield IconRow("test", "unseen-style", thing, label, plan.unseen_style, ground)


def _rows_of_unseen(plan: IconPlan, thing: Thing, label: int) -> Iterator[IconRow]:
    colours = plan.ordered(thing, "colour", COLOURS)
    for turn, style in enumerate(plan.of(thing)):
        colour = plan.fitting(thing, style, colours[turn:] + colours[:turn])[0]
        for ground in (WHITE, colour):
            yield IconRow("test", "unseen-thing", thing, label, style, ground)


def _colours(plan: IconPlan, thing: Thing, styles: Sequence[Style]) -> list[str]:
    """All colours in this thing's order; the first, which may be held out, is one on which it stands out."""
    order = plan.ordered(thing, "colour", COLOURS)
    good = {colour for style in styles for colour in plan.grounds[thing.emoji, style.icon_set]}
    first = next((colour for colour in order if colour in good), order[0])
    return [first, *(colour for colour in order if colour != first)]


def _every_second(things: Sequence[Thing], purpose: str, seed: int) -> set[Thing]:
    order = sorted(things, key=lambda thing: digest(seed, purpose, thing.emoji))
    return set(order[: (len(order) + 1) // 2])


def digest(seed: int, purpose: str, key: str) -> bytes:
    """32 bytes that are the same on every machine, and unlike those of any other seed, purpose or key."""
    return hashlib.sha256(f"{seed}/{purpose}/{key}".encode()).digest()
