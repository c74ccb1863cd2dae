"""Wishes and pictures → arrays by the names of the graphs' inputs; it knows no network: who embeds pictures is passed in.

Shapes: `N` batch, `S` tokens of a prompt, `T` tokens of a picture, `D` width, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.errors import BadInput
from models.context_focus import NEUTRAL, focused
from models.labels import Input, Seen, Wish
from models.task import task_of
from runtime.bundle import Bundle
from runtime.tokenize import InputTokenizer

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Pictures `(N, H, W, 3)` → their tokens `(N, T, D)`, content then style."""


class PictureTokenizer:
    """What the two tokenizers share: pictures, or tokens that somebody else computed."""

    def __init__(self, bundle: Bundle, embed: Embed) -> None:
        shape, size = bundle.manifest.picture_tokens, bundle.manifest.picture_size
        assert shape is not None and size is not None
        self.embed, (self.count, self.width), self.size = embed, shape, size

    def tokens(self, picture: Any, first: int, last: int, known: dict[int, NDArray[np.float32]]) -> NDArray[np.float32]:
        """A picture `(H, W, 3)` uint8, or its tokens → tokens `first` to `last` of T, `(last − first, D)`.

        `known`: tokens by the picture's identity, so that one in several requests is embedded once. BadInput: neither, or not
        finite.
        """
        array = np.asarray(picture)
        width, height = self.size
        if array.dtype == np.uint8 and array.shape == (height, width, 3):
            if id(picture) not in known:
                known[id(picture)] = self.embed(array[None])[0]
            return known[id(picture)][first:last]
        if array.shape != (last - first, self.width) or not np.isfinite(array).all():
            accepted = f"uint8 ({height}, {width}, 3) or {last - first}x{self.width} finite numbers"
            raise BadInput(f"a picture must be {accepted}, got {array.dtype} {array.shape}")
        return array.astype(np.float32)


class WishTokenizer(PictureTokenizer):
    """Prompts, or wishes of a prompt and pictures."""

    def __init__(self, bundle: Bundle, prompts: InputTokenizer, embed: Embed) -> None:
        super().__init__(bundle, embed)
        self.prompts, self.local = prompts, bundle.manifest.local_tokens

    def ids(self, inputs: Sequence[Input]) -> NDArray[Any]:
        """The prompts' ids `(N, S)` int64. BadInput: not text."""
        prompts = ["" if isinstance(one, Seen) else one.prompt if isinstance(one, Wish) else one for one in inputs]
        return self.prompts.ids(prompts)

    def arrays(self, inputs: Sequence[Input]) -> dict[str, NDArray[Any]]:
        """`input_ids (N, S)`, `image_embeds (N, T, D)` of zeros where nothing is, `mix (N,)`. BadInput: a wrong picture."""
        wishes = [_as_wish(one) for one in inputs]
        embeds, half = np.zeros((len(wishes), self.count, self.width), np.float32), self.count // 2
        known: dict[int, NDArray[np.float32]] = {}
        for row, wish in zip(embeds, wishes, strict=True):
            own, others = wish.focuses
            if wish.content is not None:
                row[:half] = self.focused(self.tokens(wish.content, 0, half, known), own)
            if wish.style is not None:
                row[half:] = self.focused(self.tokens(wish.style, half, self.count, known), others)
        mix = np.array([wish.share for wish in wishes], np.float32)
        return {"input_ids": self.ids(inputs), "image_embeds": embeds, "mix": mix}

    def focused(self, tokens: NDArray[np.float32], focus: float) -> NDArray[np.float32]:
        """A picture's tokens `(T, D)`, towards content or style. BadInput: its tokens are not local ones."""
        if focus == NEUTRAL:
            return tokens
        if not self.local:
            raise BadInput(
                "focus is not offered: this model sees a picture as a few tokens; accepted: content, style, mix"
            )
        return focused(tokens, focus)

    def read(self, input: Input) -> int:
        """Tokens of the pictures, T/2 each, and of the prompt where it counts."""
        wish = _as_wish(input)
        pictures = [picture for picture in (wish.content, wish.style) if picture is not None]
        return len(pictures) * (self.count // 2) + (self.prompts.read(wish.prompt) if wish.share else 0)

    def dropped(self, input: Input) -> int:
        """How many tokens of the prompt do not fit into S."""
        return (
            0 if isinstance(input, Seen) else self.prompts.dropped(input.prompt if isinstance(input, Wish) else input)
        )


def _as_wish(input: Input) -> Wish:
    """A picture that is seen says all; a text alone as well. BadInput: a kind of caption, which this model has none of."""
    if isinstance(input, Seen):
        if input.column:
            raise BadInput(f"as '{input.column:.40}' is unknown; this model has no kinds of caption")
        return Wish(content=input.image)
    return input if isinstance(input, Wish) else Wish(str(input))


class SeenTokenizer(PictureTokenizer):
    """Pictures to write about, and which kind of caption is wanted; `""` is no picture."""

    def __init__(self, bundle: Bundle, embed: Embed) -> None:
        super().__init__(bundle, embed)
        self.task = task_of(bundle.manifest)

    def ids(self, inputs: Sequence[Input]) -> NDArray[np.int64]:
        """Kinds of caption `(N,)`; the last is any. BadInput: one that the model does not know."""
        columns = self.task.vocabulary.classes
        names = [seen.column if isinstance(seen, Seen) else "" for seen in inputs]
        if strange := next((name for name in names if name and name not in columns), None):
            raise BadInput(f"as '{strange:.40}' is unknown; accepted: {', '.join(columns)}")
        return np.array([columns.index(name) if name else len(columns) for name in names], np.int64)

    def arrays(self, inputs: Sequence[Input]) -> dict[str, NDArray[Any]]:
        """`image_embeds (N, T, D)`, `column (N,)`. BadInput: a wrong picture, or an unknown kind of caption."""
        embeds = np.zeros((len(inputs), self.count, self.width), np.float32)
        known: dict[int, NDArray[np.float32]] = {}
        for row, seen in zip(embeds, inputs, strict=True):
            if isinstance(seen, Seen):
                row[:] = self.tokens(seen.image, 0, self.count, known)
        return {"image_embeds": embeds, "column": self.ids(inputs)}

    def read(self, input: Input) -> int:
        """The T tokens of the picture."""
        return self.count if isinstance(input, Seen) else 0

    def dropped(self, input: Input) -> int:
        """Nothing: a picture is seen whole."""
        return 0


def load(bundle: Bundle, own: InputTokenizer, embed: Embed) -> InputTokenizer:
    """The tokenizer of a task whose requests hold pictures; `own` is its prompts'. `embed` as `(N, H, W, 3) → (N, T, D)`."""
    return WishTokenizer(bundle, own, embed) if task_of(bundle.manifest).tokenized else SeenTokenizer(bundle, embed)
