"""Lists as people bring them: every row is read exactly, or refused with its line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import BadInput
from base.table_reader import as_text, column, read, read_text, whole

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16")


@settings(max_examples=120, deadline=None)
@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(ENCODINGS),
    ending=st.sampled_from(("\n", "\r\n")),
    surplus=st.booleans(),
)
def test_what_a_spreadsheet_writes_is_read_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    delimiter: str,
    encoding: str,
    ending: str,
    surplus: bool,
) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerow(["name", "text", "kind"])
    for row in rows:
        writer.writerow([*row, ""] if surplus else row)
    file = tmp_path_factory.getbasetemp() / "table.csv"
    file.write_bytes(written.getvalue().encode(encoding))
    expected = [dict(zip(("name", "text", "kind"), row, strict=True)) for row in rows if any(row)]
    assert [dict(row.values) for row in read(file)] == expected


@settings(max_examples=120, deadline=None)
@given(lines=st.lists(st.text(st.sampled_from('ab ",;'), max_size=10), min_size=1, max_size=4))
def test_whatever_stands_in_it_no_cell_changes_its_column(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    file = tmp_path_factory.getbasetemp() / "typed.csv"
    file.write_text("name,text\n" + "".join(f"{number}.png,{line}\n" for number, line in enumerate(lines)))
    try:
        rows = read(file, ["text"])
    except BadInput as error:
        assert f"{file} line " in str(error) and "\n" not in str(error)
        return
    if not any('"' in line for line in lines):
        whole_lines = [line if line.partition(",")[2].strip(" ,") else line.partition(",")[0] for line in lines]
        assert [row.values["text"] for row in rows] == whole_lines  # but for empty fields at the end
    assert all(row.values["name"].endswith(".png") for row in rows)


def table(folder: Path, text: str, name: str = "a.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_comma_that_nobody_quoted_belongs_to_the_caption_where_that_is_last(tmp_path: Path) -> None:
    file = table(tmp_path, "file_name,Text\n0.png,a red bird, with blue wings\n")
    assert read(file, ["text"])[0].values == {"file_name": "0.png", "Text": "a red bird, with blue wings"}
    with pytest.raises(BadInput, match=r"a\.csv line 2 has 3 fields, the header 2"):
        read(file)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name,text\n0.png,zero\n1.png,"one\n2.png,"two"\n', "line 3: a quotation mark is not closed"),
        ('name,text\n0.png,"zero\n1.png,one\n', "line 2: a quotation mark is not closed"),
        ("name,text,seed\n0.png,a cat, asleep,1\n", "line 2 has 4 fields, the header 3"),
        ("name,name\n0,1\n", "two columns 'name'"),
        ("", "no header"),
    ],
)
def test_what_is_not_whole_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(table(tmp_path, text), ["text"])
    assert says in str(refused.value) and "\n" not in str(refused.value)


def test_spaces_before_quotation_marks_are_no_text(tmp_path: Path) -> None:
    file = table(tmp_path, 'name, text\n0.png, "a cat, asleep"\n')
    assert read(file)[0].values == {"name": "0.png", "text": "a cat, asleep"}


def test_separators_of_unicode_stay_inside_json(tmp_path: Path) -> None:
    file = table(tmp_path, json.dumps({"text": "a\u2028b\u2029c"}, ensure_ascii=False) + "\n", "a.jsonl")
    assert read(file)[0].values == {"text": "a\u2028b\u2029c"}


def test_not_a_number_is_nothing(tmp_path: Path) -> None:
    row = read(table(tmp_path, '{"score": NaN, "seed": 7.0}\n', "a.jsonl"))[0]
    assert row.values["score"] is None and row.text("score") == "" and row.text("seed") == "7"


def test_json_in_the_forms_of_other_tools(tmp_path: Path) -> None:
    listed = read(table(tmp_path, '[{"image": "0.png", "caption": "zero"}]', "a.json"))
    kohya = read(table(tmp_path, '{"0": {"caption": "zero", "tags": "a, b"}, "1": {"caption": "one"}}', "b.json"))
    assert listed[0].values == {"image": "0.png", "caption": "zero"}
    assert [row.values["file_name"] for row in kohya] == ["0", "1"] and kohya[0].values["tags"] == "a, b"
    with pytest.raises(BadInput, match="is no table"):
        read(table(tmp_path, "[]", "c.json")) or read(table(tmp_path, "3", "d.json"))


def test_a_pointer_says_how_to_get_its_content(tmp_path: Path) -> None:
    file = table(tmp_path, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(BadInput, match="git lfs pull"):
        read(file)
    (tmp_path / "annexed.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="git annex get"):
        read(tmp_path / "annexed.csv")


def test_columns_whatever_their_case_and_numbers_however_written() -> None:
    assert column(["Id", "Prompt "], ("text", "prompt")) == "Prompt "
    assert column(["id"], ("text",)) is None
    assert [whole(value) for value in ("7", 7, 7.0, "7.0", "7.5", "-1", "", None, "٣")] == [
        7,
        7,
        7,
        7,
        None,
        None,
        None,
        None,
        None,
    ]
    assert as_text([1]) == "" and as_text(True) == "True"


def test_other_encodings_are_named_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("prompt\ncœur\ncafé\n".encode("cp1252"))
    with pytest.raises(BadInput, match="line 2 is not UTF-8"):
        read_text(tmp_path / "latin.csv")
    (tmp_path / "unmarked.csv").write_bytes("prompt\na cat\n".encode("utf-16-le"))
    with pytest.raises(BadInput, match="line 1 is not UTF-8 text, for it holds NUL"):
        read_text(tmp_path / "unmarked.csv")
