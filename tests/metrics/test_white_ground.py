"""White grounds: what lies outside a picture is compared with white, its edge and inside are not."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metrics.white_ground import LEVEL, stray_share


def reals(count: int = 2, side: int = 128) -> np.ndarray:
    """A square of a quarter of the side on white."""
    images = np.full((count, side, side, 3), 255, np.uint8)
    images[:, side // 4 : side // 2, side // 4 : side // 2] = 40
    return images


def test_a_real_picture_is_clean_and_so_is_what_is_drawn_inside_or_at_its_edge() -> None:
    assert stray_share(reals(), reals()) == 0
    drawn = reals()
    drawn[:, 29:67, 29:67] = 90  # three pixels of edge
    assert stray_share(drawn, reals()) == 0
    drawn[:, 28:68, 28:68] = 90
    assert stray_share(drawn, reals()) > 0


@given(st.integers(0, 255), st.integers(0, 2), st.integers(1, 200))
def test_the_share_is_that_of_pixels_visibly_off_white(value: int, channel: int, count: int) -> None:
    drawn, outside = reals(), 2 * (128**2 - 38**2)
    drawn[0].reshape(-1, 3)[:count, channel] = value
    expected = count / outside if value < 255 - LEVEL else 0
    assert math.isclose(stray_share(drawn, reals()), expected)


def test_where_nothing_is_outside_there_is_no_share() -> None:
    assert math.isnan(stray_share(reals(0), reals(0)))
    assert math.isnan(stray_share(reals(1), np.zeros((1, 128, 128, 3), np.uint8)))
