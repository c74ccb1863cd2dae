"""Captions are found in every kind of table, and what names no image is listed."""

from pathlib import Path

import pytest

from data.build import build
from tests.data.pictures import built, captioned, picture, why


@pytest.mark.parametrize(
    ("table", "content"),
    [
        (
            "metadata.jsonl",
            '{"file_name": "00.png", "text": "zero\u2028!"}\n\n{"file_name": "sub/01.png", "caption": "one", "n": 1}\n',
        ),
        ("captions.csv", 'file_name,text,n\n00.png,"zero, !",0\nsub/01.png,one,1\n'),
        ("list.csv", '\ufeffImage;Prompt;n\n00.png;"zero, !";0\nsub\\01.png;one;1\n'),
        ("list.tsv", "filename\tdescription\n00.png\tzero, !\nsub/01.png\tone\n"),
    ],
)  # fmt: skip
def test_caption_tables(tmp_path: Path, table: str, content: str) -> None:
    source = tmp_path / "in"
    captioned(source, "00.png", picture(0), caption="the table counts before this")
    captioned(source, "sub/01.png", picture(1), caption=None)
    (source / table).write_text(content, encoding="utf-8")
    found = built(build(source, tmp_path / "out", 16))
    assert str(found["00.png"][0]["text"]).startswith("zero") and found["sub/01.png"][0]["text"] == "one"
    if table != "list.tsv":
        assert str(found["sub/01.png"][0]["n"]) == "1"


def test_a_table_that_names_what_is_not_there_or_names_it_twice(tmp_path: Path) -> None:
    source = tmp_path / "in"
    captioned(source, "a.png", picture(0), caption=None)
    outside = captioned(tmp_path, "outside.png", picture(1), caption=None)
    rows = [("a.png", "first"), ("a.png", "second"), ("gone.png", "gone"), (f"../{outside.name}", "outside")]
    (source / "c.csv").write_text("file_name,text\n" + "".join(f"{name},{text}\n" for name, text in rows))
    report = build(source, tmp_path / "out", 16)
    assert built(report)["a.png"][0]["text"] == "first"
    assert why(report) == {
        "c.csv: a.png": "second caption of the same image",
        "c.csv: gone.png": "caption without an image",
        "c.csv: outside.png": "caption without an image",
    }
