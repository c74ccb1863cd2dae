"""Files of prompts: what is read, what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from base.errors import BadInput
from runtime.prompts import Row, read


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_text_is_a_line_each(tmp_path: Path) -> None:
    assert read(written(tmp_path, "p.txt", "a cat\n\n un renard \n")) == [Row("a cat"), Row("un renard")]


def test_csv_has_a_column_and_seeds(tmp_path: Path) -> None:
    file = written(tmp_path, "p.csv", 'id,text,seed\n1,"a cat, sitting",7\n2,a dog,\n')
    assert read(file) == [Row("a cat, sitting", 7), Row("a dog")]


def test_parquet_has_columns_and_labels_may_be_numbers(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"label": [3, 1], "seed": [5, None], "other": [0.5, 1]}), tmp_path / "p.parquet")
    assert read(tmp_path / "p.parquet") == [Row("3", 5), Row("1")]


def test_the_metadata_of_an_image_set_is_one_as_well(tmp_path: Path) -> None:
    file = written(
        tmp_path, "metadata.jsonl", '{"file_name": "a.png", "text": "a cat"}\n{"text": "a dog", "seed": 3}\n'
    )
    assert read(file) == [Row("a cat"), Row("a dog", 3)]


def test_attributes_may_be_a_list_one_in_writing_or_weights(tmp_path: Path) -> None:
    listed = written(tmp_path, "a.jsonl", '{"attributes": ["Ape", "Fez"]}\n{"attributes": {"Ape": 1, "Fez": 0.5}}\n')
    assert read(listed) == [Row("Ape, Fez"), Row("Ape=1, Fez=0.5")]
    assert read(written(tmp_path, "a.csv", "attributes\n\"['Ape', 'Fez']\"\n\"Ape=2,Fez\"\n")) == [
        Row("Ape, Fez"),
        Row("Ape=2, Fez"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.doc", "", "unknown kind of file '.doc'; accepted: .txt, .csv, .tsv, .jsonl, .json, .parquet, .xlsx"),
        ("p.txt", "\n\n", "holds no prompt"),
        ("p.csv", "id\n1\n", "no column of prompts; accepted: prompt, attributes, text, label, caption"),
        ("p.csv", 'prompt\na cat\n" "\n', "p.csv line 3 has no prompt"),
        ("p.csv", "prompt,seed\na cat,-1\n", "p.csv line 2: seed '-1' is no whole number"),
        ("p.parquet", "no parquet", "cannot be read"),
        ("p.jsonl", '{"text": "a"}\n{', "line 2 is not JSON"),
        ("p.jsonl", "[1]\n", "line 1 is no JSON object"),
        ("p.jsonl", '{"text": "a cat"}\n{"seed": 1}\n', "p.jsonl line 2 has no text"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(written(tmp_path, name, text))
    assert says in str(refused.value) and "\n" not in str(refused.value)
    with pytest.raises(BadInput, match="no file"):
        read(tmp_path / "nowhere.txt")
