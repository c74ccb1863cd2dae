"""Give images the columns of the tables that know their number or name; it knows nothing of pixels or captions."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from pydantic import model_validator

from base.config import Config, nearest
from base.errors import BadInput
from data import tables
from data.cleaning_report import Dropped
from data.join_keys import JoinKeys
from data.sources import CaptionedImages


class TableConfig(Config):
    """A table whose rows belong to images by number or by name."""

    file: str
    """Below `root`; `*` stands for anything, and the last file in the order of names is taken."""
    number: str | None = None
    """The column that holds numbers of images."""
    name: str | None = None
    """The column that holds names of images."""
    columns: dict[str, str] = {}
    """Column → what the set calls it; none: all of them, by their own names."""

    @model_validator(mode="after")
    def _keyed(self) -> Self:
        if self.number is None and self.name is None:
            raise ValueError("a table needs the column of its numbers or of its names")
        return self


def joined(images: CaptionedImages, root: Path, configs: Sequence[TableConfig], names: str | None) -> CaptionedImages:
    """Every image with the columns of the rows that have its key, and `key`; the first row that says something counts.

    Dropped: images that no table knows. `names` is a JSON file of number → name. BadInput: a file that is missing or
    cannot be read, a column that is not there, or no image that a table knows.
    """
    opened = [(table, _rows(root, table)) for table in configs]
    known = _names(root / names) if names else {}
    for table, rows in opened:
        if table.number and table.name:
            known = {row[table.number]: row[table.name] for row in reversed(rows)} | known
    keys = JoinKeys(known)
    columns: dict[str, dict[str, str]] = defaultdict(dict)
    for table, rows in opened:
        for row in rows:
            if (key := _key(table, row, keys)) is not None:
                columns[key] = _renamed(table, row) | columns[key]
    captioned, dropped = [], list(images.dropped)
    for item in images.captioned:
        key = keys(item.path.stem)
        if key is None or (configs and key not in columns):
            dropped.append(Dropped(item.path.relative_to(root).as_posix(), "no table knows this name or number"))
            continue
        name = {"name": keys.names[key]} if key in keys.names else {}
        captioned.append(replace(item, columns={**item.columns, **name, **columns.get(key, {}), "key": key}))
    if not captioned:
        raise BadInput(f"none of the {len(images.captioned)} images has a name or number that the tables know")
    return CaptionedImages(captioned, dropped)


def _key(table: TableConfig, row: Mapping[str, str], keys: JoinKeys) -> str | None:
    spelled = (row[column] for column in (table.number, table.name) if column)
    return next((key for key in map(keys, spelled) if key is not None), None)


def _renamed(table: TableConfig, row: Mapping[str, str]) -> dict[str, str]:
    """The chosen columns that hold something, by the names the set gives them."""
    chosen = table.columns or {name: name for name in row}
    return {new: row[name] for name, new in chosen.items() if row[name]}


def _rows(root: Path, table: TableConfig) -> tables.Rows:
    files = sorted(root.glob(table.file))
    if not files:
        raise BadInput(f"no table {root / table.file}")
    rows = tables.read(files[-1])
    if not rows:
        raise BadInput(f"{files[-1]} has no rows")
    for column in (table.number, table.name, *table.columns):
        if column is not None and column not in rows[0]:
            raise BadInput(f"{files[-1]} has no column '{column}'{nearest(column, rows[0])}")
    return rows


def _names(file: Path) -> dict[str, str]:
    try:
        names = json.loads(file.read_text(encoding="utf-8"))
        return {str(key): str(name) for key, name in names.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise BadInput(f"{file} is not a JSON object of number: name ({error})") from None
