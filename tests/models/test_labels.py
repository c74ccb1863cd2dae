"""Labels by number and by name, and one line for whatever is neither."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import BadInput
from models.labels import class_id

DIGITS = tuple(map(str, range(10)))
PETS = ("cat", "dog", "1")


@given(st.integers(0, 9))
def test_a_number_and_its_name_are_one_row(label: int) -> None:
    assert class_id(label, DIGITS) == class_id(str(label), DIGITS) == label


def test_a_name_goes_before_a_number_written_as_text() -> None:
    assert (class_id("1", PETS), class_id(1, PETS), class_id("dog", PETS), class_id("2", PETS)) == (2, 1, 1, 2)


@pytest.mark.parametrize("classes", [(), PETS])
def test_nothing_is_the_null_condition(classes: tuple[str, ...]) -> None:
    assert class_id("", classes) == len(classes)


@given(st.one_of(st.text(), st.integers(), st.none()))
def test_without_classes_every_input_is_the_null_condition(label: object) -> None:
    assert class_id(label, ()) == 0


@pytest.mark.parametrize(
    ("label", "classes", "message"),
    [
        (10, DIGITS, "label 10 is out of range; accepted: 0 to 9"),
        (-1, DIGITS, "label -1 is out of range"),
        ("12", DIGITS, "label '12' is out of range"),
        ("cta", PETS, "label 'cta' is unknown; did you mean 'cat'?"),
        ("²", PETS, "label '²' is unknown; accepted: 1, cat, dog"),
        ("9" * 5000, DIGITS, "is unknown"),
        (True, DIGITS, "label True is neither a number nor a name"),
        (1.0, DIGITS, "label 1.0 is neither"),
        (None, DIGITS, "label None is neither"),
        ("x", tuple(map(str, range(100, 1100))), "label 'x' is unknown; accepted: 0 to 999"),
    ],
)
def test_what_is_no_label_is_one_line(label: object, classes: tuple[str, ...], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        class_id(label, classes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none()))
def test_every_answer_is_a_row_of_the_table(label: object) -> None:
    try:
        assert 0 <= class_id(label, PETS) <= len(PETS)
    except BadInput as refused:
        assert "accepted" in str(refused) or "did you mean" in str(refused)
