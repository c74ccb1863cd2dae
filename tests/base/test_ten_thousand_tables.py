"""Ten thousand tables and lists of any width, separator, quoting, mark and encoding: each row is exact, or refused by line."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from base.errors import BadInput
from base.table_reader import DELIMITERS, read

pytestmark = pytest.mark.slow

EXAMPLES = {"written": 5000, "typed": 2500, "json": 2500}
NAMES = ("file_name", "text", "Caption", "label", "seed", "naïve", "数", "x y")
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=10) | st.text(
    st.sampled_from(" \",;\t|\n'a7é"), max_size=8
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | CELLS


def calm(kind: str) -> settings:
    return settings(max_examples=EXAMPLES[kind], deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    header = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True))
    rows = draw(st.lists(st.lists(CELLS, min_size=len(header), max_size=len(header)), max_size=5))
    return header, rows


def refused(error: BadInput, file: Path) -> None:
    assert re.search(rf"{re.escape(str(file))}.* line \d+|{re.escape(str(file))} has no header", str(error)), error
    assert "\n" not in str(error)


def test_there_are_ten_thousand() -> None:
    assert sum(EXAMPLES.values()) >= 10_000


@calm("written")
@given(
    table=tables(),
    delimiter=st.sampled_from(DELIMITERS),
    quoting=st.sampled_from((csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC)),
    encoding=st.sampled_from(("utf-8", "utf-8-sig", "utf-16")),
    ending=st.sampled_from(("\n", "\r\n")),
    surplus=st.integers(0, 2),
    suffix=st.sampled_from((".csv", ".tsv", ".txt")),
    captions=st.sampled_from(((), ("text", "caption"))),
)
def test_what_programs_write(
    tmp_path_factory: pytest.TempPathFactory, table: tuple[list[str], list[list[str]]], delimiter: str, quoting: Any,
    encoding: str, ending: str, surplus: int, suffix: str, captions: tuple[str, ...],
) -> None:  # fmt: skip
    header, rows = table
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, lineterminator=ending, quoting=quoting)
    writer.writerow(header)
    writer.writerows([*row, *[""] * surplus] for row in rows)
    file = tmp_path_factory.getbasetemp() / f"table{suffix}"
    file.write_bytes(written.getvalue().encode(encoding))
    try:
        found = read(file, captions)
    except BadInput as error:
        assert len(header) == 1  # nothing in one column's header tells its separator
        refused(error, file)
        return
    expected = [dict(zip(header, row, strict=True)) for row in rows if any(row)]
    assert [dict(row.values) for row in found] == expected or len(header) == 1


@calm("typed")
@given(
    lines=st.lists(st.text(st.sampled_from('ab ",;\t'), max_size=12), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t"),
    last=st.sampled_from(("text", "seed")),
)
def test_what_people_type(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], delimiter: str, last: str
) -> None:
    """Whatever stands in a line, the name of its image stays in its column, and the line after it is not swallowed."""
    file = tmp_path_factory.getbasetemp() / "typed.csv"
    file.write_text(
        f"name{delimiter}{last}\n" + "".join(f"{number}.png{delimiter}{line}\n" for number, line in enumerate(lines))
    )
    try:
        found = read(file, ["text"])
    except BadInput as error:
        refused(error, file)
        return
    assert all(re.fullmatch(r"\d+\.png", row.values["name"]) for row in found)
    if not any('"' in line for line in lines):
        assert [row.values["name"] for row in found] == [f"{number}.png" for number in range(len(lines))]
        for row, line in zip(found, lines, strict=True):
            assert row.values[last] == line or (row.values[last] == line.partition(delimiter)[0] and delimiter in line)


@calm("json")
@given(
    rows=st.lists(st.dictionaries(CELLS, SCALARS | st.lists(SCALARS, max_size=3), max_size=4), max_size=4),
    encoding=st.sampled_from(("utf-8", "utf-8-sig", "utf-16")),
    ascii_only=st.booleans(),
    as_list=st.booleans(),
    ending=st.sampled_from(("\n", "\r\n", "\n\n")),
)
def test_json_of_any_kind(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], encoding: str, ascii_only: bool, as_list: bool,
    ending: str,
) -> None:  # fmt: skip
    file = tmp_path_factory.getbasetemp() / ("list.json" if as_list else "list.jsonl")
    lines = [json.dumps(row, ensure_ascii=ascii_only) for row in rows]
    text = f"[{', '.join(lines)}]" if as_list else "".join(line + ending for line in lines)
    file.write_bytes(text.encode(encoding))
    assert [row.values for row in read(file)] == [_without_nan(row) for row in rows]


def _without_nan(value: Any) -> Any:
    """What JSON cannot hold is nothing."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value
