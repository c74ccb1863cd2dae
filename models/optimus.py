"""Optimus, the text autoencoder of Versatile Diffusion (arXiv 2004.04092): BERT reads, GPT-2 writes; it knows no denoiser.

A text is one vector, the mean of its distribution, not scaled. GPT-2 gets it twice: added to every token's embedding, and as
one position that every layer has seen before the first token. Shapes: `N` batch, `S` tokens, `L` numbers that stand for a text,
`V` vocabulary, `K heads P d` what GPT-2 remembers.
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
from models import weight_files
from models.bases import Base
from models.parts import Autoencoder
from models.word_by_word import ByWord, write
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

    @property
    def past_shape(self) -> tuple[int, int, int, int]:
        """`(K, heads, P, d)` of what GPT-2 remembers of one text: keys and values of every layer, at P places.

        The first place is the text's own.
        """
        config = self.writer.config
        return 2 * config.n_layer, config.n_head, LONGEST, config.n_embd // config.n_head

    def step(self, latent: Tensor, ids: Tensor, position: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens `(N, 1)` at place `position` `()` of texts `(N, L)` → logits of the next `(N, V)`, and the new past.

        `past` `(N, K, heads, P, d)` holds what was before; zeros before the first token, whose place is 1. Every step has the
        same shapes, so that one graph does them all.
        """
        places = torch.arange(past.shape[3] + 1, device=ids.device)  # the last one is the token's own
        seen = (places < position) | (places == past.shape[3])
        mask = torch.zeros(seen.shape, dtype=past.dtype, device=ids.device).masked_fill(
            ~seen, torch.finfo(past.dtype).min
        )
        own = self.memory(latent).unflatten(-1, (-1, past.shape[2], past.shape[4]))  # (N, layers, heads, d)
        own = own.repeat_interleave(2, dim=1)[:, :, :, None]  # key and value alike
        known = torch.cat([own, past[:, :, :, 1:]], dim=3)
        cache = DynamicCache()
        for layer in range(past.shape[1] // 2):
            cache.update(known[:, 2 * layer], known[:, 2 * layer + 1], layer)
        hidden = self.writer(
            inputs_embeds=self.writer.wte(ids) + self.added(latent)[:, None],
            past_key_values=cache,
            attention_mask=mask.expand(ids.shape[0], 1, 1, -1),
            position_ids=position.reshape(1, 1),
        ).last_hidden_state
        new = torch.stack([array[:, :, -1:] for layer in cache.layers for array in (layer.keys, layer.values)], dim=1)
        now = torch.where((places[:-1] == position)[:, None], new, known)
        return (hidden @ self.writer.wte.weight.T)[:, 0], now

    @torch.no_grad()
    def decode(self, latent: Tensor, how: ByWord) -> NDArray[np.int64]:
        """Means `(N, L)` → GPT-2's ids `(N, 30)` on the host: the likeliest token each time.

        All texts are written together. Versatile Diffusion's own page drew tokens at random, one text at a time.
        """

        def step(ids: NDArray[np.int64], place: int, past: Tensor) -> tuple[NDArray[np.int64], Tensor]:
            tokens, position = torch.from_numpy(ids).to(latent.device), torch.tensor(place, device=latent.device)
            logits, now = self.step(latent, tokens, position, past)
            return logits.argmax(dim=-1, keepdim=True).cpu().numpy(), now

        return write(step, latent.new_zeros(len(latent), *how.past), len(latent), how)


class OptimusAutoencoder(Autoencoder):
    """Texts ↔ latents `(N, L, 1, 1)`; ids to read are BERT's, those that are written GPT-2's."""

    scaling_factor = 1.0

    def __init__(self, optimus: Optimus, reader: PreTrainedTokenizerBase, writer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.optimus, self.reader, self.tokenizer = optimus, reader, writer
        start, end, pad = self.marks = [
            int(cast(int, writer.convert_tokens_to_ids(mark))) for mark in (START, END, PAD)
        ]
        own = f"{FOLDER}/{WRITER}/tokenizer.json"
        self.by_word: ByWord = ByWord(start, end, pad, LONGEST, optimus.past_shape, own)

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
        return torch.from_numpy(self.output(latents))

    def next_token(self, latents: Tensor, ids: Tensor, position: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Latents `(N, L, 1, 1)`, tokens `(N, 1)` at a place `()`, past `(N, K, heads, P, d)` → logits `(N, V)`, new past."""
        return self.optimus.step(latents[:, :, 0, 0], ids, position, past)

    def output(self, latents: Tensor) -> NDArray[np.int64]:
        """Latents `(N, L, 1, 1)` → GPT-2's ids `(N, 30)` on the host."""
        return self.optimus.decode(latents[:, :, 0, 0], self.by_word)

    def texts(self, ids: NDArray[np.int64]) -> list[str]:
        """GPT-2's ids `(N, 30)` → N texts."""
        own = [[number for number in row if number not in self.marks] for row in ids.tolist()]
        return [" ".join(text.split()) for text in self.tokenizer.batch_decode(own)]

    def picture(self, latents: Tensor) -> NDArray[np.uint8]:
        """Latents `(N, L, 1, 1)` → the texts as pictures `(N, 24, 256, 3)`."""
        return np.stack([written(text) for text in self.texts(self.output(latents))])


def check(folder: Path) -> None:
    """BadInput: the folder of an Optimus is not whole, or holds another network."""
    weight_files.check(folder, Optimus)
    for part in (READER, WRITER):
        if not any((folder / part / name).is_file() for name in ("vocab.txt", "vocab.json", "tokenizer.json")):
            raise BadInput(f"{folder} is incomplete: it has no {part}/tokenizer.json")


def load(folder: Path) -> OptimusAutoencoder:
    """An Optimus in float32, ready to run; `check` was there before."""
    network = Base(str(folder), folder.parent).network(folder.name, Optimus)
    reader, writer = BertTokenizer.from_pretrained(folder / READER), GPT2Tokenizer.from_pretrained(folder / WRITER)
    writer.add_special_tokens({"pad_token": PAD, "bos_token": START, "eos_token": END})
    for name, tokenizer, plan in ((READER, reader, network.reader.config), (WRITER, writer, network.writer.config)):
        if len(tokenizer) > plan.vocab_size:
            raise BadInput(f"{folder}: {name} has {len(tokenizer)} tokens, its network knows {plan.vocab_size}")
    return OptimusAutoencoder(network, reader, writer)


def save(autoencoder: OptimusAutoencoder, folder: Path, dtype: torch.dtype) -> None:
    """Write the folder that `load` reads; it must not exist yet."""
    copy.deepcopy(autoencoder.optimus).to("cpu", dtype).save_pretrained(folder)
    autoencoder.reader.save_pretrained(folder / READER)
    autoencoder.tokenizer.save_pretrained(folder / WRITER)
