"""Two standard errors of a share: as wide as they should be, and never certain of few samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.proportions import below, falls, interval


def test_known_values() -> None:
    low, high = interval(0.5, 100)
    assert (low, high) == pytest.approx((0.402, 0.598), abs=1e-3)
    assert all(map(math.isnan, interval(0.5, 0)))
    assert not below(0.0, 1, 0.5) and not below(float("nan"), 0, 0.5)
    assert below(0.0, 6, 0.5) and not below(0.45, 100, 0.5) and below(0.45, 1000, 0.5)
    assert falls(0.9, 0.8, 300) and not falls(0.9, 0.8, 30) and not falls(0.8, 0.9, 10**6)


@given(st.floats(0, 1), st.integers(1, 10**6))
def test_the_interval_holds_the_share(share: float, count: int) -> None:
    low, high = interval(share, count)
    assert low < share < high or count > 10**5 or low <= share <= high


def test_it_is_seldom_wrong() -> None:
    hits = np.random.default_rng(0).binomial(60, 0.3, 2000)
    wrong = np.mean([below(hit / 60, 60, 0.3) for hit in hits.tolist()])
    assert 0.005 < wrong < 0.04
