"""The picture grid: where things are, and that nothing falls out of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.typeface import font
from evaluation.pages.grid import CELL, grid, wrap


def pictures(count: int, side: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(0).integers(0, 200, (count, side, side, 3)).astype(np.uint8)


@pytest.mark.parametrize("side", [16, 64, 100, 200])
def test_every_picture_is_there_enlarged_by_a_whole_factor(side: int) -> None:
    images = pictures(3, side)
    factor = max(1, -(-CELL // side))
    sheet = np.asarray(grid({"teacher": images, "student": images[::-1]}, ["a", "b", "c"], columns=2))
    shown = images[1].repeat(factor, axis=0).repeat(factor, axis=1)
    middle = shown[20:-20, 20:-20]
    windows = np.lib.stride_tricks.sliding_window_view(sheet[..., 0], (8, 8))
    found = (windows == middle[:8, :8, 0]).all(axis=(2, 3)).sum()
    assert found == 2  # once in each row


def test_captions_beyond_the_columns_make_another_band() -> None:
    images = pictures(5, 32)
    one, two = grid({"a": images}, list("abcde"), columns=5), grid({"a": images}, list("abcde"), columns=3)
    assert two.width < one.width and two.height > one.height
    with pytest.raises(AssertionError):
        grid({"a": images[:4]}, list("abcde"))


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=120))
def test_wrapped_lines_fit(text: str) -> None:
    face = font(13)
    lines = wrap(text, face, CELL)
    assert 1 <= len(lines) <= 4
    assert all(face.getlength(line) <= CELL for line in lines)


def test_short_captions_are_whole() -> None:
    assert " ".join(wrap("a cat with heart eyes on blue", font(13), CELL)) == "a cat with heart eyes on blue"
