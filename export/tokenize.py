"""Prompts → token ids exactly as transformers' CLIPTokenizer gives them, without transformers; it knows no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from export.bundle import Bundle
from models.errors import BadInput


class PromptTokenizer:
    """The bundle's tokenizer: cuts to S tokens and pads to S tokens."""

    def __init__(self, bundle: Bundle) -> None:
        config = json.loads(bundle.path("tokenizer/tokenizer_config.json").read_text())
        pad = _text(config["pad_token"])
        self.length: int = config["model_max_length"]
        self._tokenizer = Tokenizer.from_file(str(bundle.path("tokenizer/tokenizer.json")))
        self._tokenizer.enable_truncation(self.length)
        pad_id = self._tokenizer.token_to_id(pad)
        self._tokenizer.enable_padding(length=self.length, pad_id=pad_id, pad_token=pad)

    def ids(self, prompts: Sequence[str]) -> NDArray[np.int64]:
        """Prompts → ids `(N, S)`."""
        return np.array([self._encode(prompt).ids for prompt in prompts], dtype=np.int64)

    def dropped(self, prompt: str) -> int:
        """How many tokens of the prompt do not fit into S."""
        pieces = self._encode(prompt).overflowing
        return sum(piece.special_tokens_mask.count(0) for piece in pieces)

    def _encode(self, prompt: str) -> Encoding:
        try:
            prompt.encode()
        except UnicodeEncodeError as error:
            raise BadInput("the prompt is not valid Unicode text: it holds half of a surrogate pair") from error
        return self._tokenizer.encode(prompt)


def _text(token: Any) -> str:
    """A token as `tokenizer_config.json` writes it: a string, or an object that holds one."""
    return str(token["content"]) if isinstance(token, dict) else str(token)
