"""What is held out of sets of any size, and what training must have of each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import BadInput
from data.build import build
from data.splits import keeping, split
from tests.data.pictures import metadata, plain


@pytest.mark.parametrize("count", range(1, 13))
def test_small_sets_hold_something_out_or_say_what_they_need(tmp_path: Path, count: int) -> None:
    report = build(plain(tmp_path / "in", count), tmp_path / "out", 16)
    assert report.rows["train"] + report.rows["validation"] + report.rows["test"] == count
    assert (report.rows["validation"] >= 1) == (count >= 3) and (report.rows["test"] >= 1) == (count >= 6)
    assert report.rows["train"] > count / 2
    assert any("3 images or more" in note for note in report.notes) == (count < 3)


@given(st.lists(st.integers(0, 30).map(str), min_size=3, max_size=60), st.integers(0, 9))
def test_training_has_every_value_that_is_kept(values: list[str], seed: int) -> None:
    names = [str(row) for row in range(len(values))]
    before = split(["" for _ in values], names, seed)
    after = keeping(before, values)
    assert {value for value, splits in zip(values, after, strict=True) if "train" in splits} == set(values)
    for name in {"validation", "test"} & set(before):
        held = [splits for splits in after if name in splits]
        assert held and (all("train" in splits for splits in held) or all(splits == (name,) for splits in held))
    moved = [row for row, splits in enumerate(after) if splits != (before[row],)]
    assert Counter(values[row] for row in moved) == Counter({values[row] for row in moved})


def test_names_that_stand_once_are_all_in_training_and_it_is_said(tmp_path: Path) -> None:
    report = build(plain(tmp_path / "in", 20), tmp_path / "out", 16, keep="text")
    assert report.rows == {"train": 20, "validation": 2, "test": 2}
    assert len({row["text"] for row in metadata(report, "train")}) == 20
    assert any(note.startswith("4 images of held-out splits are in training too") for note in report.notes)
    with pytest.raises(BadInput, match="no column 'nam' to keep the values of; accepted: text"):
        build(tmp_path / "in", tmp_path / "other", 16, keep="nam")
