"""What one types against what a set's captions say: a hundred prompts fixed beforehand, and what must stay apart."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from data import icon_captions
from data.icon_captions import GROUNDS
from data.icon_sets import STYLES
from data.icon_things import things
from models import tokenizer_files
from tests.export.node import needs_node, node
from tests.export.test_web_tokenizer import END, odd_texts
from training import spelling
from training.clip import learn_tokenizer

TYPED = [line.split("\t") for line in Path(__file__).with_name("typed_prompts.tsv").read_text("utf-8").splitlines()]
"""What one types, and the icons' caption that says the same."""


@cache
def icons() -> spelling.Spelling:
    names = [[thing.name for thing in things()], [thing.name_fr for thing in things()]]
    return spelling.learn(names, [thing.emoji for thing in things()])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("clip") / "tokenizer"
    captions = [text for thing in things() for text in (thing.name, thing.name_fr)]
    tokenizer_files.save(learn_tokenizer(captions, 500, 24, icons().normalizer), folder)
    return folder


def test_the_list_is_of_captions_that_the_icons_have() -> None:
    captions = set()
    for thing in things():
        for ground in GROUNDS:
            captions |= {
                icon_captions.text(thing, ground),
                icon_captions.text_fr(thing, ground),
                f"{thing.name} on {ground}",
            }
            for style in STYLES:
                captions.add(icon_captions.text_style(thing, style, ground))
                captions.add(icon_captions.text_style_fr(thing, style, ground))
    assert len(TYPED) == 100
    assert [caption for _, caption in TYPED if caption not in captions] == []


def test_what_one_types_gives_the_tokens_of_the_caption(saved: Path) -> None:
    tokenizer = Tokenizer.from_file(str(saved / "tokenizer.json"))
    different = [line for line in TYPED if tokenizer.encode(line[0]).ids != tokenizer.encode(line[1]).ids]
    assert different == []


def test_no_two_things_are_read_alike() -> None:
    for names in ([thing.name for thing in things()], [thing.name_fr for thing in things()]):
        read = {name: icons().normalizer.normalize_str(name) for name in set(names)}
        assert len(set(read.values())) == len(read)
    assert icons().equal == []
    assert {"notes", "houses", "trombones"} <= set(icons().apart)


def test_a_things_emoji_is_its_name() -> None:
    read = icons().normalizer.normalize_str
    assert [thing.name for thing in things() if read(thing.emoji) != read(thing.name)] == []


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("a red dragon", "red dragon"),
        ("A", "a"),
        ("letter a", "letter a"),
        ("the a", "a"),
        ("women’s hats", "woman hat"),
        ("men", "man"),
        ("7 glasses", "7 glass"),
        ("ﬁsh & chips", "fish & chip"),
        ("Øl, Straße, Łódź", "ol strass lodz"),
        ("ΣΟΦΟΣ", "σοφοσ"),
        ("мой Й", "мой й"),
        ("हिन्दी की", "हिन्दी की"),
        ("한국어 が", "한국어 が"),
        ("", ""),
    ],
)
def test_how_a_prompt_is_read(typed: str, read: str) -> None:
    assert spelling.normalizer({}, ()).normalize_str(typed) == read


def test_a_plural_that_is_another_thing_stays_apart() -> None:
    learned = spelling.learn([["eye", "eyes", "fox", "fox"], ["an eye", "two eyes", "foxes", "the fox"]])
    read = learned.normalizer.normalize_str
    assert list(learned.apart) == ["eyes"]
    assert read("the eyes") == read("Eyes") != read("eye")
    assert read("foxes") == read("fox")
    assert learned.equal == []


def test_what_is_read_alike_all_the_same_is_told() -> None:
    assert spelling.learn([["letter a on", "letter l on", "pêche"]]).equal == [("letter a on", "letter l on")]


def test_emoji_are_named_by_the_set_then_by_unicode_where_its_words_are_known() -> None:
    learned = spelling.learn([["vixen on blue", "vixen", "hot dog", "renard volant"]], ["🦊", "🦊", "🐶", ""])
    assert learned.names == {"🦊": "vixen", "🐶": "hot dog", "🌭": "hot dog", "🐕": "dog"}
    assert learned.normalizer.normalize_str("two🦊🏽on blue") == "two vixen on blue"
    assert learned.normalizer.normalize_str("🐙") == "🐙"
    assert spelling.learn([["renard bleu", "un ours"]]).names == {"🦊": "renard", "🐻": "ours"}


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=40) | st.text("aeiosux lL'’-éœ🦊", max_size=40))
def test_whatever_is_typed_leaves_no_loose_spaces(text: str) -> None:
    read = icons().normalizer.normalize_str(text)
    assert "  " not in read
    assert read == read.strip(" ")


def test_transformers_keeps_the_normalizer(saved: Path) -> None:
    expected = Tokenizer.from_file(str(saved / "tokenizer.json")).encode("un cœur, des foxes 🦊").ids
    for tokenizer in (tokenizer_files.load(saved), AutoTokenizer.from_pretrained(saved)):
        assert isinstance(tokenizer, PreTrainedTokenizerFast)
        assert tokenizer("un cœur, des foxes 🦊")["input_ids"] == expected
        assert tokenizer.model_max_length == 24
        assert (tokenizer.bos_token_id, tokenizer.pad_token_id) == (len(tokenizer) - 2, len(tokenizer) - 1)


@needs_node
def test_a_browser_reads_what_one_types_alike(saved: Path) -> None:
    tokenizer = Tokenizer.from_file(str(saved / "tokenizer.json"))
    texts = [text for line in TYPED for text in line] + odd_texts(400)
    given = {"tokenizer": json.loads((saved / "tokenizer.json").read_text("utf-8")), "length": 24, "pad": END}
    tokenizer.enable_truncation(24)
    tokenizer.enable_padding(length=24, pad_id=tokenizer.token_to_id(END), pad_token=END)
    read = json.loads(node("tokenize.js", {**given, "texts": texts}))
    expected = [tokenizer.encode(text).ids for text in texts]
    assert [text for text, one, ids in zip(texts, read, expected, strict=True) if one["ids"] != ids] == []
