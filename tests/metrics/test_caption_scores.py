"""Figures of captions against values computed by hand, and what must hold of any captions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.caption_scores import CiderD, Names, chrf, exact, word_f1

WORDS = st.sampled_from(["red", "cat", "dog", "on", "blue", "house"])
TEXTS = st.lists(WORDS, min_size=1, max_size=7).map(" ".join)
TWO = [["a cat"], ["a dog"]]
"""Documents: `a` weighs ln 1 = 0, `cat` and every other run ln 2."""


@pytest.mark.parametrize(
    ("written", "reference", "score"),
    [
        ("a cat", "a cat", 10 * (1 + 1) / 4),
        ("a dog", "a cat", 0.0),
        ("cat", "a cat", 10 * 1 / 4 * math.exp(-1 / 72)),
        ("a cat cat", "a cat", 10 * (1 / 2 + 1 / math.sqrt(2)) / 4 * math.exp(-1 / 72)),
        ("", "a cat", 0.0),
    ],
)
def test_cider_d_is_what_its_equation_says(written: str, reference: str, score: float) -> None:
    assert CiderD(TWO).scores([written], [[reference]])[0] == pytest.approx(score, abs=1e-12)


def test_cider_d_is_the_mean_over_references() -> None:
    assert CiderD(TWO).scores(["a cat"], [["a cat", "a dog"]])[0] == pytest.approx(2.5)


@given(TEXTS, TEXTS, st.lists(TEXTS, min_size=2, max_size=5))
def test_cider_d_is_highest_for_the_reference_itself(own: str, reference: str, others: list[str]) -> None:
    cider = CiderD([[reference], *([other] for other in others)])
    score, best = cider.scores([own, reference], [[reference], [reference]])
    assert 0 <= score <= best + 1e-9 <= 10 + 2e-9
    assert cider.scores([own], [[own]])[0] <= 10 * min(4, len(own.split())) / 4 + 1e-9


def test_chrf_is_what_its_equation_says() -> None:
    # "cats" for "cat": runs of 1, 2 and 3 letters have precisions 3/4, 2/3, 1/2 and recalls 1; one run of 4 has neither.
    precision, recall = (3 / 4 + 2 / 3 + 1 / 2 + 0) / 4, (1 + 1 + 1 + 0) / 4
    assert chrf(["cats"], [["cat"]]) == pytest.approx(5 * precision * recall / (4 * precision + recall))
    assert chrf(["a cat"], [["dog", "acat"]]) == 1 == chrf([""], [[""]]) and chrf([""], [["cat"]]) == 0


@given(TEXTS, TEXTS)
def test_chrf_is_highest_for_what_is_right(own: str, right: str) -> None:
    assert 0 <= chrf([own], [[right]]) <= chrf([right], [[right]]) == 1 and chrf(["xyz"], [[right]]) == 0


@given(TEXTS, TEXTS)
def test_words_in_common_are_counted_alike_from_both_sides(one: str, other: str) -> None:
    f1 = word_f1([one], [[other]])
    assert f1 == word_f1([other], [[one]]) and 0 <= f1 <= 1
    assert (f1 == 1) == (sorted(one.split()) == sorted(other.split()))
    assert word_f1([one], [[other, one]]) == 1 == exact([one], [[other, one]])


def test_shares_of_captions() -> None:
    assert exact(["cat", "dog"], [["cat"], ["a dog"]]) == 0.5
    assert word_f1(["red cat", ""], [["cat on blue"], ["cat"]]) == pytest.approx((2 / 5 + 0) / 2)
    assert math.isnan(exact([], [])) and word_f1([""], [[""]]) == 1


@pytest.mark.parametrize(
    ("caption", "said"),
    [
        ("cat face on blue", "cat face"),
        ("glossy cat, on blue", "cat"),
        ("a catt", "cat"),
        ("catalogue", "catalogue"),
        ("a hose on blue", "house"),
        ("", None),
    ],
)
def test_a_caption_names_what_fits_best_into_it(caption: str, said: str | None) -> None:
    names = Names(("house", "cat", "cat face", "catalogue"))
    found = names.said(caption)
    assert (None if found is None else names.names[found]) == said


@given(st.lists(TEXTS, min_size=1, max_size=5, unique=True), st.data())
def test_a_name_within_a_caption_is_found_unless_a_longer_one_is_there(names: list[str], data: st.DataObject) -> None:
    own = data.draw(st.sampled_from(names))
    caption = " ".join([data.draw(TEXTS), own, data.draw(TEXTS)])
    said = Names(tuple(names)).said(caption)
    assert said is not None and f" {names[said]} " in f" {caption} " and len(names[said]) >= len(own)


def _edits(name: str, text: str) -> int:
    """The same distance by its definition: the least over all parts of the text."""

    def apart(one: str, other: str) -> int:
        row = list(range(len(other) + 1))
        for i, a in enumerate(one, 1):
            before, row[0] = row[0], i
            for j, b in enumerate(other, 1):
                before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
        return row[-1]

    parts = {text[i:j] for i in range(len(text) + 1) for j in range(i, len(text) + 1)}
    return min(apart(name, part) for part in parts)


@given(st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3), st.text("abc", min_size=1, max_size=5))
def test_the_nearest_name_is_the_one_of_fewest_edits_a_letter(names: list[str], caption: str) -> None:
    padded = [f" {name} " for name in names]
    said = Names(tuple(names)).said(caption)
    assert said is not None
    rates = [_edits(name, f" {caption} ") / len(name) for name in padded]
    assert rates[said] == min(rates)
