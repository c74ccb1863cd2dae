"""Tables of text: read in any form people keep them in, written as CSV and Excel; it knows nothing of their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas

from base import table_reader

Rows = list[dict[str, str]]
"""A row: column → text."""


def read(file: Path) -> Rows:
    """The rows of a table, every value as text and `""` where there is none; columns without a name are left out.

    BadInput: a kind of file that `base.table_reader` does not read, or a row that is not whole.
    """
    rows = table_reader.read(file)
    names = dict.fromkeys(name for row in rows for name in row.values if not name.startswith("Unnamed:"))
    return [{name: row.text(name) for name in names} for row in rows]


def write(rows: Sequence[Mapping[str, object]], folder: Path, stem: str) -> None:
    """Write `STEM.csv` and `STEM.xlsx` into `folder`; what looks like a formula stays text."""
    frame = pandas.DataFrame(list(rows))
    frame.to_csv(folder / f"{stem}.csv", index=False)
    with pandas.ExcelWriter(folder / f"{stem}.xlsx", engine="openpyxl") as book:
        frame.to_excel(book, index=False)
        for line in book.sheets["Sheet1"].iter_rows():
            for cell in line:
                cell.data_type = "s" if cell.data_type == "f" else cell.data_type
