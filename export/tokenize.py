"""What a request holds → ids or weights, for each task: prompts as transformers' CLIPTokenizer does; it knows no network."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from export.bundle import Bundle
from models.attributes import attribute_weights
from models.config import nearest
from models.errors import BadInput
from models.labels import Input, class_id

REMEMBERED = 256
"""So many prompts are encoded once only."""


class InputTokenizer(Protocol):
    """The inputs of one task → what the conditioner takes."""

    def ids(self, inputs: Sequence[Input]) -> NDArray[Any]:
        """Inputs → ids `(N, S)` int64, or weights `(N, A)` float32. BadInput: an input that the model cannot take."""

    def dropped(self, input: Input) -> int:
        """How many tokens of the input the model will not see."""


def load(bundle: Bundle) -> InputTokenizer:
    """The tokenizer of the bundle's task. BadInput: a task that this version does not know."""
    if bundle.manifest.task not in TOKENIZERS:
        raise BadInput(
            f"{bundle.folder}: unknown task '{bundle.manifest.task}'{nearest(bundle.manifest.task, TOKENIZERS)}"
        )
    return TOKENIZERS[bundle.manifest.task](bundle)


class LabelTokenizer:
    """Numbers or names of labels → rows of the table; without classes there is but one."""

    def __init__(self, bundle: Bundle) -> None:
        self.classes = bundle.manifest.classes

    def ids(self, inputs: Sequence[Input]) -> NDArray[np.int64]:
        """Labels → ids `(N, 1)`."""
        return np.array([[class_id(label, self.classes)] for label in inputs], dtype=np.int64)

    def dropped(self, input: Input) -> int:
        """A label is one token: nothing."""
        return 0


class AttributeTokenizer:
    """Weights by name, names, or text such as `Zombie, Cap=2` → a row of weights."""

    def __init__(self, bundle: Bundle) -> None:
        self.slots = bundle.manifest.slots

    def ids(self, inputs: Sequence[Input]) -> NDArray[np.float32]:
        """Attributes → weights `(N, A)`, 0 for those that are left free."""
        return np.array([attribute_weights(wanted, self.slots) for wanted in inputs], dtype=np.float32)

    def dropped(self, input: Input) -> int:
        """Every attribute is seen: nothing."""
        return 0


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
        self._remembered = lru_cache(REMEMBERED)(self._tokenizer.encode)  # what is dropped is asked before the ids are

    def ids(self, inputs: Sequence[Input]) -> NDArray[np.int64]:
        """Prompts → ids `(N, S)`."""
        return np.array([self._encode(prompt).ids for prompt in inputs], dtype=np.int64)

    def dropped(self, input: Input) -> int:
        """How many tokens of the prompt do not fit into S."""
        pieces = self._encode(input).overflowing
        return sum(piece.special_tokens_mask.count(0) for piece in pieces)

    def _encode(self, prompt: Input) -> Encoding:
        if not isinstance(prompt, str):
            raise BadInput(f"a prompt must be text, got {prompt!r:.40}")
        try:
            prompt.encode()
        except UnicodeEncodeError as error:
            raise BadInput("the prompt is not valid Unicode text: it holds half of a surrogate pair") from error
        return self._remembered(prompt)


def _text(token: Any) -> str:
    """A token as `tokenizer_config.json` writes it: a string, or an object that holds one."""
    return str(token["content"]) if isinstance(token, dict) else str(token)


TOKENIZERS: dict[str, Callable[[Bundle], InputTokenizer]] = {
    "text-to-image": PromptTokenizer,
    "class-to-image": LabelTokenizer,
    "attributes-to-image": AttributeTokenizer,
    "unconditional-image-generation": LabelTokenizer,
}
