"""Distances against closed forms, scipy and torchmetrics."""

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance, poly_mmd

from metrics import distances, features
from metrics.judge_network import Judge, JudgeConfig


def rows(seed: int, count: int = 60, width: int = 8, scale: float = 1.0, shift: float = 0.0) -> distances.Features:
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((width, width))
    return rng.standard_normal((count, width)) @ mixing * scale + shift


def exactly(mean: distances.Features, deviation: distances.Features) -> distances.Features:
    """Rows whose sample mean and sample covariance are exactly `mean` and diag(deviation²)."""
    width = len(mean)
    signs = scipy.linalg.hadamard(16)[:, 1 : width + 1].astype(np.float64)
    return signs * deviation * np.sqrt(15 / 16) + mean


def test_gaussians_with_diagonal_covariances_have_a_closed_form() -> None:
    means = np.array([0.0, 1.0, -2.0]), np.array([0.5, 1.0, 2.0])
    deviations = np.array([1.0, 2.0, 0.5]), np.array([1.5, 0.1, 3.0])
    expected = np.square(means[0] - means[1]).sum() + np.square(deviations[0] - deviations[1]).sum()
    found = distances.frechet(exactly(means[0], deviations[0]), exactly(means[1], deviations[1]))
    assert found == pytest.approx(expected, rel=1e-10)


def test_frechet_equals_scipy() -> None:
    first, second = rows(0, 200), rows(1, 150, scale=1.3, shift=0.4)
    covariances = np.cov(first.T), np.cov(second.T)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    by_scipy = np.square(first.mean(0) - second.mean(0)).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert distances.frechet(first, second) == pytest.approx(by_scipy, rel=1e-6)


class Embed(torch.nn.Module):
    """The judge as torchmetrics wants an extractor: uint8 `(N, 3, H, W)` in."""

    def __init__(self) -> None:
        super().__init__()
        self.judge = Judge(JudgeConfig(labels=4, channels=(8, 16), width=8)).eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.judge.features(images.float() / 127.5 - 1)


def test_frechet_equals_torchmetrics_with_the_same_extractor() -> None:
    rng = np.random.default_rng(0)
    real, drawn = (rng.integers(low, 256, (60, 16, 16, 3)).astype(np.uint8) for low in (0, 90))
    extract = Embed()
    theirs = FrechetInceptionDistance(feature=extract, input_img_size=(3, 16, 16))
    for images, is_real in ((real, True), (drawn, False)):
        theirs.update(torch.from_numpy(images).permute(0, 3, 1, 2), real=is_real)
    ours = distances.frechet(*(features.features(extract.judge, images) for images in (real, drawn)))
    assert ours == pytest.approx(theirs.compute().item(), rel=1e-3)


def test_frechet_stands_fewer_rows_than_dimensions() -> None:
    first, second = rows(0, 5, 12), rows(1, 7, 12)
    assert distances.frechet(first, first) == pytest.approx(0, abs=1e-9)
    assert np.isfinite(distances.frechet(first, second))
    assert distances.frechet(first, second) > 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 30), st.floats(0.01, 100), st.floats(-5, 5))
def test_frechet_is_symmetric_never_negative_and_moves_with_the_mean(
    seed: int, count: int, scale: float, shift: float
) -> None:
    first, second = rows(seed, 20, scale=scale), rows(seed + 1, count, scale=scale)
    forth, back = distances.frechet(first, second), distances.frechet(second, first)
    assert forth >= 0
    assert forth == pytest.approx(back, rel=1e-6, abs=1e-9 * scale**2)
    assert distances.frechet(first, first + shift) == pytest.approx(8 * shift**2, rel=1e-6, abs=1e-6 * scale**2)


def test_mmd_equals_torchmetrics() -> None:
    first, second = rows(0), rows(1, shift=0.3)
    tensors = [torch.from_numpy(value) for value in (first, second)]
    theirs = poly_mmd(tensors[0], tensors[1], degree=3, gamma=None, coef=1.0).item()
    assert distances.mmd(first, second) == pytest.approx(theirs, rel=1e-3)


class Columns(torch.nn.Module):
    """What torchmetrics takes for images is our features already: one row of pixels each."""

    num_features = 8

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.flatten(1)


def test_both_distances_equal_torchmetrics_on_the_same_features() -> None:
    first, second = rows(0, 50), rows(1, 50, shift=0.3)
    fid = FrechetInceptionDistance(Columns(), input_img_size=(1, 1, 8))
    kid = KernelInceptionDistance(Columns(), subsets=2, subset_size=50)
    fid.set_dtype(torch.float64)
    for real, values in ((True, first), (False, second)):
        images = torch.from_numpy(values).view(-1, 1, 1, 8)
        fid.update(images, real=real)
        kid.update(images, real=real)
    ours = distances.kid(first, second, subsets=2, size=50)
    assert distances.frechet(first, second) == pytest.approx(fid.compute().item(), rel=1e-3)
    assert ours.mean == pytest.approx(kid.compute()[0].item(), rel=1e-3)


def test_kid_of_one_distribution_is_zero_within_its_spread_and_seeded() -> None:
    same = distances.kid(rows(0, 400)[:200], rows(0, 400)[200:])
    other = distances.kid(rows(0, 200), rows(0, 200) + 3)
    assert abs(same.mean) < same.deviation
    assert other.mean > 20 * abs(same.mean)
    assert distances.kid(rows(0), rows(1), seed=3) == distances.kid(rows(0), rows(1), seed=3)
    assert distances.kid(rows(0), rows(1), seed=3) != distances.kid(rows(0), rows(1), seed=4)


def test_kid_over_the_whole_sets_is_the_mmd() -> None:
    whole = distances.kid(rows(0, 40), rows(1, 40), subsets=3, size=40)
    assert whole.mean == pytest.approx(distances.mmd(rows(0, 40), rows(1, 40)))
    assert whole.deviation == pytest.approx(0, abs=1e-9 * abs(whole.mean))


def test_precision_falls_with_strays_and_recall_with_dropped_modes() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((100, 2)) * 0.1, rng.standard_normal((100, 2)) * 0.1 + 5
    real = np.concatenate([left[:50], right[:50]])
    precise = distances.precision_recall(real, left[50:])  # one mode of two
    strayed = distances.precision_recall(real, np.concatenate([left[50:], right[50:], right[50:] + 20]))
    assert precise[0] > 0.9 and precise[1] == pytest.approx(0.5, abs=0.1)
    assert strayed[0] == pytest.approx(2 / 3, abs=0.1) and strayed[1] > 0.9


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(5, 25), st.integers(5, 25), st.integers(1, 4))
def test_precision_and_recall_by_brute_force(seed: int, count: int, others: int, neighbours: int) -> None:
    real, drawn = rows(seed, count, 3), rows(seed + 1, others, 3, shift=0.5)

    def inside(row: distances.Features, among: distances.Features) -> bool:
        for centre in among:
            radius = sorted(float(np.linalg.norm(centre - other)) for other in among)[neighbours]
            if np.linalg.norm(row - centre) <= radius:
                return True
        return False

    by_hand = np.mean([inside(row, real) for row in drawn]), np.mean([inside(row, drawn) for row in real])
    assert distances.precision_recall(real, drawn, neighbours) == pytest.approx(by_hand)


def test_neighbours_are_the_nearest_first() -> None:
    training = np.array([[0.0, 0.0], [10.0, 0.0], [3.0, 0.0]])
    indices, apart = distances.neighbours(np.array([[1.0, 0.0], [9.0, 0.0]]), training, 2)
    assert indices.tolist() == [[0, 2], [1, 2]]
    assert apart == pytest.approx(np.array([[1.0, 2.0], [1.0, 6.0]]))
    assert distances.neighbours(training, training, 9)[0].shape == (3, 3)


def test_diversity_is_the_mean_distance_of_two_seeds() -> None:
    groups = np.array([[[0.0], [0.0], [0.0]], [[0.0], [3.0], [6.0]]])
    assert distances.diversity(groups) == pytest.approx((0 + (3 + 6 + 3) / 3) / 2)


def test_a_bootstrapped_deviation_is_that_of_fresh_draws() -> None:
    """Within a factor of two, which is what an error bar is for."""
    real = rows(0, 300, 4)
    mixing = np.random.default_rng(5)
    fresh = [distances.frechet(real, mixing.standard_normal((200, 4)) + 0.5) for _ in range(60)]
    found = distances.frechet_deviation(real, mixing.standard_normal((200, 4)) + 0.5)
    assert np.std(fresh) / 2 < found < np.std(fresh) * 2


def test_distances_are_euclidean() -> None:
    found = distances.distances(np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[3.0, 4.0]]))
    assert found == pytest.approx(np.array([[5.0], [np.sqrt(13)]]))
