"""Batches and pairs balanced by name: how often each sample comes, and that nothing changes where all are alike."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests import tiny
from training.balance import FEWEST, shares
from training.run.draws import batch_indices, spread
from training.student import pairs
from training.student.pairs import PairsConfig

ROWS = [["Male", "Cap"]] * 60 + [["Male"]] * 30 + [["Ape", "Cap"]] * 10
"""100 pictures: 90 of one type, 10 of the other."""


def test_a_rare_name_counts_as_much_as_a_common_one() -> None:
    own = shares(ROWS, 1.0)
    assert own is not None
    assert own.sum() == pytest.approx(1)
    assert own[99] / own[60] == pytest.approx(90 / 10) and own[99] / own[0] == pytest.approx(70 / 10)
    assert own[90:].sum() == pytest.approx(1 / (1 + 60 / 70 + 30 / 90))
    half = shares(ROWS, 0.5)
    assert half is not None and half[99] / half[60] == pytest.approx(3)


def test_nothing_is_balanced_where_all_are_alike() -> None:
    assert shares(ROWS, 0) is None
    assert shares([["a"], ["b"], ["c"]], 1.0) is None and shares([[], []], 1.0) is None


def test_a_single_picture_is_not_drilled() -> None:
    own = shares([["Male"]] * 99 + [["Alien"]], 1.0)
    assert own is not None and own[-1] / own[0] == pytest.approx(99 / FEWEST)


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=40), st.integers(1, 200), st.integers(0, 10))
def test_each_row_comes_as_often_as_its_share_says(weights: list[float], count: int, seed: int) -> None:
    own = np.array(weights) / np.sum(weights)
    drawn = spread(own, count, np.random.default_rng(seed))
    assert len(drawn) == count
    often = np.bincount(drawn, minlength=len(own))
    assert (np.abs(often - own * count) < 1 + 1e-6).all()


def test_epochs_are_balanced_and_resumed_at_any_step() -> None:
    own = shares(ROWS, 1.0)
    seen = [index for step in range(50) for index in batch_indices(3, step, 10, len(ROWS), own)]
    apes = sum(index >= 90 for index in seen) / len(seen)
    assert apes == pytest.approx(0.457, abs=0.02)
    assert batch_indices(3, 7, 10, len(ROWS), own) == seen[70:80]
    assert batch_indices(3, 7, 10, 100, None) == batch_indices(3, 7, 10, 100)


def test_pairs_are_balanced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IPPO_RUNS", str(tmp_path))
    teacher = tiny.attribute_teacher()
    ids = teacher.conditioner.tokenize(["Man"] * 18 + ["Ape"] * 2)
    config = PairsConfig(count=40, steps=1, guidance=1.0)
    plain = pairs.draw(teacher, ids, config, [999])
    balanced = pairs.draw(teacher, ids, config, [999], np.array([0.5 / 18] * 18 + [0.25] * 2))
    counts = [Counter(row.argmax().item() for row in drawn.ids) for drawn in (plain, balanced)]
    assert counts == [{0: 36, 1: 4}, {0: 20, 1: 20}]
    assert not torch.equal(plain.samples, balanced.samples), "each has a cache of its own"
