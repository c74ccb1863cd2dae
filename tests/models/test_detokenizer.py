"""What CLIP's tokens spell is written as an image set writes it."""

from __future__ import annotations

import pytest

from models.detokenizer import joined_words


@pytest.mark.parametrize(
    "text",
    [
        "dog face, flat",
        "semi-remorque, style ombré",
        "l'œil de l'homme",
        "côte d’ivoire; oui.",
        "red (dark) apple!",
        "tête-à-queue",
        "flag : france",
        "a cat",
        "",
    ],
)
def test_marks_are_joined_as_people_write_them(text: str) -> None:
    spaced = text
    for mark in ",.;!()-'’":
        spaced = spaced.replace(mark, f" {mark} ")
    assert joined_words("".join(f"{word}</w>" for word in spaced.split())) == text
    assert joined_words(" ".join(spaced.split())) == text
