"""What is held out of the icons: nothing of it in training, and every single part of it there."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.icon_captions import COLOURS
from data.icon_sets import STYLES, UNSEEN_STYLE
from data.icon_split import IconPlan, IconRow, choose_unseen, plan_rows, words
from data.icon_things import Thing, things

seeds = st.integers(0, 2**32)


@st.composite
def plans(draw: st.DrawFn) -> tuple[IconPlan, list[Thing], list[Thing]]:
    """Some things, each in four to six styles, each picture fit for some colours."""
    chosen = draw(st.lists(st.sampled_from(things()), min_size=4, max_size=12, unique=True))
    grounds = {}
    for thing in chosen:
        for style in draw(st.lists(st.sampled_from(STYLES), min_size=4, unique=True)):
            grounds[thing.emoji, style.icon_set] = draw(st.lists(st.sampled_from(COLOURS), unique=True))
        if draw(st.booleans()):
            grounds[thing.emoji, UNSEEN_STYLE.icon_set] = list(COLOURS)
    plan = IconPlan(STYLES, UNSEEN_STYLE, grounds, draw(st.integers(1, 6)), draw(seeds))
    return plan, chosen[1:], chosen[:1]


def of(rows: list[IconRow], kind: str, split: str = "test") -> list[IconRow]:
    return [row for row in rows if row.kind == kind and row.split == split]


@settings(max_examples=60, deadline=None)
@given(plans())
def test_nothing_that_is_held_out_is_trained(planned: tuple[IconPlan, list[Thing], list[Thing]]) -> None:
    rows = plan_rows(*planned)
    trained = of(rows, "seen", "train")
    pictures = Counter((row.thing.emoji, row.style, row.ground) for row in rows)
    assert max(pictures.values()) == 1, "one picture in two places"
    pairs = {(row.thing, row.style) for row in trained}
    grounds = {(row.thing, row.ground) for row in trained}
    assert not {(row.thing, row.style) for row in of(rows, "unseen-combination")} & pairs
    assert not {(row.thing, row.ground) for row in of(rows, "unseen-ground")} & grounds
    assert not {row.thing for row in of(rows, "unseen-thing")} & {row.thing for row in trained}
    assert not {row.style for row in of(rows, "unseen-style")} & {row.style for row in trained}
    assert {(row.thing, row.style) for row in of(rows, "seen", "validation")} <= pairs


@settings(max_examples=60, deadline=None)
@given(plans())
def test_only_one_thing_is_new_in_what_is_held_out(planned: tuple[IconPlan, list[Thing], list[Thing]]) -> None:
    plan, seen, unseen = planned
    rows = plan_rows(plan, seen, unseen)
    trained = of(rows, "seen", "train")
    things_trained, missing = (
        {row.thing for row in trained},
        {row.thing: row.ground for row in of(rows, "unseen-ground")},
    )
    assert things_trained == set(seen) == set(missing)
    for kind in ("unseen-combination", "unseen-style"):
        assert all(row.thing in things_trained and row.ground != missing[row.thing] for row in of(rows, kind))
    pairs = {(row.thing, row.style) for row in trained}
    assert all((row.thing, row.style) in pairs for row in of(rows, "unseen-ground"))
    assert {row.thing for row in of(rows, "unseen-thing")} == set(unseen)
    labels = {row.thing: row.label for row in rows}
    assert [labels[thing] for thing in (*seen, *unseen)] == list(range(len(seen) + len(unseen)))


@settings(max_examples=40, deadline=None)
@given(plans())
def test_half_of_everything_is_held_out_where_it_says_half(planned: tuple[IconPlan, list[Thing], list[Thing]]) -> None:
    plan, seen, _ = planned
    rows = plan_rows(*planned)
    half = (len(seen) + 1) // 2
    assert len(of(rows, "seen", "validation")) == half == len({row.thing for row in of(rows, "unseen-combination")})
    coloured = Counter((row.thing, row.style) for row in of(rows, "seen", "train") if row.ground != "white")
    assert set(coloured.values()) == {plan.colours}


@settings(max_examples=40, deadline=None)
@given(plans())
def test_a_whole_set_trains_every_combination(planned: tuple[IconPlan, list[Thing], list[Thing]]) -> None:
    plan, seen, unseen = planned
    rows = plan_rows(replace(plan, whole=True), seen, unseen)
    trained = {(row.thing, row.style) for row in of(rows, "seen", "train")}
    assert trained == {(thing, style) for thing in seen for style in plan.of(thing)}
    assert {row.kind for row in rows if row.split == "test"} <= {"unseen-thing", "unseen-style"}
    assert max(Counter((row.thing, row.style, row.ground) for row in rows).values()) == 1
    labels = {row.thing: row.label for row in rows}
    assert labels == {row.thing: row.label for row in plan_rows(plan, seen, unseen)}, "the same names"


def test_colours_on_which_a_thing_stands_out_come_first() -> None:
    fox = next(thing for thing in things() if thing.name == "fox")
    grounds = {(fox.emoji, style.icon_set): ["blue", "grey"] for style in STYLES}
    rows = plan_rows(IconPlan(STYLES, UNSEEN_STYLE, grounds, 1, 0), [fox], [])
    assert {row.ground for row in rows if row.split == "train"} < {"white", "blue", "grey"}
    assert {row.ground for row in of(rows, "unseen-ground")} <= {"blue", "grey"}


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_unseen_things_are_composed_of_words_that_training_knows(seed: int) -> None:
    unseen = choose_unseen(things(), seed)
    assert len(unseen) == pytest.approx(len(things()) / 20, abs=1)
    known = {word for thing in things() if thing not in unseen for word in words(thing)}
    for thing in unseen:
        assert words(thing) <= known
        assert all(" " in name for name in (thing.name, *thing.also)), "one word names it"


def test_the_split_is_the_same_on_every_machine() -> None:
    few = [thing for thing in things() if thing.name in ("fox", "pizza")]
    grounds = {(thing.emoji, style.icon_set): list(COLOURS) for thing in few for style in STYLES}
    rows = plan_rows(IconPlan(STYLES, UNSEEN_STYLE, grounds, 1, 0), few, [])
    pinned = [(row.split, row.thing.name, row.style.name, row.ground) for row in rows[:4]]
    assert pinned == [
        ("train", "fox", "glossy", "white"),
        ("train", "pizza", "blob", "white"),
        ("train", "fox", "glossy", "yellow"),
        ("train", "pizza", "blob", "pink"),
    ]
