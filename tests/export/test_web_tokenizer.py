"""The page's tokenizer beside the Rust library: the same ids for 1,000 odd texts, by every tokenizer that ships or is made."""

from __future__ import annotations

import json
import random
import unicodedata
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from base.shipped import SHIPPED_BUNDLE
from runtime.captioner import read_caption
from tests.export.node import needs_node, node

pytestmark = needs_node

LENGTH = 24
END = "<|endoftext|>"
WORDS = [
    "red heart",
    "Smiling CAT",
    "it's",
    "I'LL we've",
    "l’été",
    "renard sur fond bleu",
    "Straße",
    "don't'd",
    "100 ½ ²",
    "a_b",
]
ODD = [
    "ΑΣ ΟΔΟΣ", "İstanbul ı", "ﬁ ﬂ Ǆ ǅ", "e\u0301 n\u0303o A\u030a", "한국어 각", "日本語の絵", "ไทยน้ำ", "नमस्ते",
    "العَرَبِيَّة", "שָׁלוֹם", "👩‍👩‍👧‍👦 👍🏽 🇫🇷", "𝔘𝔫𝔦 𝒞", "\u00a0\u2003\u3000\u0085\u2028x", "\ufeff\u200b\u200d",
    "\x00\x01\x1f", "\t\n\r\x0b\x0c", "%$#@!…—–«»", "<|startoftext|>", END, f"a{END}b", "<|ENDOFTEXT|>", "<|end",
    "\\d+ [x] (y) {z} ^$.*", "ß ẞ SS", "Ω Å K", "x" * 300, "ab " * 90, "ǰ ΐ ΰ", "Ⅷ ⅷ ①", "ㅏㄱ", "\u200c\u00ad",
]  # fmt: skip


def odd_texts(count: int) -> list[str]:
    """Pieces of many scripts one after the other, and letters from anywhere in Unicode that both sides know."""
    chance, texts = random.Random(0), ["", " ", *WORDS, *ODD]
    while len(texts) < count:
        pieces = [
            chance.choice((chance.choice(WORDS), chance.choice(ODD), _letters(chance)))
            for _ in range(chance.randint(1, 5))
        ]
        texts.append(chance.choice(("", " ", "  ", ", ")).join(pieces))
    return texts


def _letters(chance: random.Random) -> str:
    """From Latin to the signs, and emoji; not what came after Unicode 3.2: the two sides know different versions of it."""
    ranges = (0x20, 0x250), (0x250, 0x2FE0), (0x1F300, 0x1F5FF)
    points = [chance.randrange(*chance.choice(ranges)) for _ in range(chance.randint(1, 8))]
    return "".join(
        chr(point) for point in points if point >= 0x10000 or unicodedata.ucd_3_2_0.category(chr(point)) != "Cn"
    )


def clip(normalizer: Any) -> Tokenizer:
    """A small tokenizer of CLIP's make, trained here, with another normalizer."""
    made = Tokenizer(models.BPE(unk_token=END, end_of_word_suffix="</w>"))
    made.normalizer = normalizer
    split = pre_tokenizers.Split(
        Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True
    )
    made.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<|startoftext|>", END], initial_alphabet=sorted(alphabet), end_of_word_suffix="</w>",
        show_progress=False,
    )  # fmt: skip
    made.train_from_iterator(["the red heart", "le cœur rouge et la fête", "a smiling face with tears"] * 20, trainer)
    made.post_processor = processors.TemplateProcessing(
        single=f"<|startoftext|> $A {END}", special_tokens=[("<|startoftext|>", 0), (END, 1)]
    )
    return made


NORMALIZERS = {
    "accents": normalizers.Sequence(
        [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Replace(Regex(r"[\s_-]+"), " "),
         normalizers.Strip()]
    ),
    "patterns": normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\p{Mn}|[’‘`´]"), "'"), normalizers.Replace("e", "$&"),
         normalizers.Replace(Regex(r"^\W+|\W+$"), ""), normalizers.Replace(Regex(r"\d+"), "0"), normalizers.Lowercase()]
    ),
    "compatible": normalizers.Sequence([normalizers.Lowercase(), normalizers.NFKC(), normalizers.Strip(right=False)]),
    "decomposed": normalizers.NFD(),
}  # fmt: skip


def encoded(tokenizer: Tokenizer, pad: str, texts: list[str]) -> list[dict[str, Any]]:
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH, pad_id=tokenizer.token_to_id(pad), pad_token=pad)
    every = [tokenizer.encode(text) for text in texts]
    lost = [sum(piece.special_tokens_mask.count(0) for piece in one.overflowing) for one in every]
    return [{"ids": one.ids, "dropped": dropped} for one, dropped in zip(every, lost, strict=True)]


def page(tokenizer: Tokenizer, texts: list[str]) -> Any:
    given = {"tokenizer": json.loads(tokenizer.to_str()), "length": LENGTH, "pad": END, "texts": texts}
    return json.loads(node("tokenize.js", given))


@pytest.mark.parametrize("name", ["shipped", *NORMALIZERS])
def test_ids_are_those_of_the_rust_library(name: str) -> None:
    shipped = SHIPPED_BUNDLE / "tokenizer" / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(shipped)) if name == "shipped" else clip(NORMALIZERS[name])
    texts = odd_texts(1000)
    expected, found = encoded(tokenizer, END, texts), page(tokenizer, texts)
    different = [text for text, one, other in zip(texts, expected, found, strict=True) if one != other]
    assert not different, (len(different), different[:10])
    assert len({str(one) for one in expected}) > 600


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"model": {"type": "WordPiece", "vocab": {}}}, "model WordPiece"),
        ({"normalizer": {"type": "Precompiled"}}, "normalizer Precompiled"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "pre-tokenizer Metaspace"),
        ({"normalizer": {"type": "Replace", "pattern": {"Regex": r"a++b"}, "content": ""}}, "pattern a++b"),
        ({"normalizer": {"type": "Replace", "pattern": {"Regex": r"[a[bc]]"}, "content": ""}}, "a class in a class"),
    ],
)
def test_what_it_cannot_read_is_named(change: dict[str, Any], line: str) -> None:
    tokenizer = json.loads((SHIPPED_BUNDLE / "tokenizer" / "tokenizer.json").read_text())
    given = {"tokenizer": {**tokenizer, **change}, "length": LENGTH, "pad": END, "texts": [""]}
    assert line in json.loads(node("tokenize.js", given))["refused"]


def test_half_of_a_surrogate_pair_is_refused() -> None:
    tokenizer = Tokenizer.from_file(str(SHIPPED_BUNDLE / "tokenizer" / "tokenizer.json"))
    assert "surrogate pair" in page(tokenizer, ["a\ud83dx"])["refused"]


@pytest.mark.parametrize("name", ["shipped", "decomposed"])
def test_ids_are_spelt_as_the_captioner_spells_them(name: str) -> None:
    shipped = SHIPPED_BUNDLE / "tokenizer" / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(shipped)) if name == "shipped" else clip(NORMALIZERS[name])
    chance, ids = random.Random(0), range(tokenizer.get_vocab_size())
    rows = [tokenizer.encode(text).ids for text in odd_texts(100)] + [chance.choices(ids, k=12) for _ in range(200)]
    rows += [tokenizer.encode(text).ids for text in ("dog face, flat.", "semi-plat, l'œil d’or (2)", "50% - a")]
    given = {"tokenizer": json.loads(tokenizer.to_str()), "rows": rows, "end": END}
    expected = [read_caption(tokenizer, row, tokenizer.token_to_id(END))[0] for row in rows]
    assert json.loads(node("spell.js", given)) == expected and len(set(expected)) > 150
