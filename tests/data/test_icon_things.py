"""The table of things: names that nothing else bears, and nothing that the set leaves out."""

from collections import Counter

import emoji

from data.icon_captions import GROUNDS
from data.icon_sets import STYLES, UNSEEN_STYLE
from data.icon_things import CATEGORIES, things


def test_about_a_thousand_things_of_every_category() -> None:
    counts = Counter(thing.category for thing in things())
    assert 900 <= len(things()) <= 1050
    assert set(counts) == set(CATEGORIES) and min(counts.values()) >= 20


def test_no_name_is_borne_twice_in_a_language() -> None:
    for names in (
        [name for thing in things() for name in (thing.name, *thing.also)],
        [name for thing in things() for name in (thing.name_fr, *thing.also_fr)],
        [thing.emoji for thing in things()],
    ):
        assert [name for name, count in Counter(names).items() if count > 1] == []


def test_names_are_what_one_types() -> None:
    for thing in things():
        for name in (thing.name, thing.name_fr, *thing.also, *thing.also_fr):
            assert name == name.lower().strip() and "  " not in name, name
            assert not set(name) & set(",;:()“”’_"), name


def test_a_thing_a_style_and_a_ground_never_share_a_name() -> None:
    """They are attributes of one picture, each found by its name alone."""
    named = [*(thing.name for thing in things()), *(style.name for style in (*STYLES, UNSEEN_STYLE)), *GROUNDS]
    assert len(set(named)) == len(named)


def test_emoji_are_fully_qualified_and_neither_flags_nor_skin_tones() -> None:
    for thing in things():
        assert emoji.EMOJI_DATA[thing.emoji]["status"] == emoji.STATUS["fully_qualified"], thing
        assert not any(0x1F3FB <= ord(point) <= 0x1F3FF or 0x1F1E6 <= ord(point) <= 0x1F1FF for point in thing.emoji)


def test_sets_that_are_wrong_about_a_thing_exist() -> None:
    known = {style.icon_set for style in (*STYLES, UNSEEN_STYLE)}
    wrong = [thing for thing in things() if thing.wrong]
    assert wrong and all(set(thing.wrong) <= known for thing in wrong)
