"""Captions of things: what they say in both languages, and that typed ones keep to the picture."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import icon_captions
from data.icon_captions import COLOURS, GROUNDS, article, plural, plural_fr, without_accents
from data.icon_sets import STYLES, Style
from data.icon_things import Thing, things

FOX = next(thing for thing in things() if thing.name == "fox")
GLOSSY = next(style for style in STYLES if style.name == "glossy")


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


def test_captions_say_thing_style_and_ground() -> None:
    assert icon_captions.text(FOX, "white") == "fox"
    assert icon_captions.text(FOX, "blue") == "fox on blue"
    assert icon_captions.text_fr(FOX, "white") == "renard"
    assert icon_captions.text_fr(FOX, "blue") == "renard sur fond bleu"
    assert icon_captions.text_style(FOX, GLOSSY, "white") == "fox, glossy"
    assert icon_captions.text_style(FOX, GLOSSY, "blue") == "fox, glossy, on blue"
    assert icon_captions.text_style_fr(FOX, GLOSSY, "blue") == "renard, style brillant, sur fond bleu"


def test_what_is_captioned_alike_is_alike() -> None:
    styled = {
        icon_captions.text_style(thing, style, ground) for thing in things() for style in STYLES for ground in GROUNDS
    }
    assert len(styled) == len(things()) * len(STYLES) * len(GROUNDS)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(things()), st.sampled_from(STYLES), st.sampled_from(list(GROUNDS)), st.integers(0, 2**63))
def test_typed_captions_keep_to_the_picture(thing: Thing, style: Style, ground: str, seed: int) -> None:
    english = icon_captions.typed(thing, style, ground, generator(seed))
    french = icon_captions.typed_fr(thing, style, ground, generator(seed))
    assert english == icon_captions.typed(thing, style, ground, generator(seed))
    for typed, colour in ((english, ground), (french, GROUNDS[ground][1])):
        assert typed == typed.strip() and typed and "  " not in typed
        assert ground == "white" or typed.endswith((f"{colour} background", f" {colour}")), typed
    others = {other for other in COLOURS if other != ground}
    assert not any(english.endswith((f"on {other}", f"{other} background")) for other in others)


def test_typed_captions_name_the_style_in_half_and_white_in_a_quarter() -> None:
    typed = [icon_captions.typed(FOX, GLOSSY, "white", generator(seed)) for seed in range(2000)]
    words = (GLOSSY.name, *GLOSSY.also)
    assert np.mean([any(word in caption for word in words) for caption in typed]) == pytest.approx(0.5, abs=0.04)
    assert np.mean(["white" in caption for caption in typed]) == pytest.approx(0.25, abs=0.04)
    plain = Counter(caption for caption in typed if "white" not in caption)
    assert {"fox", "a fox", "foxes", "🦊", "shiny fox", "fox, glossy", "fox 3d"} <= set(plain)


def test_typed_french_is_with_and_without_accents() -> None:
    (heart,) = (thing for thing in things() if thing.name == "heart on fire")
    typed = {icon_captions.typed_fr(heart, GLOSSY, "purple", generator(seed)) for seed in range(500)}
    assert "cœur enflammé sur fond violet" in typed and "coeur enflamme sur fond violet" in typed


def test_an_article_is_as_the_name_sounds() -> None:
    names = ("apple", "umbrella", "hourglass", "unicorn", "one piece swimsuit", "fox")
    assert [article(name) for name in names] == ["an", "an", "an", "a", "a", "a"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fox", "foxes"),
        ("cherry", "cherries"),
        ("key", "keys"),
        ("glasses", "glasses"),
        ("brush", "brushes"),
        ("cat", "cats"),
    ],
)
def test_plural(name: str, expected: str) -> None:
    assert plural(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chat", "chats"),
        ("cheval", "chevaux"),
        ("gâteau", "gâteaux"),
        ("souris", "souris"),
        ("feu", "feux"),
        ("nez", "nez"),
    ],
)
def test_plural_in_french(name: str, expected: str) -> None:
    assert plural_fr(name) == expected


def test_accents_go_and_letters_stay() -> None:
    assert without_accents("cœur enflammé, œuf, ça, piñata") == "coeur enflamme, oeuf, ca, pinata"
