"""Prompts as token ids of one length, and what is cut off them; it knows no network.

Shapes: `N` batch, `S` tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor
from transformers import PreTrainedTokenizerFast

from base.errors import BadInput
from models.labels import Input


def tokenized(tokenizer: PreTrainedTokenizerFast, inputs: Sequence[Input]) -> Tensor:
    """Prompts → ids `(N, S)` int64, padded and cut to the tokenizer's length. BadInput: not text."""
    if strange := [prompt for prompt in inputs if not isinstance(prompt, str)]:
        raise BadInput(f"a prompt must be text, got {strange[0]!r:.40}")
    length = tokenizer.model_max_length
    encoded = tokenizer(list(inputs), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    return cast(Tensor, encoded["input_ids"])


def beyond(tokenizer: PreTrainedTokenizerFast, inputs: Sequence[Input]) -> list[str]:
    """What `tokenized` cuts off each text, as it was written; nothing where it all fits."""
    texts, last = [str(text) for text in inputs], tokenizer.model_max_length - 2  # the end comes after it
    places = tokenizer(texts, return_offsets_mapping=True)["offset_mapping"]  # start and end tokens among them
    return [
        text[own[last][1] :].strip() if len(own) > last + 2 else "" for text, own in zip(texts, places, strict=True)
    ]
