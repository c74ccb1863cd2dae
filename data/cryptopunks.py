"""Read the CryptoPunks as they are published, a folder of 24×24 images and tables; it knows nothing of who reads them.

Tables are CSV files with the columns `id, type, accessories` (others are left alone), one or a thousand punks each, the
accessories separated by ` / `. Newer ones have `gender` and `skin tone` as well, and the type `Human`. An image's name ends in
its punk's number; or all punks are in one `punks.png`, row by row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from base import table_reader
from base.config import nearest
from base.errors import BadInput
from base.progress import track
from data import attributed, labelled
from data.attributed import Attributed
from data.cleaning_report import CleaningReport, Dropped, finished
from data.decode import UnreadableError, to_rgb

MADE_BY = "ippo data cryptopunks"
SIDE = 24
"""Pixels of a picture's side."""
BACKGROUND = (99, 133, 150)
"""RGB behind the transparent images: the colour that punks are shown on."""
LISTED = 3
"""Mismatches of each kind that an error names."""

SLOTS: dict[str, tuple[str, ...]] = {
    "type": ("Male", "Female", "Zombie", "Ape", "Alien"),
    "head": (
        *("Bandana", "Beanie", "Blonde Bob", "Blonde Short", "Cap", "Cap Forward", "Clown Hair Green", "Cowboy Hat"),
        *("Crazy Hair", "Dark Hair", "Do-rag", "Fedora", "Frumpy Hair", "Half Shaved", "Headband", "Hoodie"),
        *("Knitted Cap", "Messy Hair", "Mohawk", "Mohawk Dark", "Mohawk Thin", "Orange Side", "Peak Spike", "Pigtails"),
        *("Pilot Helmet", "Pink With Hat", "Police Cap", "Purple Hair", "Red Mohawk", "Shaved Head", "Straight Hair"),
        *("Straight Hair Blonde", "Straight Hair Dark", "Stringy Hair", "Tassle Hat", "Tiara", "Top Hat"),
        *("Vampire Hair", "Wild Blonde", "Wild Hair", "Wild White Hair"),
    ),
    "eyes": (
        *("3D Glasses", "Big Shades", "Blue Eye Shadow", "Classic Shades", "Clown Eyes Blue", "Clown Eyes Green"),
        *("Eye Mask", "Eye Patch", "Green Eye Shadow", "Horned Rim Glasses", "Nerd Glasses", "Purple Eye Shadow"),
        *("Regular Shades", "Small Shades", "VR", "Welding Goggles"),
    ),
    "facial hair": (
        *("Big Beard", "Chinstrap", "Front Beard", "Front Beard Dark", "Goat", "Handlebars", "Luxurious Beard"),
        *("Mustache", "Muttonchops", "Normal Beard", "Normal Beard Black", "Shadow Beard"),
    ),
    "mouth": ("Black Lipstick", "Buck Teeth", "Frown", "Hot Lipstick", "Purple Lipstick", "Smile"),
    "in the mouth": ("Cigarette", "Medical Mask", "Pipe", "Vape"),
    "cheeks": ("Mole", "Rosy Cheeks", "Spots"),
    "nose": ("Clown Nose",),
    "ears": ("Earring",),
    "neck": ("Choker", "Gold Chain", "Silver Chain"),
}
"""The five types and 87 accessories; which exclude each other is refined by the table."""

_KNOWN = {name.casefold(): name for names in SLOTS.values() for name in names}


TONE = "skin tone"
"""Column of newer tables that is kept beside the attributes."""
_HUMAN = "human"
"""A type of newer tables, whose gender is the type of the others."""


@dataclass(frozen=True)
class _Row:
    """One line of a table, and where it stands."""

    attributes: tuple[str, ...]
    where: str
    tone: str = ""


@dataclass(frozen=True)
class _Place:
    """Where a punk's picture is: a file, or a tile of one."""

    path: Path
    tile: int | None = None
    sheet: NDArray[np.uint8] | None = None
    """The file's pixels, `(H, W, 3)` RGB, where it shows many."""

    @property
    def name(self) -> str:
        """As a message names it."""
        return self.path.name if self.tile is None else f"tile {self.tile} of {self.path.name}"


def cryptopunks(source: str | Path, out: Path, seed: int = 0) -> CleaningReport:
    """Write the set in `source` as an imagefolder; damaged images are dropped and listed.

    A folder made before with the same parameters is left as it is. BadInput, naming the first mismatches: no folder,
    nothing in it, a table that cannot be read or does not match the images, or a folder at `out` that this did not make.
    """
    folder = Path(source)
    plan = labelled.plan(MADE_BY, out, {"source": str(source), "seed": seed}, {}, Path(__file__))
    if (existing := finished(plan)) is not None:
        return existing
    images, table = _images(folder), _table(folder)
    _match(folder, images, table)
    dropped: list[Dropped] = []
    rows = list(_read(folder, images, table, dropped))
    if not rows:
        raise BadInput(f"{folder}: none of the {len(images)} images can be used: {dropped[0].what}: {dropped[0].why}")
    rng = np.random.Generator(np.random.Philox(key=seed))
    splits = attributed.split(rows, max(1, len(rows) // 20), rng)
    if not splits["train"]:
        raise BadInput(f"{folder}: {len(rows)} images are too few for three splits")
    return attributed.write(plan, splits, exclusive([row.attributes for row in rows]), dropped)


def exclusive(rows: Sequence[tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The slots that fit `rows`: `SLOTS`, but a name that any row shows with another of its slot gets a slot of its own."""
    slot_of = {name: slot for slot, names in SLOTS.items() for name in names}
    alone = {
        name
        for names in rows
        for name in names
        if any(slot_of[other] == slot_of[name] for other in names if other != name)
    }
    shared = {slot: tuple(name for name in names if name not in alone) for slot, names in SLOTS.items()}
    return {slot: names for slot, names in shared.items() if names} | {name: (name,) for name in sorted(alone)}


def _images(folder: Path) -> dict[int, _Place]:
    """Punk → image: those of files of their own, and of a sheet what these lack.

    BadInput: no folder, none there, or two of one number.
    """
    if not folder.is_dir():
        raise BadInput(f"no folder {folder}: give the folder of the images and their tables")
    images: dict[int, _Place] = {}
    sheets = []
    for path in sorted(folder.rglob("*.png")):
        number = re.search(r"\d+$", path.stem)
        if path.stem.casefold().startswith("punks"):
            sheets.append(path)
        elif number is not None and (twin := images.setdefault(int(number[0]), _Place(path))).path != path:
            raise BadInput(f"{folder}: {twin.name} and {path.name} are both punk {int(number[0])}")
    for path in sheets:
        sheet = _sheet(path)
        for tile in range(sheet.shape[0] // SIDE * (sheet.shape[1] // SIDE)):
            images.setdefault(tile, _Place(path, tile, sheet))
    if not images:
        raise BadInput(
            f"no images in {folder}: accepted are punks.png, or PNGs whose names end in a number, such as punk0042.png"
        )
    return images


def _sheet(path: Path) -> NDArray[np.uint8]:
    """Many punks, `(H, W, 3)` RGB. BadInput: it is damaged, or not made of squares of 24 pixels."""
    try:
        sheet = np.asarray(to_rgb(path, BACKGROUND))
    except UnreadableError as reason:
        raise BadInput(f"{path}: {reason}") from None
    height, width, _ = sheet.shape
    if width % SIDE or height % SIDE:
        raise BadInput(f"{path} is {width}x{height}; accepted: {SIDE}x{SIDE} pixels a punk, 2400x2400 for all")
    return sheet


def _table(folder: Path) -> dict[int, _Row]:
    """Punk → what the tables say; rows that agree are one. BadInput: no table, or a line that cannot be read."""
    table: dict[int, _Row] = {}
    for path in sorted(folder.rglob("*.csv")):
        for number, row in _lines(path):
            known = table.setdefault(number, row)
            if set(known.attributes) != set(row.attributes):
                raise BadInput(
                    f"{row.where}: punk {number} stands in {known.where} already, with other attributes: "
                    f"{', '.join(known.attributes)}"
                )
            if row.tone and not known.tone:
                table[number] = replace(known, tone=row.tone)
    if not table:
        raise BadInput(f"no table in {folder}: accepted are CSV files with the columns id, type and accessories")
    return table


def _lines(path: Path) -> Iterator[tuple[int, _Row]]:
    for line in table_reader.read(path):
        where = line.where.replace(str(path), path.name)
        texts = {name.strip().casefold(): line.text(name) for name in line.values}
        if missing := [name for name in ("id", "type", "accessories") if name not in texts]:
            raise BadInput(f"{path} has no column '{missing[0]}'{nearest(missing[0], texts)}")
        number = table_reader.whole(texts["id"])
        if number is None:
            raise BadInput(f"{where}: id '{texts['id']}' is not a number; is the file cut short?")
        kind = re.sub(r"\s*\d+$", "", texts["type"])  # `Male 2`: the second skin tone
        kind = texts.get("gender", "") if kind.casefold() == _HUMAN else kind
        names = [name.strip() for name in texts["accessories"].split("/") if name.strip()]
        attributes = (_known(kind, where, types=True), *_accessories(names, where))
        yield number, _Row(attributes, where, texts.get(TONE, ""))


def _accessories(names: Sequence[str], where: str) -> tuple[str, ...]:
    known = tuple(_known(name, where, types=False) for name in names)
    if len(set(known)) < len(known):
        raise BadInput(f"{where}: an accessory stands there twice: {', '.join(known)}")
    return known


def _known(name: str, where: str, types: bool) -> str:
    known = _KNOWN.get(name.casefold(), "")
    accepted = [other for other in _KNOWN.values() if (other in SLOTS["type"]) == types]
    if known not in accepted:
        raise BadInput(f"{where}: no {'type' if types else 'accessory'} '{name}'{nearest(name, accepted)}")
    return known


def _match(folder: Path, images: Mapping[int, _Place], table: Mapping[int, _Row]) -> None:
    """BadInput with the first mismatches, where rows and images are not of the same punks."""
    without_image = [
        f"no image of punk {number} ({table[number].where})" for number in sorted(set(table) - set(images))
    ]
    without_row = [f"no row for {images[number].name}" for number in sorted(set(images) - set(table))]
    if without_image or without_row:
        first = [*without_image[:LISTED], *without_row[:LISTED]]
        count = len(without_image) + len(without_row)
        more = f"; {count} in all" if count > len(first) else ""
        raise BadInput(f"{folder}: table and images do not match: {', '.join(first)}{more}")


def _read(
    folder: Path, images: Mapping[int, _Place], table: Mapping[int, _Row], dropped: list[Dropped]
) -> Iterator[Attributed]:
    toned = any(row.tone for row in table.values())
    for number, place in track(sorted(images.items()), "reading images", console=Console(stderr=True)):
        try:
            picture = _picture(place)
        except UnreadableError as reason:
            dropped.append(Dropped(place.path.relative_to(folder).as_posix(), str(reason)))
            continue
        tone = {"skin_tone": table[number].tone} if toned else {}
        yield Attributed(picture, table[number].attributes, {"punk": number, **tone})


def _picture(place: _Place) -> NDArray[np.uint8]:
    """`(24, 24, 3)` RGB of a punk. UnreadableError: a damaged file, or one of another size."""
    if place.sheet is not None and place.tile is not None:
        top, left = (SIDE * index for index in divmod(place.tile, place.sheet.shape[1] // SIDE))
        return place.sheet[top : top + SIDE, left : left + SIDE]
    picture = np.asarray(to_rgb(place.path, BACKGROUND))
    if picture.shape != (SIDE, SIDE, 3):
        raise UnreadableError(f"not {SIDE}x{SIDE} pixels")
    return picture
