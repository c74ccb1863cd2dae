"""What each emoji is called in English and French, as a person would type it; it knows nothing of pictures or splits."""

from __future__ import annotations

import re
from functools import cache

import emoji
import numpy as np

WHITE = "white"
"""The background that captions need not name."""
BACKGROUNDS: dict[str, tuple[tuple[int, int, int], str]] = {
    WHITE: ((255, 255, 255), "blanc"),
    "red": ((217, 83, 79), "rouge"),
    "orange": ((245, 156, 66), "orange"),
    "yellow": ((250, 224, 105), "jaune"),
    "green": ((112, 190, 110), "vert"),
    "blue": ((91, 155, 230), "bleu"),
    "purple": ((150, 112, 205), "violet"),
    "pink": ((250, 170, 205), "rose"),
    "grey": ((150, 155, 160), "gris"),
}
"""English name → RGB, French name. Soft and far apart, so that neither yellow faces nor black cats vanish."""
COLOURS = tuple(name for name in BACKGROUNDS if name != WHITE)
"""The backgrounds that are not white."""

_ENGLISH_RULES = (
    (r"\b(\w+)-thirty\b", r"half past \1"),
    (r"\b(man|woman|person) bald\b", r"bald \1"),
    (r"\b(man|woman|person) ((?:\w+ )?(?:hair|beard))\b", r"\1 with \2"),
    (r"(?<=\w{3})-(?=\w{3})", " "),  # heart-eyes, but t-shirt and yo-yo keep their hyphen
)
_FRENCH_RULES = ((r"\bmidi/minuit\b", "douze heures"), (r"^touches\b", "touche"))

LITTLE_WORDS = frozenset(
    {"a", "an", "and", "at", "in", "of", "on", "the", "to", "with"}
    | {"à", "au", "aux", "de", "des", "du", "en", "et", "la", "le", "les", "qui", "sur", "un", "une"}
)
"""English and French words that a person leaves out when typing in a hurry."""


def fully_qualified() -> list[str]:
    """Every fully qualified emoji but skin tones and flags of countries and regions, by code points."""
    known = (char for char, data in emoji.EMOJI_DATA.items() if data["status"] == emoji.STATUS["fully_qualified"])
    return sorted(char for char in known if not any(_tone_or_flag(ord(point)) for point in char))


@cache
def english(char: str) -> str:
    """The English caption of an emoji: "smiling cat with heart eyes"."""
    return _natural(emoji.EMOJI_DATA[char]["en"], _ENGLISH_RULES)


@cache
def french(char: str) -> str:
    """The French caption of an emoji: "visage souriant"."""
    emoji.config.load_language("fr")
    return _natural(emoji.EMOJI_DATA[char]["fr"], _FRENCH_RULES)


def on_background(text: str, french_text: str, background: str) -> tuple[str, str]:
    """The English and the French caption with the background named: "cat on blue", "chat sur fond bleu"."""
    return f"{text} on {background}", f"{french_text} sur fond {BACKGROUNDS[background][1]}"


def typed(char: str, text: str, french_text: str, rng: np.random.Generator) -> str:
    """What a person may type instead of a caption: another name, its plain words in any order, or half of it, so far."""
    caption = [text, french_text][rng.integers(2)]
    manner = rng.integers(3)
    if manner == 0 and (others := aliases(char)):
        return text.replace(english(char), others[rng.integers(len(others))])
    if manner == 1:
        return caption[: rng.integers(len(caption) // 3, len(caption)) + 1].rstrip()
    plain = [word for word in caption.split() if word not in LITTLE_WORDS] or [caption]
    return " ".join(plain[index] for index in rng.permutation(len(plain)))


@cache
def aliases(char: str) -> tuple[str, ...]:
    """Other English names that chat programs know an emoji by: "iphone"; those spelt in code points are left out."""
    named = (_natural(alias, _ENGLISH_RULES) for alias in emoji.EMOJI_DATA[char].get("alias", []))
    return tuple(name for name in dict.fromkeys(named) if name != english(char) and not re.fullmatch(r"u\w{4}", name))


def words(text: str) -> set[str]:
    """The words a caption is made of, as the split counts them."""
    return set(text.split())


def _tone_or_flag(point: int) -> bool:
    return 0x1F3FB <= point <= 0x1F3FF or 0x1F1E6 <= point <= 0x1F1FF or 0xE0020 <= point <= 0xE007F


def _natural(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    text = name.strip(":").replace("_", " ").replace("’", "'").lower()
    text = re.sub(r"\(.*?\)|[!:,“”«»]", "", text)  # "student (all genders)", "on! arrow"
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text)
    return " ".join(text.split())
