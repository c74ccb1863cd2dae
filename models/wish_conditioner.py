"""The conditioner of a flow that draws from text, pictures or both, by rows that hold all of it; it knows no flow.

Shapes: `N` batch, `S` tokens, `T` tokens of a picture (content, then style), `D` width, `R` length of a row.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from base.errors import BadInput
from models.conditioning import Conditioning
from models.labels import Input, Wish
from models.picture_conditioner import PictureConditioner
from models.prompt_ids import beyond, tokenized


class WishConditioner(PictureConditioner):
    """Prompt, content, style and mix → hidden states of the text, tokens of the pictures, and the text's share.

    A row holds ids, tokens and share of one sample, as one vector of R numbers: what is drawn, stored and repeated in training.
    """

    text_encoder: Any

    def __init__(self, tokenizer: PreTrainedTokenizerFast, text_encoder: nn.Module, image_encoder: nn.Module) -> None:
        """`text_encoder` gives `last_hidden_state` as CLIP's does; `image_encoder` is as `PictureConditioner` says."""
        super().__init__(image_encoder)
        self.tokenizer, self.text_encoder = tokenizer, text_encoder

    def tokenize(self, inputs: Sequence[Input]) -> Tensor:
        """Prompts or wishes → rows `(N, R)` float32; what is not there is zeros. BadInput: neither, or a wrong picture."""
        wishes = [Wish(one) if isinstance(one, str) else one for one in inputs]
        if strange := [wish for wish in wishes if not isinstance(wish, Wish)]:
            raise BadInput(f"a prompt must be text, got {strange[0]!r:.40}")
        count, half = self.image_encoder.tokens, self.image_encoder.tokens // 2
        pictures = torch.zeros(len(wishes), count, self.image_encoder.width)
        for row, wish in zip(pictures, cast("list[Wish]", wishes), strict=True):
            own, others = wish.focuses
            if wish.content is not None:
                row[:half] = self.focused(wish.content, 0, half, own)
            if wish.style is not None:
                row[half:] = self.focused(wish.style, half, count, others)
        mix = torch.tensor([cast(Wish, wish).share for wish in wishes])
        return self.pack(tokenized(self.tokenizer, [cast(Wish, wish).prompt for wish in wishes]), pictures, mix)

    def beyond(self, inputs: Sequence[Input]) -> list[str]:
        """The end of each prompt that has more tokens than the tokenizer's length."""
        return beyond(self.tokenizer, [one.prompt if isinstance(one, Wish) else one for one in inputs])

    @abstractmethod
    def focused(self, picture: Any, first: int, last: int, focus: float) -> Tensor:
        """A picture's tokens `(T, D)`, `first` to `last`, towards content or style. BadInput: as `tokens`."""

    def pack(self, input_ids: Tensor, image_embeds: Tensor, mix: Tensor) -> Tensor:
        """Ids `(N, S)`, tokens of pictures `(N, T, D)`, share of the text `(N,)` → rows `(N, R)` float32."""
        return torch.cat([input_ids.float(), image_embeds.flatten(1).float(), mix[:, None].float()], dim=1)

    def unpack(self, rows: Tensor) -> dict[str, Tensor]:
        """Rows `(N, R)` → `input_ids (N, S)`, `image_embeds (N, T, D)`, `mix (N,)`."""
        length = self.tokenizer.model_max_length
        pictures = rows[:, length:-1].unflatten(1, (self.image_encoder.tokens, self.image_encoder.width))
        return {"input_ids": rows[:, :length].long(), "image_embeds": pictures, "mix": rows[:, -1]}

    def contexts(self, input_ids: Tensor, image_embeds: Tensor, mix: Tensor) -> Conditioning:
        """Ids `(N, S)`, tokens of pictures `(N, T, D)`, share of the text `(N,)` → what the denoiser takes."""
        hidden = self.text_encoder(input_ids).last_hidden_state
        return Conditioning(hidden, image_embeds=image_embeds.to(hidden.dtype), mix=mix.to(hidden.dtype))

    def forward(self, ids: Tensor) -> Conditioning:
        """Rows `(N, R)` → hidden states `(N, S, D)`, tokens of pictures `(N, T, D)`, share of the text `(N,)`."""
        return self.contexts(**self.unpack(ids))
