"""Sharpness, spread, error, and the ways to spoil an image."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from metrics import sharpness, validity


def images(seed: int = 0, count: int = 3, side: int = 24) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(60, 196, (count, side, side, 3)).astype(np.uint8)


def test_laplacian_of_a_single_bright_pixel() -> None:
    picture = np.zeros((1, 5, 5, 3), np.uint8)
    picture[0, 2, 2] = 100  # 4·100 on it, 100 on each of its four neighbours, over 9 inner pixels
    assert sharpness.laplacian(picture) == pytest.approx(800 / 9)


def test_laplacian_is_zero_on_a_ramp() -> None:
    ramp = np.broadcast_to(np.arange(20, dtype=np.uint8)[:, None, None] * 3, (2, 20, 20, 3))
    assert sharpness.laplacian(ramp) == pytest.approx(0, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.4, 3.0))
def test_laplacian_falls_with_every_further_blur(seed: int, sigma: float) -> None:
    sharp = images(seed)
    found = [sharpness.laplacian(picture) for picture in (sharp, *(validity.blurred(sharp, s * sigma) for s in (1, 2)))]
    assert found[0] > found[1] > found[2]


def test_blur_keeps_flat_ground_and_the_mean() -> None:
    flat = np.full((1, 9, 9, 3), 77, np.uint8)
    spot = np.zeros((1, 21, 21, 3), np.uint8)
    spot[0, 10, 10] = 250
    assert (validity.blurred(flat, 1.0) == 77).all()
    assert validity.blurred(spot, 1.0).astype(int).sum() == pytest.approx(3 * 250, rel=0.05)
    assert validity.blurred(spot, 1.0)[0, 10, 10, 0] == round(250 / (2 * math.pi))


def test_noise_has_the_level_that_was_asked_for() -> None:
    flat = np.full((4, 32, 32, 3), 128, np.uint8)
    assert validity.noisy(flat, 10.0).std() == pytest.approx(10, rel=0.05)
    assert (validity.noisy(flat, 0.0) == flat).all()


def test_spread_is_zero_for_equal_images_and_the_deviation_otherwise() -> None:
    equal = np.repeat(images()[:, None], 4, axis=1)
    assert sharpness.spread(equal) == 0
    pair = np.zeros((1, 2, 4, 4, 3), np.uint8)
    pair[0, 1] = 10
    assert sharpness.spread(pair) == pytest.approx(10 / math.sqrt(2))


def test_psnr_of_a_set() -> None:
    black = np.zeros((2, 8, 8, 3), np.uint8)
    assert sharpness.psnr(black, black) == 100
    assert sharpness.psnr(black, np.full_like(black, 255)) == 0
    assert sharpness.psnr(black, black + 1) == pytest.approx(48.13, abs=0.01)
    half = black.copy()
    half[0] += 1
    assert sharpness.psnr(black, half) == pytest.approx(48.13 + 10 * math.log10(2), abs=0.01)


def test_mean_psnr() -> None:
    black = np.zeros((2, 8, 8, 3), np.uint8)
    assert sharpness.mean_psnr(black, black + 1) == pytest.approx(20 * math.log10(255))
    assert sharpness.mean_psnr(black, black) == math.inf
    half = black.copy()
    half[0] += 1  # one image right, one wrong: finite
    assert math.isfinite(sharpness.mean_psnr(black, half))


def test_nearest_is_the_median_distance() -> None:
    training = np.array([[0.0, 0.0], [10.0, 0.0]])
    found = sharpness.nearest(np.array([[1.0, 0.0], [10.0, 2.0], [0.0, 5.0]]), training)
    assert found == pytest.approx(2.0)
