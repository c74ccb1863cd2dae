"""A file of prompts, labels or attributes → rows to draw; it knows nothing about models."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.errors import BadInput

COLUMNS = ("prompt", "attributes", "text", "label", "caption")
"""Where a table's row says what to draw, behind the keys of the model's task; the first that is there counts."""


@dataclass(frozen=True)
class Row:
    """What to draw, and its seed where the file names one."""

    input: str
    seed: int | None = None


def read(file: Path, keys: Sequence[str] = ()) -> list[Row]:
    """`.txt`: a line each, empty ones left out; else a column of `keys` or `COLUMNS`, and `seed`.

    `keys` are those of the model's task. BadInput: no such file, one that cannot be read, or one that says nothing.
    """
    if file.suffix.lower() not in READERS:
        raise BadInput(f"{file}: unknown kind of file '{file.suffix}'; accepted: {', '.join(READERS)}")
    if not file.is_file():
        raise BadInput(f"no file {file}")
    try:
        rows = READERS[file.suffix.lower()](file, tuple(dict.fromkeys((*keys, *COLUMNS))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error
    if not rows:
        raise BadInput(f"{file} holds no prompt")
    return rows


def _text(file: Path, columns: Sequence[str]) -> list[Row]:
    return [Row(line.strip()) for line in file.read_text().splitlines() if line.strip()]


def _csv(file: Path, columns: Sequence[str]) -> list[Row]:
    with file.open(newline="") as stream:
        reader = csv.DictReader(stream)
        return _rows(file, columns, reader.fieldnames or (), reader)


def _lines(file: Path, columns: Sequence[str]) -> list[Row]:
    try:
        values = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    except ValueError as error:
        raise BadInput(f"{file} cannot be read: a line is not valid JSON") from error
    if not all(isinstance(value, dict) for value in values):
        raise BadInput(f"{file} cannot be read: a line is no JSON object")
    return _rows(file, columns, dict.fromkeys(name for value in values for name in value), values)


def _parquet(file: Path, columns: Sequence[str]) -> list[Row]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise BadInput(f"{file}: reading Parquet needs pyarrow: pip install pyarrow") from None
    try:
        names = parquet.read_schema(file).names
        table = parquet.read_table(file, columns=[name for name in names if name in (*columns, "seed")])
    except (OSError, pyarrow.ArrowException) as error:
        raise BadInput(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    return _rows(file, columns, names, table.to_pylist())


def _rows(file: Path, columns: Sequence[str], names: Iterable[str], values: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows of a table whose columns are `names`; the first of `columns` among them says what to draw."""
    names = list(names)
    column = next((name for name in columns if name in names), None)
    if column is None:
        raise BadInput(f"{file} has no column of prompts; accepted: {', '.join(columns)}")
    rows = []
    for number, value in enumerate(values, 1):
        input, seed = value.get(column), value.get("seed")
        if input is None or not str(input).strip():
            raise BadInput(f"{file}: row {number} has no {column}")
        if seed not in (None, "") and not (str(seed).isascii() and str(seed).isdigit()):
            raise BadInput(f"{file}: row {number}: seed {str(seed)!r:.40} is no whole number from 0")
        rows.append(Row(str(input), None if seed in (None, "") else int(seed)))
    return rows


READERS: dict[str, Callable[[Path, Sequence[str]], list[Row]]] = {
    ".txt": _text,
    ".csv": _csv,
    ".parquet": _parquet,
    ".jsonl": _lines,
}
"""Ending → how it is read."""
