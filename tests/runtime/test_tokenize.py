"""The tokenizer without transformers against transformers' own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer, PreTrainedTokenizerFast

from base.errors import BadInput
from models import tokenizer_files
from runtime.bundle import Bundle
from runtime.tokenize import PromptTokenizer
from tests import tiny
from training import spelling
from training.clip import learn_tokenizer

MERGES = [("c", "a"), ("ca", "t</w>"), ("t", "h"), ("th", "e</w>"), ("Ø", "§"), ("Ł", "Ļ")]

texts = st.one_of(
    st.text(max_size=60),
    st.text("cat the<|endoftext|>'s 123 CAT", max_size=200),
    st.text(st.characters(min_codepoint=0x600, max_codepoint=0x6FF), max_size=60),
    st.text(st.characters(min_codepoint=0x1F300, max_codepoint=0x1FAFF), max_size=20),
    st.sampled_from(["", " ", "x" * 10_000, "the cat " * 2_000, "👩‍🚀 قطة ❤️‍🔥", "e\u0301 é", "\x00", "a\n\tb"]),
)


def _bytes() -> CLIPTokenizer:
    """Every byte is known, as in CLIP's own tokenizer, and some pairs are merged."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in MERGES)]
    vocabulary = {piece: index for index, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocabulary, merges=MERGES, model_max_length=12)


def _typed() -> PreTrainedTokenizerFast:
    """Trained with a normalizer of its own."""
    return learn_tokenizer(["the cat", "a cat 👩‍🚀"] * 9, 20, 12, spelling.normalizer({"❤": "red heart"}, ()))


@pytest.fixture(scope="module", params=["letters", "bytes", "typed"])
def both(
    request: pytest.FixtureRequest, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[PromptTokenizer, PreTrainedTokenizerFast]:
    if request.param == "letters":
        return PromptTokenizer(bundle), tiny.tokenizer()
    folder: Path = tmp_path_factory.mktemp(request.param)
    reference = _bytes() if request.param == "bytes" else _typed()
    tokenizer_files.save(reference, folder / "tokenizer")
    return PromptTokenizer(dataclasses.replace(bundle, folder=folder)), reference


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(prompt=texts)
def test_ids_are_those_of_transformers(both: tuple[PromptTokenizer, PreTrainedTokenizerFast], prompt: str) -> None:
    ours, reference = both
    options = {"padding": "max_length", "truncation": True, "max_length": reference.model_max_length}
    expected = reference([prompt, "a"], return_tensors="np", **options)["input_ids"]
    found = ours.ids([prompt, "a"])
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(prompt=texts)
def test_what_does_not_fit_is_counted(both: tuple[PromptTokenizer, PreTrainedTokenizerFast], prompt: str) -> None:
    ours, reference = both
    whole = len(reference(prompt)["input_ids"])
    assert ours.dropped(prompt) == max(0, whole - ours.length)


def test_half_a_surrogate_pair_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BadInput, match="surrogate"):
        PromptTokenizer(bundle).ids(["a \ud83d"])
