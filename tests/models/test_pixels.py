"""Bytes and numbers in [−1, 1] are the same for numpy and torch."""

from __future__ import annotations

import numpy as np
import torch

from models import pixels
from models.pixel_tensors import as_bytes, from_uint8, to_uint8

LEVELS = np.arange(256, dtype=np.uint8).repeat(3).reshape(2, 16, 8, 3)


def test_every_level_comes_back_and_both_worlds_have_the_same_numbers() -> None:
    numbers = from_uint8(LEVELS)
    assert numbers.shape == (2, 3, 16, 8) and float(numbers.min()) == -1 and float(numbers.max()) == 1
    assert np.array_equal(numbers.numpy(), pixels.from_bytes(LEVELS))
    assert np.array_equal(to_uint8(numbers), LEVELS)
    assert np.array_equal(pixels.to_bytes(numbers.numpy()), LEVELS)


def test_numbers_are_cut_and_rounded_alike() -> None:
    images = (torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - 0.5) * 3
    assert np.array_equal(to_uint8(images), pixels.to_bytes(images.numpy()))
    assert as_bytes(images).dtype == torch.uint8 and as_bytes(images).is_contiguous()
    halves = torch.tensor([0.5, 1.5, 2.5]) / 127.5 - 1
    assert to_uint8(halves.reshape(1, 3, 1, 1)).ravel().tolist() == np.rint((halves.numpy() + 1) * 127.5).tolist()
