"""A GPT-2 that writes captions behind a picture's tokens, one token after the other; it knows nothing about diffusion.

Prefix captioning (ClipCap, Mokady et al. 2021, arXiv 2111.09734) with transformers' stock network: the frozen tokens of a
picture are its first embeddings, then comes the kind of caption, then the caption. A writer of all tokens at once is compared
with it. Shapes: `N` batch, `T` tokens of a picture, `S` tokens of a caption, `D` width, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from base.config import nearest
from base.errors import BadInput
from models import tokenizer_files
from models.context_encoder import ContextEncoder
from models.picture_conditioner import embedded
from models.writer import texts_of

IGNORED = -100
"""What cross-entropy leaves out."""


class PrefixCaptioner(nn.Module):
    """A stock GPT-2 of the encoder's width; each kind of caption is one more word of its vocabulary."""

    def __init__(self, network: GPT2LMHeadModel, encoder: ContextEncoder, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__()
        self.network, self.tokenizer = network, tokenizer
        self.image_encoder = encoder.requires_grad_(False)
        self.columns: tuple[str, ...] = tuple(network.config.columns)

    def losses(self, image_embeds: Tensor, ids: Tensor, kinds: Tensor) -> Tensor:
        """Tokens of pictures `(N, T, D)`, captions `(N, S)` from start to end, their kinds `(N,)` → cross-entropy `(N,)`."""
        words = torch.cat([self._kind(kinds), ids[:, 1:-1]], dim=1)  # (N, S − 1)
        states = torch.cat([image_embeds, self.network.transformer.wte(words)], dim=1)
        logits = self.network(inputs_embeds=states).logits[:, image_embeds.shape[1] :]
        after_end = (words == self.tokenizer.eos_token_id).cumsum(dim=1) > 0
        targets = ids[:, 1:].masked_fill(after_end, IGNORED)  # (N, S − 1)
        losses = functional.cross_entropy(logits.float().mT, targets, ignore_index=IGNORED, reduction="none")
        return losses.sum(dim=1) / (~after_end).sum(dim=1)

    @torch.no_grad()
    def write(self, images: Sequence[Any], columns: Sequence[str]) -> list[str]:
        """Pictures `(H, W, 3)` uint8 and the kind of caption wanted of each → N captions. BadInput: no such kind."""
        return self.write_behind(embedded(self.image_encoder, images), [self._number(column) for column in columns])

    @torch.no_grad()
    def write_behind(self, image_embeds: Tensor, kinds: Sequence[int]) -> list[str]:
        """Tokens of pictures `(N, T, D)` and kinds of caption → N captions, the likeliest token each time."""
        device = self.network.device
        words = self.network.transformer.wte(self._kind(torch.tensor(kinds, device=device)))
        prefix = torch.cat([image_embeds.to(device), words], dim=1)
        end = self.tokenizer.eos_token_id
        ids = self.network.generate(
            inputs_embeds=prefix,
            attention_mask=torch.ones(prefix.shape[:2], dtype=torch.long, device=device),
            max_new_tokens=self.tokenizer.model_max_length - 1,
            do_sample=False,
            pad_token_id=end,
            suppress_tokens=list(range(len(self.tokenizer), self.network.config.vocab_size)),
        )
        return texts_of(self.tokenizer, cast(Tensor, ids).cpu().numpy())

    @property
    def parameter_count(self) -> int:
        """Numbers that are trained."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def save(self, folder: Path) -> None:
        """The network as transformers writes it, the encoder of pictures and the tokenizer beside it."""
        self.network.save_pretrained(folder)
        self.image_encoder.save_pretrained(folder / "image_encoder")
        tokenizer_files.save(self.tokenizer, folder / "tokenizer")

    def _kind(self, kinds: Tensor) -> Tensor:
        return (len(self.tokenizer) + kinds)[:, None]

    def _number(self, column: str) -> int:
        if column not in self.columns:
            raise BadInput(f"the captioner writes no '{column}'{nearest(column, self.columns)}")
        return self.columns.index(column)


def build(
    encoder: ContextEncoder, tokenizer: PreTrainedTokenizerFast, columns: Sequence[str], layers: int, heads: int
) -> PrefixCaptioner:
    """One with random weights, as wide as the tokens of pictures."""
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer) + len(columns),
        n_positions=encoder.tokens + tokenizer.model_max_length,
        n_embd=encoder.width,
        n_layer=layers,
        n_head=heads,
        bos_token_id=end,
        eos_token_id=end,
        embd_pdrop=0.0,
        resid_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=False,
        columns=list(columns),
    )
    return PrefixCaptioner(GPT2LMHeadModel(config), encoder, tokenizer)


def load(folder: Path) -> PrefixCaptioner:
    """What `save` wrote. BadInput: the folder holds something else."""
    try:
        network = GPT2LMHeadModel.from_pretrained(folder, use_safetensors=True)
        encoder = ContextEncoder.from_pretrained(folder / "image_encoder")
        return PrefixCaptioner(network, encoder, tokenizer_files.load(folder / "tokenizer")).eval()
    except (OSError, ValueError, AttributeError) as error:
        line = str(error).partition("\n")[0]
        raise BadInput(f"{folder} is no captioner of ippo train autoregressive-captioner: {line}") from error
