"""Draw one pixel-art character of named parts and colours; it knows nothing of how often what appears, nor of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

SIDE = 24
"""Pixels of a picture's side."""
ART = Path(__file__).with_name("avatars.yaml")
"""The drawings of all parts, as letters, and the colours of the letters."""
TRANSPARENT = ord(".")
"""The letter that lets what is beneath show."""
HAIR = "hair"
"""The slot that hats cover."""
TONES, CLOTHES = "1234", "abc"
"""The letters of a part's own colour, and of the clothes', from light to deep."""
DISTINCT = 40
"""The distance in RGB, of 0 to 255 each, from which two colours count as different: as far as a tone from the next."""

Pixels = NDArray[np.uint8]
"""`(24, 24)` letters, or `(24, 24, 3)` RGB."""


@dataclass(frozen=True)
class Part:
    """A type or an accessory: its picture, and where it may appear."""

    name: str
    slot: str
    weight: float
    """How often it appears, relative to the others of its slot."""
    letters: Pixels
    """`(24, 24)`, transparent where nothing is drawn."""
    colours: tuple[str, ...] = ()
    """One is chosen for each character; `skin`, `hair` and `dyed` stand for what the character has."""
    types: tuple[str, ...] = ()
    """The types that may wear it; none named: all that have the slot."""
    without: tuple[str, ...] = ()
    """Slots that stay empty where it is worn."""
    covers: int = 0
    """Rows of hair, from the top, that it hides."""


@dataclass(frozen=True)
class Art:
    """All that characters are made of."""

    types: Mapping[str, Part]
    slots_of: Mapping[str, tuple[str, ...]]
    """Type → the slots it has, in the order in which they are drawn."""
    slots: Mapping[str, float]
    """Slot → how often it holds anything, in the order in which they are drawn."""
    parts: Mapping[str, Part]
    colours: Mapping[str, Pixels]
    """Name → four tones `(4, 3)` from light to deep."""
    inks: Pixels
    """`(128, 3)`: the colour of every letter that has one of its own."""
    backgrounds: tuple[str, ...]
    palettes: Mapping[str, tuple[str, ...]]
    """`hair`, `dyed`, `clothes` → the names of the colours from which one is chosen."""


@dataclass(frozen=True)
class Character:
    """One picture: what it shows, and the colours that no attribute names."""

    type: str
    parts: tuple[str, ...]
    """Names, in any order, of different slots."""
    colours: Mapping[str, str]
    """`skin`, `hair`, `dyed`, `clothes`, `background`, and the colour of every part that has several."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """The type, then the parts in the order in which they are drawn."""
        known = art()
        order = list(known.slots)
        return (self.type, *sorted(self.parts, key=lambda name: order.index(known.parts[name].slot)))


@lru_cache(maxsize=1)
def art() -> Art:
    """Read all types, parts and colours from `avatars.yaml`, once a process."""
    content = yaml.safe_load(ART.read_text(encoding="utf-8"))
    inks = np.zeros((128, 3), np.uint8)
    for letter, colour in content["inks"].items():
        inks[ord(letter)] = _rgb(colour)
    return Art(
        types={entry["name"]: _part({"slot": "type", **entry}) for entry in content["types"]},
        slots_of={entry["name"]: tuple(entry["slots"]) for entry in content["types"]},
        slots=content["slots"],
        parts={entry["name"]: _part(entry) for entry in content["parts"]},
        colours={name: np.array([_rgb(tone) for tone in tones]) for name, tones in content["colours"].items()},
        inks=inks,
        backgrounds=tuple(content["backgrounds"]),
        palettes={name: tuple(content[name]) for name in ("hair", "dyed", "clothes")},
    )


def slots() -> dict[str, tuple[str, ...]]:
    """Every slot, the type first, with the names of what it may hold."""
    known = art()
    of_slots = {slot: tuple(part.name for part in known.parts.values() if part.slot == slot) for slot in known.slots}
    return {"type": tuple(known.types), **of_slots}


def draw(character: Character) -> Pixels:
    """Draw the picture of a character: `(24, 24, 3)` RGB."""
    return _paint(character)[0]


def shown(character: Character) -> dict[str, float]:
    """Name of each part → the share of it, from 0 to 1, that nothing drawn later hides and no colour beneath swallows."""
    return _paint(character)[1]


def _paint(character: Character) -> tuple[Pixels, dict[str, float]]:
    """The picture, and the share of each part that differs visibly from what it is drawn over."""
    known = art()
    canvas = np.empty((SIDE, SIDE, 3), np.uint8)
    canvas[:] = _rgb(character.colours["background"])
    visible: dict[str, NDArray[np.bool_]] = {}
    for part, opaque in (layers := _layers(character)):
        inks = known.inks.copy()
        inks[[ord(letter) for letter in CLOTHES]] = known.colours[character.colours["clothes"]][: len(CLOTHES)]
        if part.colours:
            inks[[ord(letter) for letter in TONES]] = known.colours[_colour(part, character)]
        painted = np.where(opaque[..., None], inks[part.letters], canvas)
        visible = {name: where & ~opaque for name, where in visible.items()}
        visible[part.name] = np.linalg.norm(painted.astype(float) - canvas, axis=2) >= DISTINCT
        canvas = painted
    return canvas, {part.name: visible[part.name].sum() / (part.letters != TRANSPARENT).sum() for part, _ in layers}


def _layers(character: Character) -> list[tuple[Part, NDArray[np.bool_]]]:
    """The parts from below to above, and where each is drawn."""
    known, names = art(), character.attributes
    parts = [known.types[names[0]], *(known.parts[name] for name in names[1:])]
    covered = max(part.covers for part in parts)
    layers = [(part, part.letters != TRANSPARENT) for part in parts]
    for part, opaque in layers:
        if part.slot == HAIR:
            opaque[:covered] = False
    return layers


def _colour(part: Part, character: Character) -> str:
    """The one colour of a part: the character's own where the art says so, else what was chosen for the part."""
    if part.slot == "type":
        return character.colours["skin"]
    shared = part.colours[0] if part.colours[0] in ("skin", "hair", "dyed") else part.name
    return character.colours[shared]


def _part(entry: Mapping[str, Any]) -> Part:
    letters = np.full((SIDE, SIDE), TRANSPARENT, np.uint8)
    left, top = entry["at"]
    for row, line in enumerate(entry["pixels"].splitlines(), start=top):
        letters[row, left : left + len(line)] = np.frombuffer(line.encode("ascii"), np.uint8)
    several = {name: tuple(entry.get(name, ())) for name in ("colours", "types", "without")}
    return Part(entry["name"], entry["slot"], entry["weight"], letters, **several, covers=entry.get("covers", 0))


def _rgb(colour: str | int) -> Pixels:
    return np.frombuffer(bytes.fromhex(str(colour)), np.uint8)
