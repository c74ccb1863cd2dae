"""A small denoiser of token embeddings, and tokens ↔ embeddings as its autoencoder; it knows nothing about its training.

Gaussian noise on token embeddings; the network predicts x0 as `softmax(logits)·E` and is trained by cross-entropy (CDCD, arXiv
2211.15089). Shapes: `N` batch, `S` tokens, `C` channels of an embedding, `V` vocabulary, `W` width, `D` width of the context.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedTokenizerFast

from base.errors import BadInput
from base.typeface import font
from models.architecture import Architecture, hooked
from models.conditioning import Conditioning
from models.detokenizer import joined_words
from models.parts import Autoencoder

CONTEXT_TOKENS = 9
"""Tokens of an example's context: the kind of caption, and those of a picture."""


@dataclass(frozen=True)
class WriterOutput:
    """x0 as diffusers calls a denoiser's output, and the logits that it is the mean of."""

    sample: Tensor  # (N, C, 1, S)
    logits: Tensor  # (N, S, V)


class Writer(ModelMixin, ConfigMixin):
    """A transformer over S noisy token embeddings that attends to a context: diffusers' blocks, time added to every token."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        vocabulary: int,
        length: int = 24,
        channels: int = 24,
        width: int = 128,
        layers: int = 6,
        heads: int = 4,
        context_width: int = 128,
    ) -> None:
        super().__init__()
        table = functional.normalize(torch.randn(vocabulary, channels), dim=1) * channels**0.5  # unit variance
        self.embedding: Tensor
        self.register_buffer("embedding", table)  # (V, C), fixed
        self.start = nn.Linear(channels, width)
        self.position = nn.Parameter(0.02 * torch.randn(length, width))
        self.waves, self.time = Timesteps(width, True, 0.0), TimestepEmbedding(width, width)
        self.blocks = nn.ModuleList(
            [
                BasicTransformerBlock(width, heads, width // heads, cross_attention_dim=context_width)
                for _ in range(layers)
            ]
        )
        self.norm, self.logits = nn.LayerNorm(width), nn.Linear(width, vocabulary)
        self.checkpointing = False

    def forward(self, sample: Tensor, timestep: Tensor | int, encoder_hidden_states: Tensor) -> WriterOutput:
        """Noisy embeddings `(N, C, 1, S)` at timesteps `()` or `(N,)`, context `(N, T, D)` → x0 `(N, C, 1, S)` and logits."""
        hidden = self.hidden(sample, timestep, encoder_hidden_states)[-1]
        logits = self.logits(self.norm(hidden))
        x0 = logits.float().softmax(dim=-1).to(logits.dtype) @ self.embedding.to(logits.dtype)  # (N, S, C)
        return WriterOutput(x0.mT[:, :, None], logits)

    def hidden(self, sample: Tensor, timestep: Tensor | int, encoder_hidden_states: Tensor) -> list[Tensor]:
        """What `forward` takes → the states `(N, S, W)` after every block."""
        times = torch.as_tensor(timestep, device=sample.device).reshape(-1).expand(sample.shape[0])
        moment = self.time(self.waves(times).to(self.position.dtype))[:, None]  # (N, 1, W)
        states = [self.start(sample[:, :, 0].mT) + self.position + moment]
        for block in self.blocks:
            arguments = (states[-1], None, encoder_hidden_states)
            states.append(
                checkpoint(block, *arguments, use_reentrant=False) if self.checkpointing else block(*arguments)
            )
        return states[1:]

    def tokens(self, latents: Tensor) -> Tensor:
        """The token ids `(N, S)` whose embeddings are nearest to latents `(N, C, 1, S)`."""
        return nearest_tokens(latents, self.embedding)


def nearest_tokens(latents: Tensor, embedding: Tensor) -> Tensor:
    """Latents `(N, C, 1, S)`, embeddings `(V, C)` of one length → ids `(N, S)` int64."""
    return (latents[:, :, 0].mT @ embedding.T.to(latents.dtype)).argmax(dim=-1)


def texts_of(tokenizer: PreTrainedTokenizerFast, ids: NDArray[np.int64]) -> list[str]:
    """Ids `(N, S)` → N captions up to their end, without special tokens."""
    end = tokenizer.eos_token_id
    rows = [row[: row.index(end)] if end in row else row for row in ids.tolist()]
    written = cast("list[str]", tokenizer.batch_decode(rows, skip_special_tokens=True))
    return [joined_words(text) for text in written]  # of which CLIP's own class has put blanks for ends already


class TokenAutoencoder(Autoencoder):
    """Token ids ↔ their embeddings in a `Writer`'s table, which has no weights of its own."""

    scaling_factor = 1.0

    def __init__(self, writer: Writer, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__()
        self.embedding: Tensor
        self.register_buffer("embedding", writer.embedding.clone(), persistent=False)  # (V, C)
        self.tokenizer = tokenizer

    def to_latents(self, images: Tensor) -> Tensor:
        """Ids `(N, S)` → embeddings `(N, C, 1, S)`."""
        return self.embedding[images].mT[:, :, None].contiguous()

    def from_latents(self, latents: Tensor) -> Tensor:
        """Embeddings `(N, C, 1, S)`, exact or near → ids `(N, S)` int64."""
        return nearest_tokens(latents, self.embedding)

    def output(self, latents: Tensor) -> NDArray[np.int64]:
        """Embeddings `(N, C, 1, S)` → ids `(N, S)` on the host."""
        return cast("NDArray[np.int64]", self.decode(latents).cpu().numpy())

    def texts(self, ids: NDArray[np.int64]) -> list[str]:
        """Ids `(N, S)` → N captions up to their end, without special tokens."""
        return texts_of(self.tokenizer, ids)

    def picture(self, latents: Tensor) -> NDArray[np.uint8]:
        """Embeddings `(N, C, 1, S)` → the captions as pictures of text `(N, 24, 256, 3)`."""
        return np.stack([written(text) for text in self.texts(self.output(latents))])


def written(text: str) -> NDArray[np.uint8]:
    """Black on white `(24, 256, 3)`."""
    canvas = Image.new("RGB", (256, 24), "white")
    ImageDraw.Draw(canvas).text((4, 4), text, fill="black", font=font(11))
    return np.asarray(canvas)


class WriterArchitecture:
    """The inside of a `Writer`; its methods are those of `models.architecture.Architecture`."""

    side_multiple = 1

    def __init__(self, writer: Writer) -> None:
        self.writer, self.config = writer, cast(Mapping[str, Any], writer.config)
        self.widths = (int(self.config["width"]),) * int(self.config["layers"])
        self.feature_channels = self.widths
        keys = ("vocabulary", "length", "channels", "context_width")
        self.interface = {key: self.config[key] for key in keys}

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """`(C, 1, S)`."""
        return int(self.config["channels"]), 1, int(self.config["length"])

    @property
    def text_width(self) -> int:
        """D, the width of `encoder_hidden_states` `(N, T, D)`."""
        return int(self.config["context_width"])

    def feature_maps(self, sample: Tensor, timesteps: Tensor, conditioning: Conditioning) -> list[Tensor]:
        """Maps `(N, W, 1, S)` after every block."""
        assert conditioning.encoder_hidden_states is not None
        states = self.writer.hidden(sample, timesteps, conditioning.encoder_hidden_states)
        return [state.mT[:, :, None] for state in states]

    def stage_maps(self) -> AbstractContextManager[dict[str, Tensor]]:
        """Block's number → map `(N, W, 1, S)` at its end."""
        maps: dict[str, Tensor] = {}

        def into(name: str) -> Any:
            def store(block: nn.Module, inputs: Any, output: Tensor) -> None:
                maps[name] = output.mT[:, :, None]

            return store

        blocks = enumerate(self.writer.blocks)
        hooks = [block.register_forward_hook(into(f"block {index}")) for index, block in blocks]
        return hooked(maps, hooks)

    def last_weight(self) -> nn.Parameter:
        """The weights of the logits `(V, W)`."""
        return cast(nn.Parameter, self.writer.logits.weight)

    def error(self, output: Any, prediction: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy `(N,)` of the logits against the tokens nearest to `target` `(N, C, 1, S)`."""
        ids = self.writer.tokens(target)
        return functional.cross_entropy(output.logits.float().mT, ids, reduction="none").mean(dim=1)

    def example_inputs(self, batch: int) -> tuple[Tensor, Conditioning]:
        """Zeros: a sample `(batch, C, 1, S)` and its context `(batch, T, D)`."""
        context = torch.zeros(batch, CONTEXT_TOKENS, self.text_width)
        return torch.zeros(batch, *self.latent_shape), Conditioning(encoder_hidden_states=context)

    def reduced(self, changes: Mapping[str, Any] | str) -> nn.Module:
        """An equal copy, or one of the first `layers` blocks alone. BadInput: any other change."""
        smaller = copy.deepcopy(self.writer)
        if not changes:
            return smaller
        layers = changes.get("layers") if isinstance(changes, Mapping) and set(changes) == {"layers"} else None
        if not isinstance(layers, int) or not 1 <= layers <= len(smaller.blocks):
            raise BadInput(f"reduce: {changes} is nothing for a writer; accepted: layers, 1 to {len(smaller.blocks)}")
        smaller.blocks = smaller.blocks[:layers]
        smaller.register_to_config(layers=layers)
        return smaller

    def fresh(self) -> nn.Module:
        """Another of the same configuration, with random weights but the same table."""
        other = make(self.config)
        other.embedding.copy_(self.writer.embedding)
        return other

    def checkpoint_activations(self) -> None:
        """Compute each block again in the backward pass."""
        self.writer.checkpointing = True

    def use_plain_attention(self) -> None:
        """diffusers' `AttnProcessor`, the one without torch's fused kernels."""
        for block in cast(Any, self.writer.blocks):
            block.attn1.set_processor(AttnProcessor())
            block.attn2.set_processor(AttnProcessor())


def view(writer: Writer) -> Architecture:
    """The inside of a writer."""
    return WriterArchitecture(writer)


def make(config: Mapping[str, Any]) -> Writer:
    """One with random weights."""
    return cast(Writer, Writer.from_config(dict(config)))
