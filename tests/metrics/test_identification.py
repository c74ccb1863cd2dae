"""Prototypes and backgrounds on synthetic data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.identification import Accuracy, Prototypes, background_colour, background_colours, background_hits
from metrics.labelled_images import LabelledImages, join


def test_a_label_is_found_by_the_direction_of_its_mean() -> None:
    embeddings = np.array([[1.0, 0.1], [1.0, -0.1], [0.1, 1.0], [-0.1, 1.0]])
    prototypes = Prototypes.of(embeddings, np.array([7, 7, 3, 3]))
    assert prototypes.ranked(np.array([[5.0, 1.0], [0.0, 0.2]])).tolist() == [[7, 3], [3, 7]]
    assert np.linalg.norm(prototypes.directions, axis=1) == pytest.approx(1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(6, 40))
def test_accuracy_is_chance_on_noise_and_one_on_the_prototypes(seed: int, labels: int) -> None:
    rng = np.random.default_rng(seed)
    names = rng.permutation(1000)[:labels]
    prototypes = Prototypes.of(rng.standard_normal((labels, 32)), names)
    assert prototypes.accuracy(prototypes.directions, prototypes.labels) == Accuracy(1.0, 1.0)
    shifted = np.roll(prototypes.labels, 1)
    assert prototypes.accuracy(prototypes.directions, shifted).top1 == 0
    noise, wanted = rng.standard_normal((2000, 32)), rng.choice(names, 2000)
    found = prototypes.accuracy(noise, wanted)
    assert found.top1 == pytest.approx(1 / labels, abs=0.05)
    assert found.top5 == pytest.approx(5 / labels, abs=0.06)


def painted(*colours: tuple[int, int, int]) -> np.ndarray:  # type: ignore[type-arg]
    """A grey subject on each of the colours."""
    images = np.zeros((len(colours), 12, 12, 3), np.uint8) + np.array(colours, np.uint8)[:, None, None]
    images[:, 2:10, 2:10] = 120
    return images


def test_the_background_is_read_off_the_border() -> None:
    images = painted((255, 0, 0), (0, 0, 255))
    images[0, 0, :3] = 0  # a subject that touches the border
    assert background_colour(images).tolist() == [[255, 0, 0], [0, 0, 255]]
    colours = background_colours(images, ("red", "blue"))
    drawn = painted((240, 20, 10), (250, 0, 0), (0, 0, 200))
    assert background_hits(drawn, ("red", "blue", None), colours) == [True, False]
    assert background_hits(drawn, (None,) * 3, {}) == []


def captioned(labels: list[int]) -> LabelledImages:
    images = np.zeros((len(labels), 2, 2, 3), np.uint8) + np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return LabelledImages(
        images, tuple(f"row {place}" for place in range(len(labels))), np.array(labels), ("white",) * len(labels)
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 50), st.integers(0, 9))
def test_even_choices_miss_no_label_and_double_no_row(labels: list[int], count: int, seed: int) -> None:
    chosen = captioned(labels).even(count, seed)
    assert len(chosen) == min(count, len(labels)) == len(chosen.images) == len(chosen.backgrounds)
    assert len(set(chosen.captions)) == len(chosen)
    assert [f"row {image[0, 0, 0]}" for image in chosen.images] == list(chosen.captions)
    available, taken = np.bincount(labels, minlength=6), np.bincount(chosen.labels, minlength=6)
    exhausted = taken == available
    assert exhausted.all() or taken[~exhausted].max() - taken[~exhausted].min() <= 1
    assert chosen.captions == captioned(labels).even(count, seed).captions


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_alike_sets_have_the_same_labels(own: list[int], wanted: list[int]) -> None:
    chosen = captioned(own).alike(captioned(wanted))
    assert len(chosen) == len(wanted)
    for found, label in zip(chosen.labels.tolist(), wanted, strict=True):
        assert found == label or label not in own
    for label in set(own) & set(wanted):
        rows = [caption for caption, found in zip(chosen.captions, wanted, strict=True) if found == label]
        assert len(set(rows)) == min(len(rows), own.count(label))


def test_joined_sets_keep_their_rows_together() -> None:
    plain = captioned([1, 2])
    unknown = LabelledImages(plain.images, plain.captions, plain.labels)
    both = join([plain, unknown])
    assert both.labels.tolist() == [1, 2, 1, 2]
    assert both.backgrounds == ("white", "white", None, None)
