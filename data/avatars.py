"""Draw pixel-art characters from a grammar with the schema of the CryptoPunks; it knows nothing of who reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from base.errors import BadInput
from data import attributed, labelled
from data.attributed import Attributed
from data.avatars_art import ART, Character, Part, art, draw, shown, slots
from data.cleaning_report import CleaningReport, finished

MADE_BY = "ippo data avatars"
COUNT = 10_000
"""Characters of a set for which no count is given."""
SHOWN = 0.3
"""The least share of every part of a character, from 0 to 1, that must be visible."""
LEAST, MOST = 100, 50_000
"""Accepted counts of characters."""
SHARE = 20
"""One picture in so many is held out for `validation`, as many for `test`, and about as many more are of unseen pairs."""


def avatars(out: Path, count: int = COUNT, seed: int = 0) -> CleaningReport:
    """Write an imagefolder of `count` different characters of 24×24 pixels, the same for a seed on every machine.

    A folder made before with the same parameters is left as it is. BadInput: a count out of range, or a folder at `out`
    that this did not make.
    """
    if not LEAST <= count <= MOST:
        raise BadInput(f"count {count}: accepted are {LEAST} to {MOST} characters")
    plan = labelled.plan(MADE_BY, out, {"count": count, "seed": seed}, {}, Path(__file__), ART)
    if (existing := finished(plan)) is not None:
        return existing
    rng = np.random.Generator(np.random.Philox(key=seed))
    rows: dict[bytes, Attributed] = {}
    for character in characters(rng):
        picture = draw(character)
        rows.setdefault(picture.tobytes(), Attributed(picture, character.attributes))
        if len(rows) == count:
            break
    return attributed.write(plan, attributed.split(list(rows.values()), count // SHARE, rng), slots())


def characters(rng: np.random.Generator) -> Iterator[Character]:
    """Yield characters without end: a type, then slot by slot in random order what it wears, then the colours.

    Those in which something is hidden, or has the colour of its ground, are left out: whatever has a name can be seen.
    """
    known = art()
    while True:
        kind = _choose(list(known.types.values()), rng)
        parts: dict[str, Part] = {}
        for index in rng.permutation(len(slots_of := known.slots_of[kind.name])).tolist():
            slot = slots_of[index]
            if rng.random() >= known.slots[slot]:
                continue
            fitting = [part for part in known.parts.values() if part.slot == slot and _fits(part, kind.name, parts)]
            if fitting:
                parts[slot] = _choose(fitting, rng)
        names = tuple(part.name for part in parts.values())
        character = Character(kind.name, names, _colours(kind, list(parts.values()), rng))
        if min(shown(character).values()) >= SHOWN:
            yield character


def _fits(part: Part, kind: str, parts: dict[str, Part]) -> bool:
    """Whether a character of this type that wears `parts` may wear `part` as well."""
    if part.types and kind not in part.types:
        return False
    return not any(part.slot in other.without or other.slot in part.without for other in parts.values())


def _choose(parts: list[Part], rng: np.random.Generator) -> Part:
    weights = np.array([part.weight for part in parts], dtype=np.float64)
    return parts[int(np.searchsorted(weights.cumsum(), rng.random() * weights.sum(), side="right"))]


def _colours(kind: Part, parts: list[Part], rng: np.random.Generator) -> dict[str, str]:
    """Choose the colours that no attribute names: every character draws the same number of times, whatever it wears."""
    known = art()
    choices = {"skin": kind.colours, "background": known.backgrounds, **known.palettes}
    choices |= {part.name: part.colours for part in parts if part.colours}
    return {name: names[int(rng.integers(len(names)))] for name, names in choices.items()}
