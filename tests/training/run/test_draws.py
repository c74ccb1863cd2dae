"""Random numbers of a step: the same for one process or many, and for ever."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.run.draws import Draws, batch_indices

CPU = torch.device("cpu")


@given(st.integers(0, 2**40), st.integers(0, 10**6), st.integers(1, 8))
@settings(max_examples=30)
def test_a_sample_draws_the_same_in_any_company(seed: int, step: int, count: int) -> None:
    together = Draws.at(seed, step, range(count), CPU)
    first, second = together.normal(3), together.uniform()
    for position in range(count):
        alone = Draws.at(seed, step, [position], CPU)
        assert torch.equal(alone.normal(3)[0], first[position])
        assert torch.equal(alone.uniform()[0], second[position])


def test_steps_phases_and_samples_differ() -> None:
    keys = [(0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0)]
    drawn = [float(Draws.at(seed, step, [0], CPU, phase).normal()) for seed, step, phase in keys]
    drawn.append(float(Draws.at(0, 0, [1], CPU).normal()))
    assert len(set(drawn)) == len(drawn)


@given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 20))
@settings(max_examples=40)
def test_every_epoch_sees_every_sample_once(seed: int, batch: int, size: int) -> None:
    steps = 2 * size
    order = [index for step in range(steps) for index in batch_indices(seed, step, batch, size)]
    for epoch in range(len(order) // size):
        assert sorted(order[epoch * size : (epoch + 1) * size]) == list(range(size))
