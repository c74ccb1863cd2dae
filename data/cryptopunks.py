"""Read the CryptoPunks as they are published, a folder of 24×24 images and tables; it knows nothing of who reads them.

Tables are CSV files with the columns `id, type, accessories` (others are left alone), one or a thousand punks each, the
accessories separated by ` / `; an image's name ends in its punk's number.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from base.config import nearest
from base.errors import BadInput
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


@dataclass(frozen=True)
class _Row:
    """One line of a table, and where it stands."""

    attributes: tuple[str, ...]
    where: str


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


def _images(folder: Path) -> dict[int, Path]:
    """Punk → image. BadInput: no folder, none there, or two of one number."""
    if not folder.is_dir():
        raise BadInput(f"no folder {folder}: give the folder of the images and their tables")
    images: dict[int, Path] = {}
    for path in sorted(folder.rglob("*.png")):
        number = re.search(r"\d+$", path.stem)
        if number is None:
            continue
        if (twin := images.setdefault(int(number[0]), path)) != path:
            raise BadInput(f"{folder}: {twin.name} and {path.name} are both punk {int(number[0])}")
    if not images:
        raise BadInput(f"no images in {folder}: accepted are PNGs whose names end in a number, such as punk0042.png")
    return images


def _table(folder: Path) -> dict[int, _Row]:
    """Punk → what the tables say. BadInput: no table, or a line that cannot be read."""
    table: dict[int, _Row] = {}
    for path in sorted(folder.rglob("*.csv")):
        for number, row in _lines(path):
            if number in table:
                raise BadInput(f"{row.where}: punk {number} stands in {table[number].where} already")
            table[number] = row
    if not table:
        raise BadInput(f"no table in {folder}: accepted are CSV files with the columns id, type and accessories")
    return table


def _lines(path: Path) -> Iterator[tuple[int, _Row]]:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8 text") from None
    reader = csv.DictReader(io.StringIO(content, newline=""), skipinitialspace=True)
    columns = {name.strip().casefold(): name for name in reader.fieldnames or ()}
    if missing := [name for name in ("id", "type", "accessories") if name not in columns]:
        raise BadInput(f"{path} has no column '{missing[0]}'{nearest(missing[0], columns)}")
    for line in reader:
        where = f"{path.name} line {reader.line_num}"
        texts = {name: (line[column] or "").strip() for name, column in columns.items()}
        if not texts["id"].isdecimal():
            raise BadInput(f"{where}: id '{texts['id']}' is not a number; is the file cut short?")
        kind = re.sub(r"\s*\d+$", "", texts["type"])  # `Male 2`: the second skin tone
        names = [name.strip() for name in texts["accessories"].split("/") if name.strip()]
        yield int(texts["id"]), _Row((_known(kind, where, types=True), *_accessories(names, where)), where)


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


def _match(folder: Path, images: Mapping[int, Path], table: Mapping[int, _Row]) -> None:
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
    folder: Path, images: Mapping[int, Path], table: Mapping[int, _Row], dropped: list[Dropped]
) -> Iterator[Attributed]:
    for number, path in track(sorted(images.items()), "reading images", console=Console(stderr=True)):
        try:
            picture = np.asarray(to_rgb(path, BACKGROUND))
            if picture.shape != (SIDE, SIDE, 3):
                raise UnreadableError(f"not {SIDE}x{SIDE} pixels")
        except UnreadableError as reason:
            dropped.append(Dropped(path.relative_to(folder).as_posix(), str(reason)))
            continue
        yield Attributed(picture, table[number].attributes, {"punk": number})
