"""A file of prompts, labels or attributes → rows to draw; it knows nothing about models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from base import table_reader
from base.errors import BadInput
from base.listed_names import names_of
from base.pointers import refuse_pointer
from models.labels import Input
from runtime.formats import PICTURE_ENDINGS

COLUMNS = ("prompt", "attributes", "text", "label", "caption")
"""Where a table's row says what to draw, behind the keys of the model's task; the first that is there counts."""
TEXT = ".txt"


@dataclass(frozen=True)
class Row:
    """What to draw, and its seed where the file names one."""

    input: Input
    """As text; `runtime.picture_files` puts what else the row says into it."""
    seed: int | None = None
    where: str = field(default="", compare=False)
    """The file and the row's line, for a message."""
    pictures: Mapping[str, str] = field(default_factory=dict)
    """Names of pictures to draw from, by the task's keys."""
    numbers: Mapping[str, str] = field(default_factory=dict)
    """What else the task takes, by its keys."""
    further: Mapping[str, str | float] = field(default_factory=dict)
    """What provenance tells of both, once they are part of the input."""


@dataclass(frozen=True)
class PromptList:
    """A file that was read, and is not yet understood."""

    file: Path
    accepted: Sequence[str]
    """Columns that say what to draw; the first that is there counts."""
    lines: Sequence[str] = ()
    """Of a `.txt`."""
    table: Sequence[table_reader.TableRow] | None = None
    """Of a table."""

    def picture_columns(self, names: Sequence[str]) -> dict[str, bool]:
        """Those of `names` that are columns, and whether any value there is a picture file's: a label may be called so."""
        table = self.table or ()
        columns = _columns(_names(table), names)
        return {
            key: any(row.text(name).lower().endswith(PICTURE_ENDINGS) for row in table) for key, name in columns.items()
        }

    def rows(self, pictures: Sequence[str] = (), numbers: Sequence[str] = ()) -> list[Row]:
        """A row for each line or row, in which `pictures` and `numbers` are read as well. BadInput: as of `read`."""
        lines = [Row(line.strip()) for line in self.lines if line.strip()]
        rows = lines if self.table is None else self._rows(self.table, pictures, numbers)
        if not rows:
            raise BadInput(f"{self.file} holds no prompt")
        return rows

    def _rows(
        self, table: Sequence[table_reader.TableRow], pictures: Sequence[str], numbers: Sequence[str]
    ) -> list[Row]:
        names = _names(table)
        prompt, seeds = table_reader.column(names, self.accepted), table_reader.column(names, ("seed",))
        shown, counted = _columns(names, pictures), _columns(names, numbers)
        if table and prompt is None and not shown:
            raise BadInput(f"{self.file} has no column of prompts; accepted: {', '.join((*self.accepted, *pictures))}")
        rows = []
        for row in table:
            input, seed = _input(row, prompt or ""), None if seeds is None else row.text(seeds)
            drawn_from, further = _values(row, shown), _values(row, counted)
            if not input and not drawn_from:
                raise BadInput(f"{row.where} has no {' or '.join([*([prompt] if prompt else []), *shown])}")
            if seed and table_reader.whole(seed) is None:
                raise BadInput(f"{row.where}: seed {seed!r:.40} is no whole number from 0")
            rows.append(Row(input, table_reader.whole(seed), row.where, drawn_from, further))
        return rows


def read(file: Path) -> list[Row]:
    """`.txt`: a line each, empty ones left out; else the first of `COLUMNS`, whatever its case, and `seed`.

    BadInput: no such file, one that cannot be read, or that says nothing.
    """
    return opened(file).rows()


def opened(file: Path, keys: Sequence[str] = ()) -> PromptList:
    """The same file for a model whose task has `keys`, which come before `COLUMNS`.

    Columns of its further keys hold names of pictures and numbers. A row may leave these empty, and its prompt where it has a
    picture. BadInput: no such file, or one that cannot be read.
    """
    suffix, accepted = file.suffix.lower(), tuple(dict.fromkeys((*keys, *COLUMNS)))
    if suffix != TEXT and suffix not in table_reader.READERS:
        kinds = ", ".join((TEXT, *table_reader.READERS))
        raise BadInput(f"{file}: unknown kind of file '{file.suffix}'; accepted: {kinds}")
    refuse_pointer(file)
    if suffix == TEXT:
        return PromptList(file, accepted, table_reader.lines(table_reader.read_text(file)))
    return PromptList(file, accepted, table=table_reader.read(file, captions=accepted))


def _names(table: Sequence[table_reader.TableRow]) -> list[str]:
    """The columns that any row has."""
    return list(dict.fromkeys(name for row in table for name in row.values))


def _columns(names: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    """The columns of keys, of those that have one."""
    found = {key: table_reader.column(names, (key,)) for key in keys}
    return {key: name for key, name in found.items() if name is not None}


def _values(row: table_reader.TableRow, columns: Mapping[str, str]) -> dict[str, str]:
    """What a row says in them, where it says anything."""
    return {key: text for key, column in columns.items() if (text := row.text(column))}


def _input(row: table_reader.TableRow, column: str) -> str:
    """What a row says; attributes that are a list, or an object of weights, as one types them: `Zombie, Cap=2`."""
    value = row.values.get(column)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={weight}" for name, weight in value.items())
    listed = isinstance(value, list) or column.strip().casefold() == "attributes"
    return ", ".join(names_of(row, column)) if listed else row.text(column)
