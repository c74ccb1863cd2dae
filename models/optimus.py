"""Optimus, the text autoencoder of Versatile Diffusion (arXiv 2004.04092): BERT reads, GPT-2 writes; it knows no denoiser.

A text is one vector, the mean of its distribution, not scaled. GPT-2 gets it twice: added to every token's embedding, and as
one position that every layer has seen before the first token. Shapes: `N` batch, `S` tokens, `L` numbers that stand for a text.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    DynamicCache,
    GPT2Config,
    GPT2Model,
    GPT2Tokenizer,
    PreTrainedTokenizerBase,
)

from base.errors import BadInput
from models import components
from models.pipeline import Autoencoder
from models.writer import written

FOLDER = "optimus"
"""Beside the components of a Versatile Diffusion."""
READER, WRITER = "bert_tokenizer", "gpt2_tokenizer"
"""Folders of its tokenizers, in its own."""
LONGEST = 30
"""Tokens that are written at most, start and end among them, as published."""
READ = 77
"""Tokens that are read at most, without start and end."""
START, END, PAD = "<BOS>", "<EOS>", "<PAD>"
"""The tokens that GPT-2's vocabulary is longer by."""


class Optimus(ModelMixin, ConfigMixin):
    """Both halves, and the three linear layers between them."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, bert: Mapping[str, Any], gpt2: Mapping[str, Any], latent_size: int = 768) -> None:
        """`bert`, `gpt2`: keyword arguments of transformers' `BertConfig` and `GPT2Config`."""
        super().__init__()
        self.reader, self.writer = BertModel(BertConfig(**bert)), GPT2Model(GPT2Config(**gpt2))
        width, layers = self.writer.config.n_embd, self.writer.config.n_layer
        self.moments = nn.Linear(self.reader.config.hidden_size, 2 * latent_size, bias=False)
        self.memory = nn.Linear(latent_size, layers * width, bias=False)
        self.added = nn.Linear(latent_size, width, bias=False)

    def encode(self, input_ids: Tensor) -> Tensor:
        """BERT's ids `(N, S)`, 0 where there is none → means `(N, L)`."""
        pooled = self.reader(input_ids, attention_mask=(input_ids > 0).long()).pooler_output
        return cast(Tensor, self.moments(pooled).chunk(2, dim=-1)[0])

    def past(self, latent: Tensor) -> DynamicCache:
        """Means `(N, L)` → the position before the first token, key and value alike in every layer."""
        cache, config = DynamicCache(), self.writer.config
        for layer, one in enumerate(self.memory(latent).split(config.n_embd, dim=-1)):
            heads = one.unflatten(-1, (config.n_head, -1))[:, :, None]  # (N, heads, 1, width of a head)
            cache.update(heads, heads, layer)
        return cache

    def logits(self, latent: Tensor, ids: Tensor, cache: DynamicCache) -> Tensor:
        """The next tokens' ids `(N, S)` of texts `(N, L)`, after what `cache` has seen → logits `(N, S, vocabulary)`."""
        first = cache.get_seq_length()
        places = torch.arange(first, first + ids.shape[1], device=ids.device)[None]
        embeds = self.writer.wte(ids) + self.added(latent)[:, None]
        hidden = self.writer(inputs_embeds=embeds, past_key_values=cache, position_ids=places).last_hidden_state
        return cast(Tensor, hidden @ self.writer.wte.weight.T)

    @torch.no_grad()
    def decode(self, latent: Tensor, start: int, end: int, pad: int) -> Tensor:
        """Means `(N, L)` → GPT-2's ids `(N, 30)`: the likeliest token each time, `pad` after `end`.

        All texts are written together. Versatile Diffusion's own page drew tokens at random, one text at a time.
        """
        cache, written_ids = self.past(latent), [torch.full((len(latent), 1), start, device=latent.device)]
        over = torch.zeros(len(latent), 1, dtype=torch.bool, device=latent.device)
        for _ in range(LONGEST - 1):
            following = self.logits(latent, written_ids[-1], cache)[:, -1:].argmax(dim=-1)
            written_ids.append(following.masked_fill(over, pad))
            over = over | (following == end)
        return torch.cat(written_ids, dim=1)


class OptimusAutoencoder(Autoencoder):
    """Texts ↔ latents `(N, L, 1, 1)`; ids to read are BERT's, those that are written GPT-2's."""

    scaling_factor = 1.0

    def __init__(self, optimus: Optimus, reader: PreTrainedTokenizerBase, writer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.optimus, self.reader, self.tokenizer = optimus, reader, writer
        self.marks = tuple(int(cast(int, writer.convert_tokens_to_ids(mark))) for mark in (START, END, PAD))

    def read(self, texts: Sequence[str]) -> Tensor:
        """N texts → BERT's ids `(N, S)`, in small letters, 0 behind the end."""
        small = [text.lower() for text in texts]
        return cast(
            Tensor,
            self.reader(small, padding=True, truncation=True, max_length=READ + 2, return_tensors="pt")["input_ids"],
        )

    def to_latents(self, images: Tensor) -> Tensor:
        """BERT's ids `(N, S)` → latents `(N, L, 1, 1)`."""
        return self.optimus.encode(images)[:, :, None, None]

    def from_latents(self, latents: Tensor) -> Tensor:
        """Latents `(N, L, 1, 1)` → GPT-2's ids `(N, 30)` int64."""
        return self.optimus.decode(latents[:, :, 0, 0], *self.marks)

    def output(self, latents: Tensor) -> NDArray[np.int64]:
        """Latents `(N, L, 1, 1)` → GPT-2's ids `(N, 30)` on the host."""
        return cast("NDArray[np.int64]", self.decode(latents).cpu().numpy())

    def texts(self, ids: NDArray[np.int64]) -> list[str]:
        """GPT-2's ids `(N, 30)` → N texts."""
        own = [[number for number in row if number not in self.marks] for row in ids.tolist()]
        return [" ".join(text.split()) for text in self.tokenizer.batch_decode(own)]

    def picture(self, latents: Tensor) -> NDArray[np.uint8]:
        """Latents `(N, L, 1, 1)` → the texts as pictures `(N, 24, 256, 3)`."""
        return np.stack([written(text) for text in self.texts(self.output(latents))])


def check(folder: Path) -> None:
    """BadInput: the folder of an Optimus is not whole, or holds another network."""
    components.check_weights(folder, Optimus)
    for part in (READER, WRITER):
        if not any((folder / part / name).is_file() for name in ("vocab.txt", "vocab.json", "tokenizer.json")):
            raise BadInput(f"{folder} is incomplete: it has no {part}/tokenizer.json")


def load(folder: Path) -> OptimusAutoencoder:
    """An Optimus in float32, ready to run; `check` was there before."""
    network = components.Base(str(folder), folder.parent).network(folder.name, Optimus)
    reader, writer = BertTokenizer.from_pretrained(folder / READER), GPT2Tokenizer.from_pretrained(folder / WRITER)
    writer.add_special_tokens({"pad_token": PAD, "bos_token": START, "eos_token": END})
    return OptimusAutoencoder(network, reader, writer)


def save(autoencoder: OptimusAutoencoder, folder: Path, dtype: torch.dtype) -> None:
    """Write the folder that `load` reads; it must not exist yet."""
    copy.deepcopy(autoencoder.optimus).to("cpu", dtype).save_pretrained(folder)
    autoencoder.reader.save_pretrained(folder / READER)
    autoencoder.tokenizer.save_pretrained(folder / WRITER)
