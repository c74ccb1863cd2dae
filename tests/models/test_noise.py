"""Noise: one stream an image, the same for ever and on every machine."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.noise import MAX_SEED, gaussian


def test_golden_values() -> None:
    assert np.allclose(gaussian([7], 1, (3,))[0, 0], GOLDEN, atol=1e-7)


@given(st.lists(st.integers(0, MAX_SEED), min_size=1, max_size=4), st.integers(1, 4))
def test_an_image_does_not_depend_on_its_neighbours(seeds: list[int], steps: int) -> None:
    together = gaussian(seeds, steps, (2, 3, 3))
    assert together.shape == (steps, len(seeds), 2, 3, 3)
    for index, seed in enumerate(seeds):
        assert np.array_equal(together[:, index], gaussian([seed], steps, (2, 3, 3))[:, 0])


@given(st.integers(0, MAX_SEED))
def test_the_first_step_is_the_same_for_any_number_of_steps(seed: int) -> None:
    assert np.array_equal(gaussian([seed], 1, (2, 4, 4))[0], gaussian([seed], 4, (2, 4, 4))[0])


GOLDEN = [-0.29333901, 1.7038306, 1.53919184]
