"""Give images the columns of the tables that know their number or name; it knows nothing of pixels or captions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from pydantic import model_validator

from base.config import Config, nearest
from base.errors import BadInput
from base.table_reader import read_text
from data import tables
from data.cleaning_report import Dropped
from data.join_keys import JoinKeys, plain
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
    optional: bool = False
    """Whether the set can do without it."""

    @model_validator(mode="after")
    def _keyed(self) -> Self:
        if self.number is None and self.name is None:
            raise ValueError("a table needs the column of its numbers or of its names")
        return self


class _Table:
    """The first row of each key and of each own name, whole: what is blank there is blank."""

    def __init__(self, config: TableConfig, rows: tables.Rows) -> None:
        self.config, self.rows = config, rows
        self.by_key: dict[str, dict[str, str]] = {}
        self.by_name: dict[str, dict[str, str]] = {}

    def index(self, keys: JoinKeys) -> None:
        """Look rows up by what `keys` makes of their numbers and names."""
        for row in self.rows:
            spelled = [row[column] for column in (self.config.number, self.config.name) if column]
            if (key := next((key for key in map(keys, spelled) if key is not None), None)) is not None:
                self.by_key.setdefault(key, row)
            if self.config.name:
                self.by_name.setdefault("".join(plain(row[self.config.name])), row)

    def renamed(self, row: Mapping[str, str]) -> dict[str, str]:
        """The chosen columns, by the names the set gives them."""
        return {new: row[name] for name, new in (self.config.columns or {name: name for name in row}).items()}


def joined(images: CaptionedImages, root: Path, configs: Sequence[TableConfig], names: str | None) -> CaptionedImages:
    """Every image with the columns of its rows, and `key`.

    A row whose name is the image's own comes before one of its number or of a name within its name; of one table the first
    row of a key counts whole, and another table fills only what it has no column for. Dropped: images that no table knows.
    `names` is a JSON file of number → name. BadInput: a file that is missing or cannot be read, a column that is not there, or
    no image that a table knows.
    """
    opened = [_Table(config, rows) for config in configs if (rows := _rows(root, config))]
    known = _names(root / names) if names else {}
    for table in opened:
        if table.config.number and table.config.name:
            known = {row[table.config.number]: row[table.config.name] for row in reversed(table.rows)} | known
    keys = JoinKeys(known)
    for table in opened:
        table.index(keys)
    captioned, dropped = [], list(images.dropped)
    for item in images.captioned:
        key, columns = _columns(item.path.stem, opened, keys)
        if key is None or (configs and not columns):
            dropped.append(Dropped(item.path.relative_to(root).as_posix(), "no table knows this name or number"))
            continue
        name = {"name": keys.names[key]} if key in keys.names else {}
        filled = {column: text for column, text in (name | columns).items() if text}
        captioned.append(replace(item, columns={**item.columns, **filled, "key": key}))
    if not captioned:
        raise BadInput(f"none of the {len(images.captioned)} images has a name or number that the tables know")
    return CaptionedImages(captioned, dropped)


def _columns(stem: str, opened: Sequence[_Table], keys: JoinKeys) -> tuple[str | None, dict[str, str]]:
    """The key of an image and the columns of its rows, blank where its first table is blank."""
    own, key = "".join(plain(stem)), keys(stem)
    exact = [(table, table.by_name[own]) for table in opened if own in table.by_name]
    others = [(table, table.by_key[key]) for table in opened if own not in table.by_name and key in table.by_key]
    columns: dict[str, str] = {}
    for table, row in [*exact, *others]:
        columns = table.renamed(row) | columns
        if (table, row) in exact and table.config.name and "".join(plain(keys.names.get(key or "", ""))) != own:
            columns.setdefault("name", row[table.config.name])  # a form of its own: the key's name is that of another
    return key or (own if exact else None), columns


def _rows(root: Path, table: TableConfig) -> tables.Rows:
    """The rows of a table; none where an optional one is not there."""
    files = sorted(root.glob(table.file))
    if not files and table.optional:
        return []
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
        names = json.loads(read_text(file))
        return {str(key): str(name) for key, name in names.items()}
    except (ValueError, AttributeError) as error:
        raise BadInput(f"{file} is not a JSON object of number: name ({error})") from None
