"""What emoji are called: as a person would type it, in two languages, and never two alike."""

from collections import Counter

import numpy as np
import pytest

from training.data import captions


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
    assert captions.english(char) == english
    assert captions.french(char) == french


def test_every_caption_is_plain_lower_case_text() -> None:
    for char in captions.fully_qualified():
        for text in (captions.english(char), captions.french(char)):
            assert text and text == text.lower().strip()
            assert not set(text) & set(":_()!’")


def test_english_captions_tell_all_emoji_apart() -> None:
    counts = Counter(captions.english(char) for char in captions.fully_qualified())
    assert [text for text, count in counts.items() if count > 1] == []


def test_fully_qualified_leaves_out_tones_and_flags_of_countries() -> None:
    chars = captions.fully_qualified()
    assert len(chars) > 1500 and chars == sorted(set(chars))
    assert "😀" in chars and "👩‍🚀" in chars
    assert not {"👍🏽", "🇫🇷", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"} & set(chars)


def test_typed_is_another_name_the_plain_words_or_half_of_a_caption() -> None:
    text, french = captions.on_background(captions.english("📱"), captions.french("📱"), "blue")
    rng = np.random.default_rng(0)
    found = {captions.typed("📱", text, french, rng) for _ in range(200)}
    plain = [{"mobile", "phone", "blue"}, {"téléphone", "portable", "fond", "bleu"}]
    assert "iphone on blue" in found and "blue mobile phone" in found
    assert any(len(part) < len(text) and text.startswith(part) for part in found)
    for one in found - {"iphone on blue"}:
        assert text.startswith(one) or french.startswith(one) or set(one.split()) in plain


def test_aliases_are_names_not_code_points() -> None:
    assert captions.aliases("🍊") == ("orange", "mandarin")
    assert captions.aliases("🈺") == ()


def test_backgrounds_are_far_apart() -> None:
    colours = np.array([colour for colour, _ in captions.BACKGROUNDS.values()], float)
    distances = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
    assert distances[~np.eye(len(colours), dtype=bool)].min() > 60
