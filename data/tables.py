"""Reads and writes tables of text, in any format people keep them in; knows nothing of what their columns mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import pandas

from base.errors import BadInput

SUFFIXES = (".csv", ".jsonl", ".parquet", ".tsv", ".xlsx")

Rows = list[dict[str, str]]


def read(file: Path) -> Rows:
    """The rows of a table, every value as text and `""` where there is none; columns without a name are left out.

    BadInput: not one of `SUFFIXES`, or a file that is not what its name says.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise BadInput(f"{file} is no table: accepted are {', '.join(SUFFIXES)}")
    try:
        frame = _frame(file)
    except UnicodeDecodeError:
        raise BadInput(f"{file} is not UTF-8 text: save it as UTF-8") from None
    except (OSError, ValueError, BadZipFile, KeyError) as error:
        raise BadInput(f"{file} cannot be read: {str(error).splitlines()[0] if str(error) else error!r}") from None
    named = [name for name in frame.columns if str(name).strip() and not str(name).startswith("Unnamed:")]
    return [{str(name).strip(): _text(row[name]) for name in named} for row in frame.to_dict("records")]


def write(rows: Sequence[Mapping[str, object]], folder: Path, stem: str) -> None:
    """`STEM.csv` and `STEM.xlsx`; what looks like a formula stays text."""
    frame = pandas.DataFrame(list(rows))
    frame.to_csv(folder / f"{stem}.csv", index=False)
    with pandas.ExcelWriter(folder / f"{stem}.xlsx", engine="openpyxl") as book:
        frame.to_excel(book, index=False)
        for line in book.sheets["Sheet1"].iter_rows():
            for cell in line:
                cell.data_type = "s" if cell.data_type == "f" else cell.data_type


def _frame(file: Path) -> Any:
    match file.suffix.lower():
        case ".parquet":
            return pandas.read_parquet(file)
        case ".xlsx":
            return pandas.read_excel(file, dtype=str, keep_default_na=False, engine="openpyxl")
        case ".jsonl":
            return pandas.read_json(file, lines=True, dtype=False, convert_dates=False)
    with file.open(encoding="utf-8-sig") as opened:
        head = opened.readline()
    return pandas.read_csv(
        file, sep=max(",;\t|", key=head.count), dtype=str, keep_default_na=False, encoding="utf-8-sig"
    )


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() if isinstance(value, (str, int, float)) and value == value else ""
