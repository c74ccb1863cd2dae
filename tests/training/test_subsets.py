"""Which samples are looked at, and how many at once."""

from __future__ import annotations

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from training.subsets import evenly, split


@given(count=st.integers(1, 5000), most=st.integers(1, 600))
def test_one_of_each_stretch_is_shown(count: int, most: int) -> None:
    shown = evenly(count, most)
    edges = [place * count // len(shown) for place in range(len(shown) + 1)]
    assert len(shown) == min(count, most)
    assert all(low <= place < high for place, (low, high) in zip(shown, pairwise(edges), strict=True))


@given(kinds=st.integers(8, 300), repeats=st.integers(2, 32))
def test_what_is_shown_of_a_set_that_repeats_is_not_alike(kinds: int, repeats: int) -> None:
    assert len({place % kinds for place in evenly(kinds * repeats, repeats)}) > 1


@given(count=st.integers(1, 200), side=st.sampled_from([8, 64, 128]), most=st.integers(1, 64))
def test_parts_hold_everything_once(count: int, side: int, most: int) -> None:
    parts = split(count, (4, side, side), most)
    assert torch.equal(torch.cat(list(parts)), torch.arange(count))
    assert max(map(len, parts)) <= most
