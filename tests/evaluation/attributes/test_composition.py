"""Attribute accuracy of generators: rows that are requested, combinations, weights, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from evaluation.attributes import composition
from evaluation.attributes.composition import AttributedImages, Composition, attribute_prompt
from evaluation.attributes.slots_by_kind import REALS
from evaluation.pages import report_tables
from evaluation.remarks import _of_attributes
from metrics.features import Images
from metrics.judge_network import Judge
from metrics.sightings import Sightings
from tests.metrics.test_attribute_accuracy import COLOURS, ROWS, SLOTS, pictures, trained  # noqa: F401

SEEN, UNSEEN = AttributedImages(pictures()[:3], tuple(ROWS[:3])), AttributedImages(pictures()[3:], tuple(ROWS[3:]))


def obedient(prompts: Sequence[str], seeds: Sequence[int]) -> Images:
    """Paints the attributes of a text as the pictures show them, those of weight 0 left out."""
    images = np.zeros((len(prompts), 24, 24, 3), np.uint8)
    for image, prompt in zip(images, prompts, strict=True):
        for name, _, weight in (part.partition("=") for part in prompt.split(", ")):
            if weight != "0":
                image[slice(12, 24) if name in SLOTS[0] else slice(0, 12)] = COLOURS[name]
    return images


def deaf(prompts: Sequence[str], seeds: Sequence[int]) -> Images:
    """A man with a cap, whatever is requested."""
    return np.concatenate([pictures()[:1]] * len(prompts))


@pytest.fixture
def found(trained: Judge) -> tuple[Composition, ...]:  # noqa: F811
    return composition.compositions(trained, SEEN, UNSEEN, {"obedient": obedient, "deaf": deaf}, batch=2)


def test_accuracy_is_that_of_the_rows(found: tuple[Composition, ...]) -> None:
    reals, first, second = found
    assert (reals.name, reals.seen, reals.unseen, reals.weights) == (REALS, 1, 1, {})
    assert (first.seen, first.unseen, first.n) == (1, 1, 3)
    assert first.weights[1] == first.weights[2] == 1 > first.weights[0] and first.rises
    assert second.seen == pytest.approx(3 / 5) and second.unseen == pytest.approx(1 / 2)
    assert second.names.by_name == {"Ape": 0, "Cap": 1, "Crown": 0, "Man": 1} and second.names.mean == 0.5
    assert (first.unseen_n, second.unseen_n) == (1, 1)


def test_more_rows_count_for_names_alone(trained: Judge) -> None:  # noqa: F811
    more = SEEN.lacking(UNSEEN, 2)
    assert more.attributes == UNSEEN.attributes and len(SEEN.lacking(UNSEEN, 1)) == 0
    reals, line = composition.compositions(trained, SEEN, UNSEEN, {"deaf": deaf}, more=more)
    assert line.seen == pytest.approx(3 / 5) and line.n == 3
    assert reals.names.counts == {"Man": 2, "Ape": 2, "Cap": 2, "Crown": 1}
    assert line.names.by_name == {"Man": 1, "Ape": 0, "Cap": 1, "Crown": 0}


def test_a_set_without_unknown_combinations_has_no_such_figure(trained: Judge) -> None:  # noqa: F811
    nothing = AttributedImages(pictures()[:0], ())
    reals, line = composition.compositions(trained, SEEN, nothing, {"obedient": obedient})
    assert np.isnan(reals.unseen) and np.isnan(line.unseen)
    assert "nan" not in str(report_tables.attribute_sheets((reals, line)))


def test_the_sheets_compare_with_the_reals(found: tuple[Composition, ...]) -> None:
    sheet, missed = report_tables.attribute_sheets(found)
    assert sheet.heads[-4:] == ["at weight 0", "at weight 1", "at weight 2", "N"]
    assert sheet.heads[5] == "mean over names ↑"
    assert sheet.rows[2][:6] == ["deaf", "0.600", "0.60", "0.500", "0.50", "0.500"]
    assert sheet.rows[0][-4:] == ["", "", "", "3"]
    assert [row[0] for row in missed.rows] == ["Ape", "Crown", "Cap", "Man"]
    assert missed.rows[0] == ["Ape", "1.000", "1.000", "0.000", "1"]
    assert report_tables.attribute_sheets(()) == []


def test_what_should_worry_one_is_said(found: tuple[Composition, ...]) -> None:
    reals, first, second = (replace(one, n=300, unseen_n=100) for one in found)
    assert _of_attributes(first, reals) == []
    assert [line.split(": ")[1][:20] for line in _of_attributes(second, reals)] == [
        "heavier attributes a",
        "on combinations that",
    ]
    falling = Composition("student", 0.9, 0.9, 300, 100, {0.0: 0.2, 1.0: 0.9, 2.0: 0.8})
    assert ["0.800 at 2" in line for line in _of_attributes(falling, reals)] == [True]


def test_what_chance_can_do_is_not_said(found: tuple[Composition, ...]) -> None:
    reals, _, second = found
    assert not any("combinations" in line for line in _of_attributes(second, reals)), "of one image"
    falling = Composition("student", 0.9, 0.9, 30, 10, {0.0: 0.2, 1.0: 0.9, 2.0: 0.8})
    assert _of_attributes(falling, reals) == []


def test_names_that_are_not_drawn_are_told_from_those_that_the_judge_does_not_see() -> None:
    counts = {"Alien": 20, "Mole": 20, "Cap": 20}
    reals = Composition("held-out reals", 1, 1, 20, names=Sightings(counts, {"Alien": 20, "Mole": 0, "Cap": 20}))
    student = Composition("student", 1, 1, 20, weights={0.0: 0.1, 1.0: 1.0})
    student = replace(student, names=Sightings(counts, {"Alien": 1, "Mole": 0, "Cap": 20}))
    assert _of_attributes(student, reals) == ["student: hardly draws Alien 1 of 20, which are seen on reals."]


def test_rows_are_chosen_evenly_and_written_as_text() -> None:
    shown = AttributedImages(
        np.arange(10, dtype=np.uint8)[:, None, None, None], tuple((str(place),) for place in range(10))
    )
    assert shown.even(3).attributes == (("0",), ("4",), ("9",)) and shown.even(3).images.ravel().tolist() == [0, 4, 9]
    assert len(shown.even(99)) == 10
    assert (attribute_prompt(("Man", "Cap")), attribute_prompt(("Man", "Cap"), 2.5)) == ("Man, Cap", "Man=2.5, Cap=2.5")
