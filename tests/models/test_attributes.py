"""Attributes and their weights: every way to write them, and one line for whatever is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import BadInput
from models.attributes import attribute_examples, attribute_text, attribute_weights
from tests.tiny import SLOTS

NAMES = [name for slot in SLOTS.values() for name in slot]
wanted = st.fixed_dictionaries({}, optional={
    "Man": st.floats(0, 3), "Fez": st.floats(0, 3), "Pipe": st.floats(0, 3)
})  # fmt: skip


@given(wanted)
def test_every_way_to_write_weights_gives_the_same(weights: dict[str, float]) -> None:
    found = attribute_weights(weights, SLOTS)
    assert dict(zip(NAMES, found, strict=True)) == {**dict.fromkeys(NAMES, 0.0), **weights}
    assert attribute_weights(", ".join(f"{name}={weight!r}" for name, weight in weights.items()), SLOTS) == found
    assert attribute_weights(list(weights), SLOTS) == attribute_weights(dict.fromkeys(weights, 1), SLOTS)
    assert attribute_weights(",".join(weights), SLOTS) == attribute_weights(list(weights), SLOTS)


@given(wanted)
def test_text_reads_back_exactly_and_in_one_order(weights: dict[str, float]) -> None:
    found = attribute_weights(weights, SLOTS)
    text = attribute_text(found, SLOTS)
    assert attribute_weights(text, SLOTS) == found
    assert attribute_text(attribute_weights(dict(reversed(weights.items())), SLOTS), SLOTS) == text
    assert attribute_text(attribute_weights({"Fez": 2.0, "Man": 1, "Pipe": 0}, SLOTS), SLOTS) == "Man, Fez=2"


def test_examples_can_be_asked_for_and_differ() -> None:
    found = attribute_examples(SLOTS, 6)
    assert all(any(attribute_weights(wanted, SLOTS)) for wanted in found)
    assert len({attribute_text(attribute_weights(wanted, SLOTS), SLOTS) for wanted in found}) == 6
    assert attribute_examples({"only": ["A"]}, 2) == [{"A": 1.0}, {"A": 2.0}]
    assert attribute_examples({}, 3) == []


@pytest.mark.parametrize("nothing", ["", " ", {}, [], (), {"Cap": 0, "Fez": 0.0}])
def test_nothing_leaves_everything_free(nothing: object) -> None:
    assert attribute_weights(nothing, SLOTS) == [0.0] * len(NAMES)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ({"Crwon": 1}, "attribute 'Crwon' is unknown; did you mean 'Crown'?"),
        (["ape"], "attribute 'ape' is unknown; did you mean 'Ape'?"),
        (
            "Spaceship",
            "attribute 'Spaceship' is unknown; accepted are attributes, one of each slot: type (Man, Ape), hat (Cap, ",
        ),
        ("a red cat", "attribute 'a red cat' is unknown; accepted are attributes, one of each slot"),
        ("9" * 5000, "is unknown"),
        ([1], "attribute 1 is unknown"),
        (["Cap", "Cap"], "attribute 'Cap' is named twice"),
        ("Cap=1, Cap=2", "attribute 'Cap' is named twice"),
        ({"Cap": 1, "Fez": 0.5}, "attributes 'Cap' and 'Fez' exclude each other: one hat at most"),
        ({"Cap": 3.01}, "weight 3.01 of attribute 'Cap' is refused; accepted: 0 to 3"),
        ({"Cap": -0.1}, "weight -0.1 of"),
        ({"Cap": float("nan")}, "weight nan of"),
        ({"Cap": float("inf")}, "weight inf of"),
        ({"Cap": 10**400}, "of attribute 'Cap' is refused"),
        ({"Cap": True}, "weight True of"),
        ({"Cap": None}, "weight None of"),
        ("Cap=", "weight '' of attribute 'Cap' is refused"),
        ("Cap=2=3", "weight '2=3' of"),
        (7, "attributes must be weights by name, names, or text"),
        (None, "attributes must be weights by name, names, or text"),
    ],
)
def test_what_is_refused_is_one_line(refused: object, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        attribute_weights(refused, SLOTS)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


@given(st.one_of(st.text(), st.lists(st.text()), st.dictionaries(st.text(), st.floats()), st.integers(), st.none()))
def test_every_answer_is_a_weight_of_each_attribute(anything: object) -> None:
    try:
        found = attribute_weights(anything, SLOTS)
    except BadInput as refused:
        assert "\n" not in str(refused)
    else:
        assert len(found) == len(NAMES) and all(0 <= weight <= 3 for weight in found)
