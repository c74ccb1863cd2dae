"""Which samples are looked at, and how many at once."""

from __future__ import annotations

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from training.parts import evenly, split


@given(count=st.integers(1, 5000), most=st.integers(1, 600))
def test_what_is_shown_lies_evenly_apart(count: int, most: int) -> None:
    shown = evenly(count, most)
    assert len(shown) == len(set(shown)) == min(count, most)
    assert shown[0] == 0 and shown[-1] < count
    steps = {after - before for before, after in pairwise(shown)}
    assert max(steps, default=1) - min(steps, default=1) <= 1
    assert count - shown[-1] >= min(steps, default=1)


@given(count=st.integers(1, 200), side=st.sampled_from([8, 64, 128]), most=st.integers(1, 64))
def test_parts_hold_everything_once(count: int, side: int, most: int) -> None:
    parts = split(count, (4, side, side), most)
    assert torch.equal(torch.cat(list(parts)), torch.arange(count))
    assert max(map(len, parts)) <= most
