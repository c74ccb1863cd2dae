"""A file of prompts, labels or attributes → rows to draw; it knows nothing about models."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.errors import BadInput

COLUMNS = ("prompt", "attributes", "text", "label", "caption")
"""Where a table's row says what to draw; the first that is there counts."""


@dataclass(frozen=True)
class Row:
    """What to draw, and its seed where the file names one."""

    input: str
    seed: int | None = None


def read(file: Path) -> list[Row]:
    """`.txt`: a line each, empty ones left out; else a column of `COLUMNS`, and `seed`. Raises BadInput."""
    if file.suffix.lower() not in READERS:
        raise BadInput(f"{file}: unknown kind of file '{file.suffix}'; accepted: {', '.join(READERS)}")
    if not file.is_file():
        raise BadInput(f"no file {file}")
    try:
        rows = READERS[file.suffix.lower()](file)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error
    if not rows:
        raise BadInput(f"{file} holds no prompt")
    return rows


def _text(file: Path) -> list[Row]:
    return [Row(line.strip()) for line in file.read_text().splitlines() if line.strip()]


def _csv(file: Path) -> list[Row]:
    with file.open(newline="") as stream:
        reader = csv.DictReader(stream)
        return _rows(file, reader.fieldnames or (), reader)


def _lines(file: Path) -> list[Row]:
    try:
        values = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    except ValueError as error:
        raise BadInput(f"{file} cannot be read: a line is not valid JSON") from error
    if not all(isinstance(value, dict) for value in values):
        raise BadInput(f"{file} cannot be read: a line is no JSON object")
    return _rows(file, dict.fromkeys(name for value in values for name in value), values)


def _parquet(file: Path) -> list[Row]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise BadInput(f"{file}: reading Parquet needs pyarrow: pip install pyarrow") from None
    try:
        names = parquet.read_schema(file).names
        table = parquet.read_table(file, columns=[name for name in names if name in (*COLUMNS, "seed")])
    except (OSError, pyarrow.ArrowException) as error:
        raise BadInput(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    return _rows(file, names, table.to_pylist())


def _rows(file: Path, names: Iterable[str], values: Iterable[Mapping[str, Any]]) -> list[Row]:
    names = list(names)
    column = next((name for name in COLUMNS if name in names), None)
    if column is None:
        raise BadInput(f"{file} has no column of prompts; accepted: {', '.join(COLUMNS)}")
    rows = []
    for number, value in enumerate(values, 1):
        wanted, seed = value.get(column), value.get("seed")
        if wanted is None or not str(wanted).strip():
            raise BadInput(f"{file}: row {number} has no {column}")
        if seed not in (None, "") and not (str(seed).isascii() and str(seed).isdigit()):
            raise BadInput(f"{file}: row {number}: seed {str(seed)!r:.40} is no whole number from 0")
        rows.append(Row(str(wanted), None if seed in (None, "") else int(seed)))
    return rows


READERS: dict[str, Callable[[Path], list[Row]]] = {".txt": _text, ".csv": _csv, ".parquet": _parquet, ".jsonl": _lines}
"""Ending → how it is read."""
