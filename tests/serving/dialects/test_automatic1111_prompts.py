"""Automatic1111's marks in a prompt: what is left of each kind, and that a prompt without marks stays to the letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.dialects.automatic1111_prompts import DEEPEST, PlainPrompt, by_weight, plain

WEIGHTS = ("weights of words",)


@pytest.mark.parametrize(
    ("prompt", "text", "ignored"),
    [
        ("a (red:1.2) cat", "a red cat", WEIGHTS),
        ("((masterpiece)), a cat", "masterpiece, a cat", WEIGHTS),
        ("[[dull]] (a (very:1.1) red cat:-0.5)", "dull a very red cat", WEIGHTS),
        ("a cat <lora:fur:0.8>", "a cat", ("<lora:fur:0.8>",)),
        ("a cat, <lora:fur:0.8>, <hypernet:x:1>, sitting", "a cat, sitting", ("<lora:fur:0.8>", "<hypernet:x:1>")),
        (
            "[cat:dog:0.5] and [moon:3] and [cow|horse]",
            "cat and moon and cow",
            ("[cat:dog:0.5]", "[moon:3]", "[cow|horse]"),
        ),
        ("a cat BREAK a dog", "a cat a dog", ("BREAK",)),
        (r"a cat \(animal\)", "a cat (animal)", ()),
        ("smile :) but (never", "smile :) but (never", ()),
        ("at 12:30 <3 a:b [x", "at 12:30 <3 a:b [x", ()),
        ("<lora:only:1>", "", ("<lora:only:1>",)),
    ],
)
def test_marks(prompt: str, text: str, ignored: tuple[str, ...]) -> None:
    assert plain(prompt) == PlainPrompt(text, ignored)


@given(st.text(st.characters(exclude_characters="()[]<>\\"), max_size=60).filter(lambda text: "BREAK" not in text))
def test_a_prompt_without_marks_stays(prompt: str) -> None:
    assert plain(prompt) == PlainPrompt(prompt, ())


@given(st.text("ab ()[]<>\\:|,.1lora", max_size=80))
def test_what_is_plain_stays_plain_or_shrinks(prompt: str) -> None:
    text = plain(prompt).text
    assert len(text) <= len(prompt) and set(text) <= set(prompt) | {" "}


def test_a_long_prompt_keeps_nobody_waiting() -> None:
    """A weight of many digits was tried in every way to split it, and marks within each other took a look for each of them."""
    assert plain(f"(a cat:{'1' * 9_000})") == PlainPrompt("a cat", WEIGHTS)
    assert plain(f"(a cat:{'1' * 9_000}").text == f"(a cat:{'1' * 9_000}"
    assert plain("[" * DEEPEST + "a" + ":1]" * DEEPEST).text == "a"
    assert len(plain("[" * 2_000 + "a" + ":1]" * 2_000).ignored) == DEEPEST + 1  # and what is left of the brackets


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("Zombie, (Cap:1.2)", "Zombie, Cap=1.2"),
        ("( Cap Forward : 2 ), <lora:fur:0.8>", "Cap Forward=2,  "),
        ("Hat (red), (Cap), (Cap:x), (a (b):2)", "Hat (red), (Cap), (Cap:x), (a (b):2)"),
        ("Cap=2", "Cap=2"),
    ],
)
def test_marks_of_attributes_are_weights(prompt: str, read: str) -> None:
    assert by_weight(prompt) == read


def test_many_brackets_keep_nobody_waiting() -> None:
    for hard in ("(" * 10_000, "(a:" * 3_000, "(" + "a " * 4_900, "(a:" + " " * 9_000, "(" + " " * 9_000):
        assert by_weight(hard) == hard
