"""The things that icons show, as one types them in English and French; it knows nothing of sets, pictures or captions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("icon_things.tsv")
CATEGORIES = ("smileys", "hearts", "animals", "nature", "food", "travel", "activities", "objects")


@dataclass(frozen=True)
class Thing:
    """One row of the table."""

    emoji: str
    """The character, fully qualified."""
    category: str
    name: str
    """What captions call it; no two things share a name."""
    name_fr: str
    also: tuple[str, ...]
    """Other names, none of which is another thing's."""
    also_fr: tuple[str, ...]
    icons: tuple[str, ...]
    """What sets without code points call its icon, the first that they have."""
    wrong: tuple[str, ...]
    """Sets whose icon of that name shows something else, or is broken."""


@cache
def things() -> tuple[Thing, ...]:
    """All things in the order of the table: Unicode's, alike things together."""
    header, *lines = TABLE.read_text(encoding="utf-8").rstrip("\n").split("\n")
    assert header.split("\t") == ["emoji", "category", "name", "name_fr", "also", "also_fr", "icons", "wrong"]
    return tuple(_thing(line) for line in lines)


def _thing(line: str) -> Thing:
    emoji, category, name, name_fr, also, also_fr, icons, wrong = line.split("\t")
    return Thing(
        emoji, category, name, name_fr, _list(also), _list(also_fr), tuple(icons.split()), tuple(wrong.split())
    )


def _list(cell: str) -> tuple[str, ...]:
    return tuple(name for name in cell.split(", ") if name)
