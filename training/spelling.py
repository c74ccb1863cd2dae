"""What one types, made equal to what a set's captions say, inside `tokenizer.json`; it knows no network and no image.

Articles, plurals, capitals, accents, ligatures, hyphens, punctuation and emoji characters make no difference then. Everything
is a sequence of the tokenizers library's normalizers, and the patterns use only what Oniguruma and JavaScript both
understand, so that Python, the server and a browser read a prompt alike.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import emoji
from tokenizers import Regex, normalizers
from tokenizers.normalizers import Normalizer

EMOJI_COLUMN = "emoji"
"""The column of a set that says which emoji character a picture shows."""
_WORD = r"\p{L}\p{N}"
_START, _END = f"(?<![{_WORD}])", f"(?![{_WORD}])"
_UNSEEN = "[\u00ad\u200b\u2060\ufeff\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]"
"""Soft hyphens and marks; an emoji's text or picture variant and skin tone."""
_LETTERS = {"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "ς": "σ"}
"""What has no decomposition; JavaScript writes a last sigma where Rust does not."""
_SPELLING = (
    (r"(?<=[a-z])[\u0300-\u036f]+", ""),
    (r"[‘’ʼ`]", "'"),
    (r"(?<=\p{L})'s" + _END, "s"),
    (r"[-'‐‑‒–—―_,;:.!?¡¿\"“”„«»()\[\]{}/\\|·•~]+", " "),
    (r"\s+", " "),
)
_ARTICLES = (
    (f"{_START}(?:an?|the|une?|l(?:e|a|es)?) (?=[{_WORD}])", ""),
    (r"^ ?(?:some|des|du|de) (?=[" + _WORD + "])", ""),
)
_PLURALS = (
    *((f"{_START}{many}{_END}", one) for many, one in (("mice", "mouse"), ("geese", "goose"), ("teeth", "tooth"))),
    *((f"{_START}{many}{_END}", one) for many, one in (("feet", "foot"), ("children", "child"), ("oxen", "ox"))),
    (f"(?<=lea|loa|hoo|wol|el|hal|cal|shel|thie|scar)ves{_END}", "f"),
    (f"(?<=kni|wi|li)ves{_END}", "fe"),
    # What follows is not grammar: a word and its plural only have to end alike. cookies and cookie: cooky.
    (f"(?<=[a-z])ies?{_END}", "y"),
    (f"(?<=[a-z][a-rtv-z]|eu)s{_END}", ""),
    (f"(?<=[sxz]|ch|sh|o)e{_END}", ""),
    (f"(?<=eau|eu|chou|genou|hibou|bijou|caillou)x{_END}", ""),
    (f"(?<=[a-df-xz])aux{_END}", "al"),
    (f"men{_END}", "man"),  # women, and womens of women's
)


@dataclass(frozen=True)
class Spelling:
    """How the captions of one set, and whatever is typed for it, are read."""

    normalizer: Normalizer
    names: Mapping[str, str]
    """Emoji character → the words that it is read as."""
    apart: Sequence[str]
    """Words that are not made singular, because singular and plural are different things in this set."""
    equal: Sequence[tuple[str, str]]
    """Captions of different things that are read alike all the same."""


def learn(columns: Sequence[Sequence[str]], characters: Sequence[str] = ()) -> Spelling:
    """The spelling of a set. `columns`: its caption columns, row by row, what a picture is called first; `characters`: the
    emoji that each row shows, where the set says so.
    """
    names = _names(columns, characters)
    things = {_named(text, names): thing for text, thing in _things(columns).items()}
    plural = normalizer({}, ())
    differing = {word for pair in _equal(things, plural) for word in _differing(*pair)}
    apart = sorted(word for word in differing if plural.normalize_str(word) != word)
    return Spelling(normalizer(names, apart), names, apart, _equal(things, normalizer({}, apart)))


def normalizer(names: Mapping[str, str], apart: Iterable[str]) -> Normalizer:
    """The normalizers in their order: emoji characters → `names`, letters, punctuation, articles, plurals but for `apart`."""
    return normalizers.Sequence(
        [
            normalizers.Replace(Regex(_UNSEEN), ""),
            *(normalizers.Replace(character, f" {names[character]} ") for character in _longest_first(names)),
            normalizers.NFKD(),
            normalizers.Lowercase(),
            *(normalizers.Replace(letter, plain) for letter, plain in _LETTERS.items()),
            *_replace(_SPELLING[:1]),
            normalizers.NFC(),  # what lost nothing is one character again: Korean, Hindi, Cyrillic
            *_replace(_SPELLING[1:]),
            *_replace(_ARTICLES),
            # Twice its last letter, and no rule below knows the word any more.
            *_replace((f"{_START}{word}{_END}", word + word[-1]) for word in apart),
            *_replace(_PLURALS),
            normalizers.Strip(),
        ]
    )


def _replace(rules: Iterable[tuple[str, str]]) -> list[Normalizer]:
    return [normalizers.Replace(Regex(pattern), content) for pattern, content in rules]


def _names(columns: Sequence[Sequence[str]], characters: Sequence[str]) -> dict[str, str]:
    """Emoji character → what the set calls it, or Unicode's English or French name where the captions know its words."""
    read = normalizer({}, ())
    called: dict[str, list[list[str]]] = {}
    for character, caption in zip(characters, columns[0], strict=False):
        called.setdefault(_plain(character), []).append(caption.split())
    names = {character: " ".join(_common_start(captions)) for character, captions in called.items()}
    known = {word for text in _unique(columns) for word in read.normalize_str(text).split()}
    emoji.config.load_language("fr")
    for character, data in emoji.EMOJI_DATA.items():
        for name in (data[language].strip(":").replace("_", " ") for language in ("en", "fr") if language in data):
            words = read.normalize_str(name).split()
            if words and known.issuperset(words):
                names.setdefault(_plain(character), name)
    return {character: name for character, name in names.items() if character and name}


def _named(text: str, names: Mapping[str, str]) -> str:
    """What the first normalizers do, for many texts at once: emoji characters as their names."""
    text = _plain(text)
    if text.isascii() or not names:
        return text
    return re.sub(_any_of(frozenset(names)), lambda found: f" {names[found[0]]} ", text)


def _longest_first(characters: Iterable[str]) -> list[str]:
    return sorted(characters, key=lambda character: (-len(character), character))


@cache
def _any_of(characters: frozenset[str]) -> re.Pattern[str]:
    first = "".join(map(re.escape, {character[0] for character in characters}))
    return re.compile(f"(?=[{first}])(?:{'|'.join(map(re.escape, _longest_first(characters)))})")


def _plain(character: str) -> str:
    return re.sub(_UNSEEN, "", character)


def _common_start(captions: Sequence[list[str]]) -> list[str]:
    """The words with which all begin: what `fox on blue` and `fox on white` show is a fox."""
    shortest = min(captions, key=len)
    for length, word in enumerate(shortest):
        if any(caption[length] != word for caption in captions):
            return shortest[:length]
    return shortest


def _things(columns: Sequence[Sequence[str]]) -> dict[str, str]:
    """Text → what the pictures of most of its rows are called."""
    counts: dict[str, Counter[str]] = {}
    for texts in columns:
        for text, name in zip(texts, columns[0], strict=True):
            counts.setdefault(text, Counter())[name] += 1
    return {text: count.most_common(1)[0][0] for text, count in counts.items()}


def _equal(things: Mapping[str, str], read: Normalizer) -> list[tuple[str, str]]:
    """Pairs of texts of different things that `read` makes equal though their words differ."""
    groups: dict[str, list[str]] = {}
    for text in things:
        groups.setdefault(read.normalize_str(text), []).append(text)
    return [
        (one, other)
        for texts in groups.values()
        for one, other in combinations(texts, 2)
        if _words(one) != _words(other) and _words(things[one]) != _words(things[other])
    ]


def _words(text: str) -> list[str]:
    return _PLAIN.normalize_str(text).split()


def _differing(one: str, other: str) -> set[str]:
    """The words of either that the other has not: those whose plural is another thing."""
    return (set(_words(one)) ^ set(_words(other))) - _LITTLE


def _unique(columns: Sequence[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(text for texts in columns for text in texts))


_LITTLE = frozenset(["a", "an", "the", "un", "une", "l", "le", "la", "les", "some", "des", "du", "de"])
_PLAIN = normalizers.Sequence(
    [
        normalizers.Replace(Regex(_UNSEEN), ""),
        normalizers.NFKD(),
        normalizers.Lowercase(),
        *(normalizers.Replace(letter, plain) for letter, plain in _LETTERS.items()),
        *_replace(_SPELLING),
    ]
)
"""Spelling alone: articles and plurals stay."""
