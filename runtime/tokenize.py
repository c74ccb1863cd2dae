"""Inputs → ids or weights: prompts as transformers' CLIPTokenizer does, other inputs as their task says; it knows no network.

Shapes: `N` batch, `S` tokens, `A` attributes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from base.errors import BadInput
from models.labels import Input
from models.task import ConditionerInput, Task, task_of
from runtime.bundle import Bundle

TEXT_TOKENIZERS = ("tokenizer", "tokenizer_2")
REMEMBERED = 256
"""So many prompts are encoded once only."""
DTYPES: Mapping[ConditionerInput, type[np.generic]] = {
    "input_ids": np.int64,
    "weights": np.float32,
    "image_embeds": np.float32,
    "column": np.int64,
}
"""What the conditioner takes → its type."""


class InputTokenizer(Protocol):
    """Inputs of one model → what its conditioner takes."""

    def ids(self, inputs: Sequence[Input]) -> NDArray[Any]:
        """Inputs → ids `(N, S)` int64, or weights `(N, A)` float32. BadInput: an input that the model cannot take."""

    def arrays(self, inputs: Sequence[Input]) -> dict[str, NDArray[Any]]:
        """Inputs → `(N, …)` arrays by the names of the graphs' inputs. BadInput: as `ids`."""

    def read(self, input: Input) -> int:
        """How many tokens of the input the model sees."""

    def dropped(self, input: Input) -> int:
        """How many tokens of the input the model will not see."""


def load(bundle: Bundle) -> InputTokenizer:
    """The tokenizer of the bundle's task, whose pictures others add. BadInput: a task that this version does not know."""
    try:
        task = task_of(bundle.manifest)
    except BadInput as error:
        raise BadInput(f"{bundle.folder}: {error}") from None
    return PromptTokenizer(bundle) if task.tokenized else RowTokenizer(task)


class RowTokenizer:
    """Inputs of a task that needs no tokenizer's files → a row each."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def ids(self, inputs: Sequence[Input]) -> NDArray[Any]:
        """Inputs → ids `(N, S)` int64, or weights `(N, A)` float32, as the task says."""
        return np.array([self.task.row(input) for input in inputs], dtype=DTYPES[self.task.conditioner_inputs[0]])

    def arrays(self, inputs: Sequence[Input]) -> dict[str, NDArray[Any]]:
        """The rows `(N, S)` or `(N, A)`, by the name of what the conditioner takes."""
        return {self.task.conditioner_inputs[0]: self.ids(inputs)}

    def read(self, input: Input) -> int:
        """One, or so many as the model knows attributes."""
        return len(self.task.row(input))

    def dropped(self, input: Input) -> int:
        """Nothing: every row holds the whole input."""
        return 0


class PromptTokenizer:
    """The bundle's tokenizers, one for each text encoder: each cuts to its S tokens and pads to S tokens."""

    def __init__(self, bundle: Bundle) -> None:
        names = [name for name in TEXT_TOKENIZERS if f"{name}/tokenizer.json" in bundle.manifest.files]
        tokenizers = [_tokenizer(bundle, name) for name in names or TEXT_TOKENIZERS[:1]]
        self.length = len(tokenizers[0].encode("").ids)  # padded
        # `dropped` is called before `ids`, for the same prompt.
        self._remembered = lru_cache(REMEMBERED)(lambda prompt: [one.encode(prompt) for one in tokenizers])

    def ids(self, inputs: Sequence[Input]) -> NDArray[np.int64]:
        """Prompts → ids `(N, S)`, those of several tokenizers after each other. BadInput: not text, or not valid Unicode."""
        encoded = [self._encode(prompt) for prompt in inputs]
        return np.array([[id for one in each for id in one.ids] for each in encoded], dtype=np.int64)

    def arrays(self, inputs: Sequence[Input]) -> dict[str, NDArray[Any]]:
        """The ids `(N, S)`, as `input_ids`."""
        return {"input_ids": self.ids(inputs)}

    def read(self, input: Input) -> int:
        """How many of the S tokens are the prompt's, its start and end among them."""
        return int(sum(self._encode(input)[0].attention_mask))

    def dropped(self, input: Input) -> int:
        """How many tokens of the prompt do not fit into S."""
        pieces = self._encode(input)[0].overflowing
        return sum(piece.special_tokens_mask.count(0) for piece in pieces)

    def _encode(self, prompt: Input) -> list[Encoding]:
        if not isinstance(prompt, str):
            raise BadInput(f"a prompt must be text, got {prompt!r:.40}")
        try:
            prompt.encode()
        except UnicodeEncodeError as error:
            raise BadInput("the prompt is not valid Unicode text: it holds half of a surrogate pair") from error
        return self._remembered(prompt)


def padding(bundle: Bundle, component: str) -> tuple[int, str]:
    """So many ids a tokenizer gives, and the token that fills them up."""
    config = json.loads(bundle.path(f"{component}/tokenizer_config.json").read_bytes())
    return int(config["model_max_length"]), _text(config["pad_token"])


def _tokenizer(bundle: Bundle, component: str) -> Tokenizer:
    length, pad = padding(bundle, component)
    tokenizer = Tokenizer.from_file(str(bundle.path(f"{component}/tokenizer.json")))
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length, pad_id=tokenizer.token_to_id(pad), pad_token=pad)
    return tokenizer


def _text(token: Any) -> str:
    """A token as `tokenizer_config.json` writes it: a string, or an object that holds one."""
    return str(token["content"]) if isinstance(token, dict) else str(token)
