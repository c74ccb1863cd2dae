"""Prompts as typed: read, refused where they name nothing, judged by what they mean; and the hundred that ship."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from base.errors import BadInput
from base.shipped import ROOT
from data.icon_captions import GROUNDS
from data.icon_sets import STYLES
from data.icon_split import choose_unseen
from data.icon_things import things
from evaluation.attributes import typed_prompts
from evaluation.attributes.slot_judge import SlotJudge
from evaluation.attributes.slots_by_kind import REALS
from evaluation.attributes.typed_prompts import SEEDS
from metrics.attribute_accuracy import open_judge
from metrics.features import Images
from metrics.judge_network import Judge
from tests.evaluation.attributes.test_slots_by_kind import labelled
from tests.metrics.test_attribute_accuracy import pictures, trained  # noqa: F401

HUNDRED = ROOT / "configs" / "icons" / "hundred_prompts.tsv"
HEAD = "prompt\tlanguage\ttype\that\n"


@pytest.fixture
def judge(trained: Judge) -> SlotJudge:  # noqa: F811
    return SlotJudge(trained, ("type", "hat"))


def write(folder: Path, *rows: str) -> Path:
    (folder / "typed.tsv").write_text(HEAD + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return folder / "typed.tsv"


def test_every_one_of_the_hundred_names_a_thing_that_training_shows() -> None:
    every = list(things())
    unseen = {thing.name for thing in choose_unseen(every, 0)}
    slots = ([thing.name for thing in every if thing.name not in unseen], [style.name for style in STYLES], [*GROUNDS])
    prompts = typed_prompts.read(HUNDRED, SlotJudge(open_judge(slots), ("thing", "style", "ground")))
    assert len(prompts) == len({prompt.prompt for prompt in prompts}) == 100
    assert Counter(prompt.language for prompt in prompts) == {"en": 50, "fr": 50}
    with HUNDRED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert {row["style"] for row in rows} == {"", *(style.name for style in STYLES)}
    assert len({row["thing"] for row in rows}) >= 70


def test_prompts_are_judged_by_what_they_mean(tmp_path: Path, judge: SlotJudge) -> None:
    file = write(tmp_path, "a man\ten\tMan\tCap", "un singe\tfr\tApe\t", "ape!\ten\tApe\t")
    prompts = typed_prompts.read(file, judge)
    assert [prompt.attributes for prompt in prompts] == [("Man", "Cap"), ("Ape",), ("Ape",)]

    def english(texts: Sequence[str], seeds: Sequence[int]) -> Images:
        assert len(texts) == len(seeds) <= 5
        return np.stack([pictures()[1 if text == "ape!" else 0] for text in texts])

    reals, line = typed_prompts.measure(prompts, judge, labelled([0, 1, 2, 3]), {"english": english}, batch=5)
    assert (reals.source, reals.n, reals.slots) == (REALS, 1 + 2 + 2, {"type": 1, "hat": 1})
    assert line.n == 3 * SEEDS and line.languages == {"en": 1, "fr": 0} and line.missed == ("un singe",)
    assert line.slots == {"type": pytest.approx(2 / 3), "hat": 1}
    sheet = typed_prompts.sheet([reals, line])
    assert sheet.heads == ["", "type, en ↑", "type, fr ↑", "type ↑", "hat ↑", "N"]
    assert sheet.rows[1] == ["english", "1.000", "0.000", "0.667", "1.000", "12"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["x\ten\tMann\t"], "line 2: the judge knows no 'Mann'; did you mean 'Man'"),
        (["x\ten\tMan\t", "x\ten\t\tCap"], "line 3: a prompt and its type are needed"),
        (["x"], "line 2: a prompt and its type are needed"),
        ([], "holds no prompts"),
    ],
)
def test_what_cannot_be_judged_is_one_line(rows: list[str], message: str, tmp_path: Path, judge: SlotJudge) -> None:
    with pytest.raises(BadInput) as caught:
        typed_prompts.read(write(tmp_path, *rows), judge)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_of_something_else_is_refused(tmp_path: Path, judge: SlotJudge) -> None:
    (tmp_path / "a.csv").write_text("prompt,type\n")
    with pytest.raises(BadInput, match="has no column hat, language, prompt, type; columns are separated by tabs"):
        typed_prompts.read(tmp_path / "a.csv", judge)
    (tmp_path / "b.tsv").write_bytes(b"prompt\xff\xfe")
    for name in ("b.tsv", "c.tsv", ""):
        with pytest.raises(BadInput, match="cannot be read"):
            typed_prompts.read(tmp_path / name, judge)
