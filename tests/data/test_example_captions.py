"""Captions to try: from all over a set, of each column in turn, short ones where there are such."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from base.errors import BadInput
from base.runs import runs_root
from commands.export import _captions
from data.example_captions import LONGEST, MOST, example_captions
from tests import tiny


def write(folder: Path, texts: list[str], **columns: list[str]) -> Path:
    (folder / "train").mkdir(parents=True)
    lines = []
    for row, text in enumerate(texts):
        Image.new("RGB", (8, 8)).save(folder / "train" / f"{row}.png")
        further = {name: values[row] for name, values in columns.items()}
        lines.append(json.dumps({"file_name": f"{row}.png", "text": text, **further}))
    (folder / "train" / "metadata.jsonl").write_text("\n".join(lines))
    return folder


def test_from_all_over_the_set_and_of_each_column_in_turn(tmp_path: Path) -> None:
    english, french = [f"cat {row}" for row in range(28)], [f"chat {row}" for row in range(28)]
    folder = str(write(tmp_path / "set", english, text_fr=french))
    chosen = example_captions(folder, ["text", "text_fr"])
    assert chosen == ("cat 0", "chat 4", "cat 8", "chat 12", "cat 16", "chat 20", "cat 24")
    assert example_captions(folder, ["text", "text_fr"]) == chosen and len(chosen) == MOST


def test_each_once_none_empty_and_the_short_ones(tmp_path: Path) -> None:
    texts = ["", "a  red\n heart ", "x" * (LONGEST + 1), "a red heart", "  "]
    assert example_captions(str(write(tmp_path / "set", texts)), ["text"]) == ("a red heart",)
    long = ["y" * 200, "x" * 100, ""]
    assert example_captions(str(write(tmp_path / "long", long)), ["text"]) == ("x" * 100,)
    assert example_captions(str(write(tmp_path / "silent", ["", " "])), ["text"]) == ()


def test_an_export_takes_them_from_the_set_of_its_run_or_from_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IPPO_RUNS", str(tmp_path))
    write(runs_root() / "data" / "mine", ["an owl"])
    other = str(write(tmp_path / "other", ["a fox"]))
    run = runs_root() / "mine" / "student"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("data: mine\ncaptions: [text]\n")
    student, numbered = tiny.student(), tiny.pixel_student()
    assert _captions("mine/student", None, student) == ("an owl",)
    assert _captions("mine/student", other, student) == ("a fox",)
    assert _captions("mine/student", "none", student) == _captions(other, None, student) == ()
    assert _captions("mine/student", None, numbered) == ()  # its classes are what it is asked for
    (run / "config.yaml").write_text("data: ./gone\n")
    assert _captions("mine/student", None, student) == ()
    assert "the bundle suggests nothing: no folder ./gone" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(BadInput, match="no column 'text_fr'"):
        example_captions(other, ["text_fr"])
    with pytest.raises(BadInput, match=r"no folder \./gone"):
        _captions("mine/student", "./gone", student)
