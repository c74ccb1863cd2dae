"""What emoji are called: as a person would type it, in two languages, and never two alike."""

from collections import Counter

import numpy as np
import pytest

from data import emoji_captions


@pytest.mark.parametrize(
    ("char", "english", "french"),
    [
        ("😻", "smiling cat with heart eyes", "chat souriant aux yeux en cœurs"),
        ("🕟", "half past four", "quatre heures et demie"),
        ("🕛", "twelve o'clock", "douze heures"),
        ("👩‍🦱", "woman with curly hair", "femme cheveux bouclés"),
        ("👩‍🦲", "bald woman", "femme chauve"),
        ("🧑‍🎓", "student", "étudiant"),
        ("👕", "t-shirt", "t-shirt"),
        ("🔛", "on arrow", "flèche activé"),
    ],
)
def test_captions_are_what_a_person_would_type(char: str, english: str, french: str) -> None:
    assert emoji_captions.english(char) == english
    assert emoji_captions.french(char) == french


def test_every_caption_is_plain_lower_case_text() -> None:
    for char in emoji_captions.fully_qualified():
        for text in (emoji_captions.english(char), emoji_captions.french(char)):
            assert text and text == text.lower().strip()
            assert not set(text) & set(":_()!’")


def test_english_captions_tell_all_emoji_apart() -> None:
    counts = Counter(emoji_captions.english(char) for char in emoji_captions.fully_qualified())
    assert [text for text, count in counts.items() if count > 1] == []


def test_fully_qualified_leaves_out_tones_and_flags_of_countries() -> None:
    chars = emoji_captions.fully_qualified()
    assert len(chars) > 1500 and chars == sorted(set(chars))
    assert "😀" in chars and "👩‍🚀" in chars
    assert not {"👍🏽", "🇫🇷", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"} & set(chars)


def test_typed_is_another_name_the_plain_words_or_half_of_a_caption() -> None:
    text, french = emoji_captions.on_background(emoji_captions.english("📱"), emoji_captions.french("📱"), "blue")
    rng = np.random.default_rng(0)
    found = {emoji_captions.typed("📱", text, french, rng) for _ in range(200)}
    plain = [{"mobile", "phone", "blue"}, {"téléphone", "portable", "fond", "bleu"}]
    assert "iphone on blue" in found and "blue mobile phone" in found
    assert any(len(part) < len(text) and text.startswith(part) for part in found)
    for one in found - {"iphone on blue"}:
        assert text.startswith(one) or french.startswith(one) or set(one.split()) in plain


def test_aliases_are_names_not_code_points() -> None:
    assert emoji_captions.aliases("🍊") == ("orange", "mandarin")
    assert emoji_captions.aliases("🈺") == ()


def test_backgrounds_are_far_apart() -> None:
    colours = np.array([colour for colour, _ in emoji_captions.BACKGROUNDS.values()], float)
    distances = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
    assert distances[~np.eye(len(colours), dtype=bool)].min() > 60
