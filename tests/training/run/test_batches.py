"""Batches of one group each: every sample as often as without groups, the same at every visit."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.run.batches import Batches
from training.run.draws import batch_indices


def test_without_groups_batches_are_what_they_were() -> None:
    shares = np.arange(1, 11) / 55
    for groups in (None, [0] * 10):
        assert Batches(3, 4, 10, None, groups).at(7) == batch_indices(3, 7, 4, 10)
        assert Batches(3, 4, 10, shares, groups).at(7) == batch_indices(3, 7, 4, 10, shares)


@given(st.integers(0, 2**40), st.integers(1, 9), st.lists(st.integers(2, 9), min_size=2, max_size=5), st.randoms())
@settings(max_examples=60, deadline=None)
def test_each_sample_is_taken_as_often_as_any_other(seed: int, batch: int, counts: list[int], random: object) -> None:
    groups = [group for group, count in enumerate(counts) for _ in range(count)]
    random.shuffle(groups)  # type: ignore[attr-defined]
    size, rounds = len(groups), 2
    batches = Batches(seed, batch, size, None, groups)
    taken = [batches.at(step) for step in range(rounds * size)]
    assert all(len({groups[row] for row in rows}) == 1 and len(rows) == batch for rows in taken)
    assert set(Counter(row for rows in taken for row in rows).values()) == {rounds * batch}

    # Evenly on the way, too: no group waits longer than its share of the steps says, to two of its own steps.
    visits: Counter[int] = Counter()
    for step, rows in enumerate(taken[:size], 1):
        visits[groups[rows[0]]] += 1
        assert all(abs(visits[group] - step * count / size) <= 2 for group, count in enumerate(counts))

    # A run that goes on takes what it would have taken.
    again = Batches(seed, batch, size, None, groups)
    assert [again.at(step) for step in (2 * size - 1, 0, size)] == [taken[step] for step in (2 * size - 1, 0, size)]


def test_shares_hold_over_groups_and_inside_of_them() -> None:
    groups = [0] * 4 + [1] * 6
    shares = np.array([4, 2, 1, 1, 4, 4, 1, 1, 1, 1]) / 20
    batches = Batches(1, 5, 10, shares, groups)
    counted = Counter(row for step in range(400) for row in batches.at(step))
    for row, share in enumerate(shares):
        assert abs(counted[row] / 2000 - share) < 0.01


def test_another_seed_takes_another_way() -> None:
    groups = [0] * 8 + [1] * 8
    first, second = (Batches(seed, 4, 16, None, groups) for seed in (0, 1))
    assert [first.at(step) for step in range(8)] != [second.at(step) for step in range(8)]
