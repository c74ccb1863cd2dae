"""What captions say of a thing, its style and its ground, in English, French and as typed; it knows nothing of pictures.

| caption | says | for example |
|---|---|---|
| `text`, `text_fr` | thing, ground | fox on blue; renard sur fond bleu |
| `text_style`, `text_style_fr` | thing, style, ground | fox, glossy, on blue; renard, style brillant, sur fond bleu |
| `text_typed`, `text_typed_fr` | thing, in half of them the style, ground | shiny foxes on blue; emoji renard fond bleu |

A ground that no caption names is white.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import numpy as np

from data.emoji_captions import BACKGROUNDS, LITTLE_WORDS, WHITE
from data.icon_sets import Style
from data.icon_things import Thing

GROUNDS = BACKGROUNDS
"""English name → RGB, French name: white and eight soft colours."""
COLOURS = tuple(name for name in GROUNDS if name != WHITE)
"""The grounds that are not white."""
COLUMNS = ("text", "text_fr", "text_style", "text_style_fr", "text_typed", "text_typed_fr")
"""The columns of captions. Where each is chosen equally often, half of all captions name the style."""

_VOWELS = frozenset("aeio")


def text(thing: Thing, ground: str) -> str:
    """The English caption without the style."""
    return thing.name if ground == WHITE else f"{thing.name} on {ground}"


def text_fr(thing: Thing, ground: str) -> str:
    """The French caption without the style."""
    return thing.name_fr if ground == WHITE else f"{thing.name_fr} sur fond {GROUNDS[ground][1]}"


def text_style(thing: Thing, style: Style, ground: str) -> str:
    """The English caption with the style in plain words."""
    return ", ".join([thing.name, style.name, *([] if ground == WHITE else [f"on {ground}"])])


def text_style_fr(thing: Thing, style: Style, ground: str) -> str:
    """The French caption with the style in plain words."""
    named = [] if ground == WHITE else [f"sur fond {GROUNDS[ground][1]}"]
    return ", ".join([thing.name_fr, f"style {style.name_fr}", *named])


def typed(thing: Thing, style: Style, ground: str, rng: np.random.Generator) -> str:
    """What a person may type in English: another name, its words in any order, an article, a plural, half of it so far.

    The style is named in half of them, in front or behind; a coloured ground always, white sometimes.
    """
    styled = rng.random() < 0.5
    words = _choose([style.name, style.name, *style.also], rng)
    behind = _choose([f"on {ground}", f"on {ground}", f"on a {ground} background", f"{ground} background"], rng)
    grounded = ground != WHITE or rng.random() < 0.25
    phrase = _choose(list(_phrasings(thing, not styled and not grounded, rng)), rng)
    if styled:
        phrase = _choose(
            [f"{words} {phrase}", f"{phrase} {words}", f"{phrase}, {words}", f"{phrase}, {words} style"], rng
        )
    return f"{phrase}{_choose([' ', ', '], rng)}{behind}" if grounded else phrase


def typed_fr(thing: Thing, style: Style, ground: str, rng: np.random.Generator) -> str:
    """What a person may type in French, in the same ways as `typed`, every second time without accents."""
    styled = rng.random() < 0.5
    words = _choose([style.name_fr, style.name_fr, *style.also_fr], rng)
    colour = GROUNDS[ground][1]
    behind = _choose([f"sur fond {colour}", f"sur fond {colour}", f"sur {colour}", f"fond {colour}"], rng)
    grounded = ground != WHITE or rng.random() < 0.25
    phrase = _choose(list(_phrasings_fr(thing, not styled and not grounded, rng)), rng)
    if styled:
        phrase = _choose(
            [f"{phrase} {words}", f"{phrase}, {words}", f"{phrase} style {words}", f"{words} {phrase}"], rng
        )
    phrase = f"{phrase}{_choose([' ', ', '], rng)}{behind}" if grounded else phrase
    return without_accents(phrase) if rng.random() < 0.5 else phrase


def without_accents(text: str) -> str:
    """A French text as typed on a foreign keyboard: `cœur enflammé` is `coeur enflamme`."""
    letters = unicodedata.normalize("NFD", text.replace("œ", "oe").replace("æ", "ae"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def article(name: str) -> str:
    """`a` or `an`, as the name sounds: an umbrella and an hourglass, but a unicorn."""
    vowel = name.startswith("hour") or (name[0] in "aeiou" and not name.startswith(("uni", "one ")))
    return "an" if vowel else "a"


def plural(name: str) -> str:
    """The plain English plural of a name, itself where it is one already."""
    if name.endswith("s"):
        return name
    if name.endswith(("x", "z", "ch", "sh")):
        return f"{name}es"
    return f"{name[:-1]}ies" if name.endswith("y") and name[-2:-1] not in _VOWELS | {"u"} else f"{name}s"


def plural_fr(name: str) -> str:
    """The plain French plural of a single word, itself where it is one already."""
    if name.endswith(("s", "x", "z")):
        return name
    if name.endswith(("eau", "eu")):
        return f"{name}x"
    return f"{name[:-2]}aux" if name.endswith("al") else f"{name}s"


def words(thing: Thing) -> set[tuple[str, str]]:
    """The words of both names with their language, as the split counts them."""
    return {("en", word) for word in thing.name.split()} | {("fr", word) for word in thing.name_fr.split()}


def _phrasings(thing: Thing, unfinished: bool, rng: np.random.Generator) -> Iterator[str]:
    """Ways to name a thing, of which one is taken; `unfinished`: typing may also have stopped halfway."""
    name = thing.name
    yield from thing.also or (name,)
    yield from thing.also[:2]
    yield _shuffled(name, rng)
    yield name if plural(name) == name else f"{article(name)} {name}"
    yield _choose([f"the {name}", f"{name} emoji", f"{name} icon", f"picture of {name}"], rng)
    yield plural(name) if " " not in name else name
    yield thing.emoji
    if unfinished:
        yield _unfinished(name, rng)


def _phrasings_fr(thing: Thing, unfinished: bool, rng: np.random.Generator) -> Iterator[str]:
    name = thing.name_fr
    yield from thing.also_fr or (name,)
    yield from thing.also_fr[:2]
    yield _shuffled(name, rng)
    yield name
    preposition = "d'" if without_accents(name)[0] in _VOWELS | {"u"} else "de "
    yield _choose([f"emoji {name}", f"icône {name}", f"dessin {preposition}{name}", f"image {preposition}{name}"], rng)
    yield plural_fr(name) if " " not in name else name
    yield thing.emoji
    if unfinished:
        yield _unfinished(name, rng)


def _shuffled(name: str, rng: np.random.Generator) -> str:
    plain = [word for word in name.split() if word not in LITTLE_WORDS] or [name]
    return " ".join(plain[index] for index in rng.permutation(len(plain)))


def _unfinished(name: str, rng: np.random.Generator) -> str:
    return name[: int(rng.integers((len(name) + 1) // 2, len(name) + 1))].rstrip()


def _choose(texts: list[str], rng: np.random.Generator) -> str:
    return texts[int(rng.integers(len(texts)))]
