"""Captions that are too long are told at the start of a training, with what they lose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import BadInput
from data.imagefolder import ImageFolder
from models import folder as folders
from models.prompt_ids import beyond, tokenized
from tests import tiny
from tests.training.test_lora import LOOP, STUDENT
from tests.training.test_lora import train as train_from
from tests.training.test_methods import CLIP, train
from training.captions import Captions
from training.student.add import AddMethod
from training.student.student_config import StudentConfig

TOKENIZER = tiny.tokenizer()
"""Of single letters, six a caption."""


@pytest.mark.parametrize(
    ("text", "end"),
    [("abcdef", ""), ("abcdefg", "g"), ("red Blue car", "e car"), ("", ""), ("ab cd ef gh", "gh"), ("abcdef ?", "?")],
)
def test_the_end_is_given_as_it_was_written(text: str, end: str) -> None:
    assert beyond(TOKENIZER, [text]) == [end]


@given(st.text(alphabet="ab cdé,", max_size=20))
def test_what_is_read_is_the_text_without_its_end(text: str) -> None:
    (end,) = beyond(TOKENIZER, [text])
    assert text.rstrip().endswith(end)
    rest = text.rstrip()[: len(text.rstrip()) - len(end)]
    whole, cut = (tokenized(TOKENIZER, [some])[0, :-2].tolist() for some in (text, rest))
    assert whole == cut, "but for the last letter, which ends a word now"


@pytest.fixture
def long_captions(data: Path) -> Path:
    """Two of the four colours lose their type."""
    table = data / "train" / "metadata.jsonl"
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    for row in rows:
        row["text"] = {"red": "red, big one", "blue": "blue"}.get(row["text"], "dot")
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return data


SAID = (
    "6 of 24 captions are longer than the 8 tokens that are read, and lose their end, such as 'g one' of 'red, big one'"
)


def test_a_run_says_so_at_its_start(
    long_captions: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders.save(tiny.teacher(), tmp_path / "base")
    train_from("teacher", tmp_path, run="cut", base=str(tmp_path / "base"), data=str(long_captions), loop=LOOP)
    said = capsys.readouterr().out
    assert f"cut: {SAID}\n" in said and said.index(SAID) < said.index("best at step")
    values = {"run": "s", "teacher": str(tmp_path / "base"), "data": str(long_captions), "loop": LOOP, **STUDENT}
    assert AddMethod(StudentConfig.parse({"optimizer": {}, **values}, "test")).notes() == [SAID]


def test_a_clip_says_so_too(
    long_captions: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train("clip", tmp_path, data=str(long_captions), **{**CLIP, "merges": 0})
    said = SAID.replace("'g one'", "'one'")  # its spelling spends nothing on a comma
    assert f"clip: {said}\n" in capsys.readouterr().out
    train("clip", tmp_path, run="whole", data=str(long_captions), **{**CLIP, "length": 24})
    assert "captions are longer" not in capsys.readouterr().out


def test_no_column_at_all_is_refused_with_those_there_are(data: Path) -> None:
    with pytest.raises(BadInput, match=r"captions: no column named; .* has .*text"):
        Captions(ImageFolder(str(data), "train"), [], lambda texts: tokenized(TOKENIZER, list(texts)))
