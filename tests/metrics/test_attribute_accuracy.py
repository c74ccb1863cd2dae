"""The judge of attributes: one answer a slot, nothing among them, and what counts as a hit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metrics import attribute_accuracy, judge_network
from metrics.judge_network import Judge
from tests.metrics.judges import attribute_judge

SLOTS = (("Man", "Ape"), ("Cap", "Crown"))
ROWS = [("Man", "Cap"), ("Ape",), ("Crown", "Man"), ("Ape", "Cap")]
COLOURS = {"Man": 200, "Ape": 60, "Cap": 230, "Crown": 120}


def pictures() -> np.ndarray:  # type: ignore[type-arg]
    """The type is the lower half's grey, the hat the upper half's; black without one."""
    images = np.zeros((len(ROWS), 24, 24, 3), np.uint8)
    for image, row in zip(images, ROWS, strict=True):
        for name in row:
            image[slice(12, 24) if name in SLOTS[0] else slice(0, 12)] = COLOURS[name]
    return images


@pytest.fixture(scope="module")
def trained() -> Judge:
    return attribute_judge(pictures(), ROWS, SLOTS)


def test_places_are_those_in_the_slot_and_its_length_for_nothing() -> None:
    assert attribute_accuracy.slot_indices([*ROWS, ()], SLOTS).tolist() == [[0, 0], [1, 2], [0, 1], [1, 0], [2, 2]]


def test_it_learns_every_slot(trained: Judge) -> None:
    assert trained.config.labels == 6
    assert (
        attribute_accuracy.read(trained, pictures()).tolist() == attribute_accuracy.slot_indices(ROWS, SLOTS).tolist()
    )


def test_accuracy_counts_what_was_asked_for_and_nothing_else(trained: Judge) -> None:
    seen = attribute_accuracy.sightings(trained, pictures(), ROWS)
    assert seen.share == seen.mean == 1 and seen.by_name == {"Ape": 1, "Cap": 1, "Crown": 1, "Man": 1}
    wrong = [("Man", "Crown"), ("Ape", "Cap"), (), ("Ape",)]  # right: Man, Ape, Ape; the free slots do not count
    seen = attribute_accuracy.sightings(trained, pictures(), wrong)
    assert seen.share == pytest.approx(3 / 5) and seen.by_name == {"Ape": 1, "Cap": 0, "Crown": 0, "Man": 1}
    assert seen.counts == {"Ape": 2, "Cap": 1, "Crown": 1, "Man": 1} and seen.mean == 0.5
    nothing = attribute_accuracy.sightings(trained, pictures(), [()] * 4)
    assert np.isnan(nothing.share) and np.isnan(nothing.mean)
    assert np.isnan(attribute_accuracy.sightings(trained, pictures()[:0], []).share)
    assert (seen + seen).counts == {"Ape": 4, "Cap": 2, "Crown": 2, "Man": 2} and (seen + nothing) == seen


def test_a_round_trip_keeps_the_slots(trained: Judge, tmp_path: Path) -> None:
    judge_network.save(trained, tmp_path)
    opened = judge_network.load(tmp_path)
    assert opened.config == trained.config
    assert (attribute_accuracy.read(opened, pictures()) == attribute_accuracy.read(trained, pictures())).all()
