"""A file of prompts, labels or attributes → rows to draw; it knows nothing about models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from base import table_reader
from base.errors import BadInput
from base.listed_names import names_of
from base.pointers import refuse_pointer

COLUMNS = ("prompt", "attributes", "text", "label", "caption")
"""Where a table's row says what to draw, behind the keys of the model's task; the first that is there counts."""
TEXT = ".txt"


@dataclass(frozen=True)
class Row:
    """What to draw, and its seed where the file names one."""

    input: str
    seed: int | None = None


def read(file: Path, keys: Sequence[str] = ()) -> list[Row]:
    """`.txt`: a line each, empty ones left out; else a column of `keys` or `COLUMNS`, whatever its case, and `seed`.

    `keys` are those of the model's task. BadInput: no such file, one that cannot be read, or one that says nothing.
    """
    suffix, accepted = file.suffix.lower(), tuple(dict.fromkeys((*keys, *COLUMNS)))
    if suffix != TEXT and suffix not in table_reader.READERS:
        kinds = ", ".join((TEXT, *table_reader.READERS))
        raise BadInput(f"{file}: unknown kind of file '{file.suffix}'; accepted: {kinds}")
    refuse_pointer(file)
    rows = _lines(file) if suffix == TEXT else _rows(file, accepted)
    if not rows:
        raise BadInput(f"{file} holds no prompt")
    return rows


def _lines(file: Path) -> list[Row]:
    return [Row(line.strip()) for line in table_reader.lines(table_reader.read_text(file)) if line.strip()]


def _rows(file: Path, accepted: Sequence[str]) -> list[Row]:
    """Rows of a table; the first column of `accepted` that it has says what to draw."""
    table = table_reader.read(file, captions=accepted)
    names = list(dict.fromkeys(name for row in table for name in row.values))
    prompt, seeds = table_reader.column(names, accepted), table_reader.column(names, ("seed",))
    if table and prompt is None:
        raise BadInput(f"{file} has no column of prompts; accepted: {', '.join(accepted)}")
    rows = []
    for row in table:
        input, seed = _input(row, prompt or ""), None if seeds is None else row.text(seeds)
        if not input:
            raise BadInput(f"{row.where} has no {prompt}")
        if seed and table_reader.whole(seed) is None:
            raise BadInput(f"{row.where}: seed {seed!r:.40} is no whole number from 0")
        rows.append(Row(input, table_reader.whole(seed)))
    return rows


def _input(row: table_reader.TableRow, column: str) -> str:
    """What a row says; attributes that are a list, or an object of weights, as one types them: `Zombie, Cap=2`."""
    value = row.values.get(column)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={weight}" for name, weight in value.items())
    listed = isinstance(value, list) or column.strip().casefold() == "attributes"
    return ", ".join(names_of(row, column)) if listed else row.text(column)
