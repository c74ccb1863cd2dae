"""Train encoders of prompts and of pictures into one space, where a picture is content tokens and style tokens.

A small CLIP (arXiv 2103.00020) with two pools: text and picture attract each other, content tokens attract those of the same
thing in another style, and style tokens the direction that their style has learnt: styles are few, and pairs of them among
a batch's pictures taught nothing. It knows nothing about diffusion.
Shapes: `N` batch, `K` styles, `S` tokens, `T` tokens of a picture, `D` width, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from base.config import Config
from base.files import atomic_folder
from base.runs import data_folder
from data.imagefolder import ImageFolder
from models import tokenizer_files
from models.context_encoder import ContextEncoder
from models.pixel_tensors import from_uint8
from models.prompt_ids import tokenized
from models.stable_diffusion import name_as_released
from training.captions import Captions
from training.clip import contrastive, equal, learn_spelling, learn_tokenizer, text_config
from training.run.draws import Draws
from training.run.loop_config import LoopConfig
from training.run.method import Losses, Method, Phase
from training.run.optimizer import OptimizerConfig
from training.subsets import evenly, split

_NEAREST = 2000
"""Training pictures, at most, of which a held-out one's nearest is sought."""


class ContextClipConfig(Config):
    """`ippo train context-clip`."""

    run: str
    """Name of the run."""
    data: str
    """Folder or name of the image set."""
    captions: list[str] = ["text"]
    """Caption columns; each sample draws one."""
    content: list[str] = ["emoji", "ground"]
    """Columns that together say what content is the same."""
    style: str = "style"
    """Column that says what style is the same."""
    merges: int = Field(default=1000, ge=0)
    """Byte pairs that the tokenizer learns."""
    length: int = Field(default=24, ge=3)
    """Tokens of a caption, start and end included."""
    spelling: Literal["forgiving", "exact"] = "exact"
    """How prompts are read, as `ippo train clip` has it; captions are written as they stand in either case."""
    text: dict[str, Any]
    """Keyword arguments of transformers' `CLIPTextConfig`; vocabulary and length are filled in."""
    vision: dict[str, Any]
    """Keyword arguments of transformers' `CLIPVisionConfig`."""
    tokens: int = 4
    """Content tokens of a picture, and as many style tokens."""
    loop: LoopConfig
    optimizer: OptimizerConfig


class ContextClip(nn.Module):
    """Both encoders, and the projections by which they are compared, which nobody needs later."""

    def __init__(self, text_encoder: CLIPTextModel, image_encoder: ContextEncoder, styles: int) -> None:
        super().__init__()
        self.text_encoder, self.image_encoder = text_encoder, image_encoder
        width = image_encoder.width
        self.of_text, self.of_content, self.of_style = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.styles = nn.Parameter(torch.randn(styles, width))
        self.scale = nn.Parameter(torch.tensor(2.0))

    def texts(self, ids: Tensor) -> Tensor:
        """Ids `(N, S)` → directions `(N, D)`."""
        return functional.normalize(self.of_text(self.text_encoder(ids).pooler_output), dim=1)

    def pictures(self, images: Tensor) -> dict[str, Tensor]:
        """Images `(N, 3, H, W)` → directions `(N, D)` of `content`, `style` and both together, the `whole`."""
        tokens = self.image_encoder(images)
        half = tokens.shape[1] // 2
        content = self.of_content(tokens[:, :half].mean(dim=1))
        style = self.of_style(tokens[:, half:].mean(dim=1))
        named = {"content": content, "style": style, "whole": content + style}
        return {name: functional.normalize(value, dim=1) for name, value in named.items()}


class ContextClipMethod(Method):
    """Contrast captions with pictures, content with content, style with style."""

    averaged: Sequence[str] = ("clip",)

    def __init__(self, config: ContextClipConfig) -> None:
        torch.manual_seed(config.loop.seed)
        self.config = config
        source = data_folder(config.data)
        self.train_images, self.held_out = (
            ImageFolder(source, split).of_one_size() for split in ("train", "validation")
        )
        self.tokenizer = _tokenizer(config, self.train_images)
        self.content, self.style = (_labels(self.train_images, columns) for columns in (config.content, [config.style]))
        self.clip = ContextClip(*encoders(config, self.tokenizer), styles=int(self.style.max()) + 1)
        self.modules: Mapping[str, nn.Module] = {"clip": self.clip}

        def tokenize(texts: Sequence[Any]) -> Tensor:
            return tokenized(self.tokenizer, texts)

        self.captions = Captions(self.train_images, config.captions, tokenize)
        self.held_out_captions = Captions(self.held_out, config.captions, tokenize)
        self.size = len(self.train_images)

    def phases(self, steps: int) -> Sequence[Phase]:
        """One phase: contrast."""
        return [Phase("clip", list(self.clip.parameters()), self.config.optimizer, self.contrast)]

    def contrast(self, indices: list[int], draws: Draws) -> Losses:
        """Each picture beside its caption, another of the same content, and its style."""
        every = [*indices, *self._partners(indices, draws)]
        given = self.clip.pictures(from_uint8(self.train_images.images(every)).to(draws.device))
        ids, scale = self.captions.draw(indices, draws), self.clip.scale.exp().clamp(max=50)
        count, content = len(indices), self.content[indices].to(draws.device)
        losses = {
            "text": contrastive(scale * self.clip.texts(ids) @ given["whole"][:count].T, equal(ids)),
            "content": contrastive(
                scale * given["content"][:count] @ given["content"][count:].T, content[:, None] == content[None, :]
            ),
            "style": functional.cross_entropy(
                scale * given["style"] @ functional.normalize(self.clip.styles, dim=1).T,
                self.style[every].to(draws.device),
            ),
        }
        return {"total": torch.stack(list(losses.values())).sum(), **losses}

    def _partners(self, indices: Sequence[int], draws: Draws) -> list[int]:
        """For each sample another of its content, where there is one."""
        labels = self.content
        number = draws.uniform().cpu()
        partners = []
        for index, share in zip(indices, number, strict=True):
            group = (labels == labels[index]).nonzero().flatten()
            group = group[group != index] if len(group) > 1 else group
            partners.append(int(group[int(share * len(group))]))
        return partners

    def validate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """How often a held-out caption finds its picture, and a picture the nearest of its content or style in training."""
        clip, device = cast(ContextClip, averages["clip"]), self._device(averages)
        count = min(len(self.held_out), 300)
        given = clip.pictures(from_uint8(self.held_out.images(list(range(count)))).to(device))
        ids = self.held_out_captions.ids[:count, 0].to(device)
        logits = clip.scale.exp() * clip.texts(ids) @ given["whole"].T
        same = equal(ids)
        found = same[torch.arange(count, device=device), logits.argmax(dim=1)].float().mean()
        figures = {"score": float(contrastive(logits, same)), "retrieval": float(found)}
        known = evenly(self.size, _NEAREST)
        batches = split(len(known), (3, *self.train_images.shape), 256)
        of_batches = [clip.pictures(self._pixels([known[i] for i in batch.tolist()], device)) for batch in batches]
        trained = {name: torch.cat([part[name] for part in of_batches]) for name in ("content", "style")}
        for name, columns in (("content", self.config.content), ("style", [self.config.style])):
            words = ["/".join(row) for row in _words(self.train_images, columns)]
            own = ["/".join(row) for row in _words(self.held_out, columns)][:count]
            nearest = (given[name] @ trained[name].T).argmax(dim=1).tolist()
            there = {words[index] for index in known}
            right = [words[known[i]] == word for i, word in zip(nearest, own, strict=True) if word in there]
            figures[name] = float(np.mean(right)) if right else 0.0
        return figures

    def samples(self, averages: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Similarity of the first M held-out captions and pictures, grey: `(8·M, 8·M, 3)`."""
        clip, device = cast(ContextClip, averages["clip"]), self._device(averages)
        count = min(len(self.held_out), 32)
        given = clip.pictures(from_uint8(self.held_out.images(list(range(count)))).to(device))
        logits = clip.scale.exp() * clip.texts(self.held_out_captions.ids[:count, 0].to(device)) @ given["whole"].T
        grey = (logits.float().softmax(dim=1) * 255).byte().cpu().numpy()
        return np.repeat(np.kron(grey, np.ones((8, 8), np.uint8))[..., None], 3, axis=2)

    def save(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        """`text_encoder`, `tokenizer` and `image_encoder`, as a versatile folder holds them."""
        clip = cast(Any, averages["clip"])
        with atomic_folder(folder) as hidden:
            clip.text_encoder.save_pretrained(hidden / "text_encoder")
            name_as_released(hidden / "text_encoder" / "model.safetensors")
            clip.image_encoder.save_pretrained(hidden / "image_encoder")
            tokenizer_files.save(self.tokenizer, hidden / "tokenizer")

    def _pixels(self, indices: list[int], device: torch.device) -> Tensor:
        return from_uint8(self.train_images.images(indices)).to(device)

    def _device(self, averages: Mapping[str, nn.Module]) -> torch.device:
        return next(averages["clip"].parameters()).device


def encoders(config: ContextClipConfig, tokenizer: PreTrainedTokenizerFast) -> tuple[CLIPTextModel, ContextEncoder]:
    """Fresh encoders of one width."""
    text = text_config(tokenizer, config.length, config.text)
    return CLIPTextModel(text), ContextEncoder(vision=config.vision, width=text.hidden_size, pool_tokens=config.tokens)


def _tokenizer(config: ContextClipConfig, images: ImageFolder) -> PreTrainedTokenizerFast:
    """One vocabulary for prompts, which are read forgivingly where that is chosen, and for captions as they are written."""
    columns = [images.captions(column) for column in config.captions]
    texts = [text for column in columns for text in column]
    if config.spelling == "exact":
        return learn_tokenizer(texts, config.merges, config.length)
    normalizer = learn_spelling(images, columns).normalizer
    both = [*map(normalizer.normalize_str, texts), *texts]
    return tokenizer_files.with_normalizer(learn_tokenizer(both, config.merges, config.length), normalizer)


def _words(images: ImageFolder, columns: Sequence[str]) -> list[tuple[str, ...]]:
    return list(zip(*(images.captions(column) for column in columns), strict=True))


def _labels(images: ImageFolder, columns: Sequence[str]) -> Tensor:
    """Equal numbers `(M,)` for equal values of the columns."""
    words = _words(images, columns)
    numbers = {word: index for index, word in enumerate(dict.fromkeys(words))}
    return torch.tensor([numbers[word] for word in words])


CONFIG, METHOD = ContextClipConfig, ContextClipMethod
