"""Read a list of rows, in any form people keep one in, strictly; it knows nothing about what its columns mean.

Every list that ippo takes comes through here: image tables, data tables, prompts in bulk. A row is read exactly, or
refused with its line; nothing moves into a neighbouring column, and no quotation mark swallows rows.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from base.errors import BadInput
from base.pointers import refuse_pointer

DELIMITERS = ",;\t|"
"""Characters that may separate the fields of a line; the commonest in the header does."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


@dataclass(frozen=True)
class TableRow:
    """One row: the values by the columns' names, as the file has them; None where it has none."""

    where: str
    """The file and the row's line (or number), for a message."""
    values: Mapping[str, Any]

    def text(self, column: str) -> str:
        """A value as text, `""` where there is none; whole numbers without a fraction."""
        return as_text(self.values.get(column))


def read(file: Path, captions: Collection[str] = ()) -> list[TableRow]:
    """The rows of a `.csv`, `.tsv` (or a `.txt` like them), `.jsonl`, `.json`, `.parquet` or `.xlsx`; a CSV's are text.

    Where a row of a CSV has more fields than the header and its last column is one of `captions` (whatever its case),
    the rest is that caption. BadInput: another kind of file, one that cannot be read, or a row that is not whole.
    """
    reader = READERS.get(file.suffix.lower(), _csv if file.suffix.lower() == ".txt" else None)
    if reader is None:
        raise BadInput(f"{file} is no table: accepted are {', '.join(READERS)}")
    refuse_pointer(file)
    return list(reader(file, {name.casefold() for name in captions}))


def read_text(file: Path) -> str:
    """The text of a file in UTF-8, or UTF-16 with a byte-order mark; the mark is not part of it. BadInput: anything else."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {file}: {error.strerror or error}") from None
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadInput(f"{file} line {line} is not UTF-8 text: save the file as UTF-8") from None
    if "\0" in text:  # English in UTF-16 without its mark is UTF-8 as well, with a NUL behind each letter
        line = text.partition("\0")[0].count("\n") + 1
        raise BadInput(f"{file} line {line} is not UTF-8 text, for it holds NUL: save the file as UTF-8")
    return text


def lines(text: str) -> list[str]:
    """The lines of a text, ended by LF or CRLF alone: U+2028 and its like may stand inside a caption."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def column(names: Iterable[str], accepted: Sequence[str]) -> str | None:
    """The first of `accepted` among the columns, whatever their case; None: none of them is there."""
    spelled = {name.strip().casefold(): name for name in reversed(list(names))}
    return next((spelled[name.casefold()] for name in accepted if name.casefold() in spelled), None)


def as_text(value: Any) -> str:
    """A scalar as text: `7.0` from a spreadsheet is 7, nothing is `""`, a list or an object has none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() if isinstance(value, str | int | float) else ""


def whole(value: Any) -> int | None:
    """A whole number from 0, also one written `7.0`; None: it is something else."""
    text = as_text(value)
    digits = text.partition(".")[0] if re.fullmatch(r"\d+\.0+", text, re.ASCII) else text
    return int(digits) if digits.isascii() and digits.isdigit() else None


def _csv(file: Path, captions: set[str]) -> Iterator[TableRow]:
    content = read_text(file)
    head = _QUOTED.sub("", content.partition("\n")[0])
    delimiter = max(DELIMITERS, key=head.count)
    # `a.png, "one, two"`: the quotation marks are meant as such. Inside of quoted text the same says nothing.
    spaced = re.search(rf'{re.escape(delimiter)} +"', _QUOTED.sub('"', content)) is not None
    records = _records(file, content, delimiter, spaced)
    header = [name.strip() for name in next(records, (1, [""]))[1]]
    if not content.strip():
        raise BadInput(f"{file} is empty and has no header: its first line must name the columns")
    if not any(header):
        raise BadInput(f"{file} has no header: its first line must name the columns")
    if twice := next((name for name in header if name and header.count(name) > 1), None):
        raise BadInput(f"{file} has two columns '{twice}': give them different names")
    for line, fields in records:
        where = f"{file} line {line}"
        fields = _fitted(where, fields, header, delimiter, header[-1].casefold() in captions)
        padded = [*fields, *[""] * (len(header) - len(fields))]
        yield TableRow(where, {name: value for name, value in zip(header, padded, strict=True) if name})


def _records(file: Path, content: str, delimiter: str, spaced: bool) -> Iterator[tuple[int, list[str]]]:
    """Every record that holds anything, with the line it begins in."""
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, skipinitialspace=spaced, strict=True)
    line = 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            unclosed = "unexpected end of data" in str(error) or "expected after" in str(error)
            reason = "a quotation mark is not closed, or one stands inside a quoted text" if unclosed else str(error)
            raise BadInput(f"{file} line {line}: {reason}") from None
        if any(fields):
            yield line, fields
        line = reader.line_num + 1


def _fitted(where: str, fields: list[str], header: list[str], delimiter: str, caption_last: bool) -> list[str]:
    """As many fields as the header has, at most."""
    width, surplus = len(header), fields[len(header) :]
    if not any(field.strip() for field in surplus):
        return fields[:width]
    if caption_last:
        return [*fields[: width - 1], delimiter.join(fields[width - 1 :])]
    raise BadInput(
        f"{where} has {len(fields)} fields, the header {width}: put text that holds a {delimiter!r} into quotation marks"
    )


def _json_lines(file: Path, captions: set[str]) -> Iterator[TableRow]:
    for number, line in enumerate(lines(read_text(file)), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            raise BadInput(f"{file} line {number} is not JSON: accepted is one object a line") from None
        if not isinstance(value, dict):
            raise BadInput(f"{file} line {number} is no JSON object: accepted is one object a line")
        yield TableRow(f"{file} line {number}", value)


def _json(file: Path, captions: set[str]) -> Iterator[TableRow]:
    text = read_text(file)
    try:
        content = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{file} is not JSON: {error if text.strip() else 'it is empty'}") from None
    if isinstance(content, list):
        for number, value in enumerate(content, start=1):
            if not isinstance(value, dict):
                raise BadInput(f"{file} item {number} is no object: accepted is a list of objects")
            yield TableRow(f"{file} item {number}", value)
    elif isinstance(content, dict) and content and all(isinstance(value, dict | str) for value in content.values()):
        # kohya's metadata: the image's name stands for its object, or for its caption
        for name, value in content.items():
            row = {"caption": value} if isinstance(value, str) else value
            yield TableRow(f"{file}: {name}", {"file_name": name, **row})
    else:
        raise BadInput(f"{file} is no table: accepted is a list of objects, or an object of name: object")


def _parquet(file: Path, captions: set[str]) -> Iterator[TableRow]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise BadInput(f"{file}: reading Parquet needs pyarrow: pip install pyarrow") from None
    try:
        table = parquet.read_table(file)
    except (OSError, pyarrow.ArrowException) as error:
        raise BadInput(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    for number, row in enumerate(table.to_pylist(), start=1):
        yield TableRow(f"{file} row {number}", row)


def _excel(file: Path, captions: set[str]) -> Iterator[TableRow]:
    try:
        import openpyxl
    except ImportError:
        raise BadInput(f"{file}: reading .xlsx needs openpyxl: pip install openpyxl") from None
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        rows = book.worksheets[0].iter_rows(values_only=True)
        header = [as_text(name) for name in next(rows, ())]
        for number, row in enumerate(rows, start=2):
            if any(value is not None for value in row):
                values = {name: value for name, value in zip(header, row, strict=False) if name}
                yield TableRow(f"{file} row {number}", values)
    except (OSError, ValueError, KeyError, IndexError, BadZipFile) as error:
        raise BadInput(f"{file} cannot be read: {str(error).splitlines()[0] if str(error) else error!r}") from None


READERS: dict[str, Callable[[Path, set[str]], Iterator[TableRow]]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".jsonl": _json_lines,
    ".json": _json,
    ".parquet": _parquet,
    ".xlsx": _excel,
}
"""Ending → how it is read."""
