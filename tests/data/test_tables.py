"""Tables in every format give the same rows of text; what is broken is named."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pandas
import pytest

from base.errors import BadInput
from data import tables

ROWS = [{"number": "1", "name": "Bulbasaur", "type": ""}, {"number": "25", "name": "ピカチュウ, NA", "type": "NA"}]


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    frame = pandas.DataFrame(ROWS)
    frame.to_csv(tmp_path / "a.csv", index=False, encoding="utf-8-sig")
    frame.to_csv(tmp_path / "indexed.csv")
    frame.to_csv(tmp_path / "b.csv", index=False, sep=";")
    frame.to_csv(tmp_path / "c.tsv", index=False, sep="\t")
    frame.to_excel(tmp_path / "d.xlsx", index=False)
    frame.assign(number=[1, 25]).to_parquet(tmp_path / "e.parquet")
    (tmp_path / "f.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    for file in sorted(tmp_path.iterdir()):
        assert tables.read(file) == ROWS, file.name


def test_missing_numbers_do_not_turn_the_others_into_fractions(tmp_path: Path) -> None:
    pandas.DataFrame({"number": [1, None]}).to_parquet(tmp_path / "a.parquet")
    assert tables.read(tmp_path / "a.parquet") == [{"number": "1"}, {"number": ""}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.xlsx", b"no book"),
        ("a.parquet", b"PAR1"),
        ("a.csv", b"caf\xe9,b\n"),
        ("a.csv", b""),
        ("a.jsonl", b"{"),
        ("a.db", b""),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=name.replace(".", r"\.")) as caught:
        tables.read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_formulas_stay_text(tmp_path: Path) -> None:
    tables.write([{"text": "=1+1"}, {"text": "plain"}], tmp_path, "labels")
    cell = openpyxl.load_workbook(tmp_path / "labels.xlsx").active["A2"]  # type: ignore[index]
    assert (cell.value, cell.data_type) == ("=1+1", "s")
    assert tables.read(tmp_path / "labels.xlsx") == tables.read(tmp_path / "labels.csv")
