"""Bundle + backend → captions of pictures, by the generator's own path; it knows neither torch nor HTTP.

Shapes: `N` pictures, `H W` pixels, `S` tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from base.errors import BadInput
from models import noise
from models.detokenizer import WORD_END, joined_words
from models.labels import Seen, Wish, caption_kind
from models.task import task_named
from models.tasks.image_to_text import ImageToText
from runtime import backend as backends
from runtime.backend import BackendOptions
from runtime.bundle import Bundle
from runtime.generator import Generator, Request

TOKENIZER = "tokenizer/tokenizer.json"
"""What reads captions where the bundle does not name another."""
BROKEN = "\ufffd"
"""What stands for bytes that are no letter: tokens can be parts of one, and a writer may leave the others out."""
END = "<|endoftext|>"
"""The token behind which a caption holds nothing."""


@dataclass(frozen=True)
class Cut:
    """Where a caption is cut off, if it does not end before."""

    tokens: int | None = None
    """Behind so many, that of the end among them."""
    before: tuple[str, ...] = ()
    """Before the first of these texts that it holds."""


WHOLE = Cut()
"""Nowhere."""


@dataclass(frozen=True)
class WrittenCaption:
    """What a model says of one picture."""

    text: str
    seed: int
    complete: bool
    """Whether it came to an end, or to a text that it is cut off before; otherwise it is cut behind as many tokens as there
    may be, or holds nothing."""
    read: int
    """Tokens of the picture, and of the text beside it, that the model read."""
    written: int
    """Tokens of what it wrote up to there, that of the end among them."""


class CaptionGenerator:
    """Writes captions of pictures; threads may share one."""

    def __init__(self, bundle: Bundle, backend: str = "auto", options: BackendOptions | None = None) -> None:
        """BadInput: the bundle has no flow from pictures to text, or `backend` is not to be had."""
        flow = bundle.flow(ImageToText.name)
        self.generator = Generator(flow, backends.load(backend, flow, options))
        self.columns = flow.manifest.classes
        """The kinds of caption that can be asked for."""
        self.size = flow.manifest.picture_size or bundle.manifest.sizes[0]
        """(W, H) of the pictures that it takes."""
        self.reads = task_named(flow.manifest.task).tokenized
        """Whether it takes texts as well, and says them otherwise."""
        words = flow.by_word
        self._tokenizer = Tokenizer.from_file(str(bundle.path(words.tokenizer if words else TOKENIZER)))
        self._end = words.end if words else self._tokenizer.token_to_id(END)
        self._given = 1 if words else 0  # the token before the first word

    def caption(
        self, images: Sequence[NDArray[Any]], seeds: Sequence[int], column: str = "", steps: int = 1
    ) -> list[WrittenCaption]:
        """N pictures `(H, W, 3)` uint8 of `size`, or their tokens `(T, D)`, a seed each → N captions.

        `column` is one of `columns`, empty for the first, or `any`: one of them by the seed. BadInput: an unknown column, a
        wrong picture or number of steps.
        """
        return self._write(self.about(images, seeds, column), steps)

    def reword(
        self, texts: Sequence[str], seeds: Sequence[int], images: Sequence[NDArray[Any]] = (), steps: int = 1
    ) -> list[WrittenCaption]:
        """N texts, a seed each → N others of the same; with pictures `(H, W, 3)` beside them, of both half and half.

        BadInput: a model that takes no texts, an empty text, a wrong picture or number of steps.
        """
        return self._write(self.rewording(texts, seeds, images), steps)

    def _write(self, requests: Sequence[Request], steps: int) -> list[WrittenCaption]:
        rows = self.generator.generate(requests, steps)  # (N, S)
        return [self.read(request, row) for request, row in zip(requests, rows, strict=True)]

    def about(self, images: Sequence[NDArray[Any]], seeds: Sequence[int], column: str = "") -> list[Request]:
        """The generator's requests for captions of N pictures `(H, W, 3)`, or their tokens. BadInput: an unknown column."""
        kind, kinds = caption_kind(column, self.columns), self.columns
        # A model that is not told the kind writes each word in one of its own: every third caption would be of two languages.
        named = [kind or (kinds[noise.chosen(seed, len(kinds))] if kinds else "") for seed in seeds]
        return [Request(Seen(image, name), seed) for image, name, seed in zip(images, named, seeds, strict=True)]

    def rewording(
        self, texts: Sequence[str], seeds: Sequence[int], images: Sequence[NDArray[Any]] = ()
    ) -> list[Request]:
        """The generator's requests for N texts said otherwise, with pictures `(H, W, 3)` beside them or without.

        BadInput: a model that takes no texts, an empty text.
        """
        if not self.reads:
            raise BadInput(f"{self.generator.name} writes about pictures alone; accepted: image")
        if not all(text.strip() for text in texts):
            raise BadInput("prompt is empty; accepted: a text to say otherwise")
        shown: list[NDArray[Any] | None] = [*images] if images else [None] * len(texts)
        return [Request(Wish(text, image), seed) for text, image, seed in zip(texts, shown, seeds, strict=True)]

    def read(self, request: Request, row: NDArray[np.int64], cut: Cut = WHOLE) -> WrittenCaption:
        """What the generator gave for one of these requests, ids `(S,)`, as text."""
        ids = row.tolist()
        ids = ids[: ids.index(self._end) + 1] if self._end in ids else ids
        ids = ids if cut.tokens is None else ids[: self._given + cut.tokens]
        ids, stopped = self._stopped(ids, cut.before)
        text, ended = read_caption(self._tokenizer, ids, self._end)
        at = min((text.index(one) for one in cut.before if one in text), default=len(text))
        complete = stopped or (ended and bool(text))
        read = self.generator.tokenizer.read(request.input)
        return WrittenCaption(text[:at].strip(), request.seed, complete, read, len(ids) - self._given)

    def _stopped(self, ids: list[int], before: Sequence[str]) -> tuple[list[int], bool]:
        """The fewest first ids whose text holds one of `before`, and whether any do; else all of them."""
        for count in range(1, len(ids) + 1) if before else ():
            text, _ = read_caption(self._tokenizer, ids[:count], self._end)
            if any(one in text for one in before):
                return ids[:count], True
        return ids, False


def read_caption(tokenizer: Tokenizer, ids: Sequence[int], end: int | None) -> tuple[str, bool]:
    """S ids → the text that they spell up to the id `end`, of letters that can be printed, and whether there is an end."""
    ended = end in ids
    said = ids[: ids.index(end)] if ended else ids
    words = tokenizer.decode(list(said), skip_special_tokens=True)
    printed = "".join(letter for letter in words.replace(WORD_END, " ") if letter.isprintable() and letter != BROKEN)
    text = joined_words(printed) if WORD_END in words else " ".join(printed.split())  # other spellings hold blanks
    return text, ended
