"""Train a small CLIP on the user's captions and images (arXiv 2103.00020); it knows nothing about diffusion.

Its tokenizer and text encoder condition the teacher. Shapes: `N` batch, `H W` pixels, `S` tokens, `D` width.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from tokenizers import Tokenizer, pre_tokenizers, trainers
from tokenizers.normalizers import Normalizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTokenizer, CLIPVisionConfig, PreTrainedTokenizerFast

from base.config import Config
from base.errors import BadInput
from base.files import atomic_folder
from base.runs import data_folder
from data.imagefolder import ImageFolder
from models import tokenizer_files
from models.from_config import fresh
from models.pixel_tensors import from_uint8
from models.prompt_ids import beyond
from training import spelling
from training.augment import shift
from training.captions import Captions
from training.run.draws import Draws
from training.run.loop_config import LoopConfig
from training.run.method import Losses, Method, Phase
from training.run.optimizer import OptimizerConfig


class ClipConfig(Config):
    """`ippo train clip`."""

    run: str
    """Name of the run."""
    data: str
    """Folder or name of the image set."""
    captions: list[str] = ["text"]
    """Caption columns; each sample draws one."""
    merges: int = Field(default=1000, ge=0)
    """Byte pairs that the tokenizer learns."""
    length: int = Field(default=24, ge=3)
    """Tokens of a caption, start and end included."""
    spelling: Literal["forgiving", "exact"] = "forgiving"
    """forgiving: articles, plurals, accents, hyphens, punctuation, emoji for names make no difference; exact: as CLIP reads."""
    text: dict[str, Any]
    """Keyword arguments of transformers' `CLIPTextConfig`; vocabulary and length are filled in."""
    vision: dict[str, Any]
    """Keyword arguments of transformers' `CLIPVisionConfig`."""
    dimension: int = 128
    """Width of the common space."""
    loop: LoopConfig
    optimizer: OptimizerConfig


class ClipMethod(Method):
    """Contrast captions with images; samples that share a caption are positives of each other."""

    score_name = "the contrastive loss"
    averaged: Sequence[str] = ("clip",)

    def __init__(self, config: ClipConfig) -> None:
        torch.manual_seed(config.loop.seed)
        self.config = config
        self.train_images = ImageFolder(data_folder(config.data), "train").of_one_size()
        self.held_out = ImageFolder(data_folder(config.data), "validation").of_one_size()
        columns = [self.train_images.captions(column) for column in config.captions]
        self.spelling = learn_spelling(self.train_images, columns) if config.spelling == "forgiving" else None
        texts = [text for column in columns for text in column]
        self.tokenizer = learn_tokenizer(
            texts, config.merges, config.length, self.spelling.normalizer if self.spelling else None
        )
        self.clip = fresh(lambda: CLIPModel(clip_config(config, self.tokenizer)), "text and vision", {})
        (height, width), side = self.train_images.shape, int(self.clip.config.vision_config.image_size)
        if (height, width) != (side, side):
            raise BadInput(f"vision.image_size is {side}, pictures of {self.train_images.name} are {width}x{height}")
        self.modules: Mapping[str, nn.Module] = {"clip": self.clip}
        self.captions = Captions(self.train_images, config.captions, self._tokenize)
        self.held_out_captions = Captions(self.held_out, config.captions, self._tokenize)
        self.scored = self.captions.scored(self.held_out_captions, 500)
        self.scored_on = self.scored.said
        self.size = len(self.train_images)

    def notes(self) -> Sequence[str]:
        """Captions that are cut, and those of different things that the tokenizer reads alike."""
        lines = self.captions.cut(lambda texts: beyond(self.tokenizer, texts))
        if self.spelling and self.spelling.equal:
            pairs = self.spelling.equal
            example = " and ".join(f"'{text}'" for text in pairs[0])
            lines.append(
                f"{len(pairs)} pairs of captions are read alike, such as {example}; spelling=exact keeps them apart"
            )
        return lines

    def phases(self, steps: int) -> Sequence[Phase]:
        """One phase: contrast."""
        return [Phase("clip", list(self.clip.parameters()), self.config.optimizer, self.contrast)]

    def contrast(self, indices: list[int], draws: Draws) -> Losses:
        """Symmetric cross-entropy over the batch, the target spread over equal captions."""
        images = shift(from_uint8(self.train_images.images(indices)).to(draws.device), draws, 3)
        ids = self.captions.draw(indices, draws)
        logits = self.clip(input_ids=ids, pixel_values=images).logits_per_text  # (N, N)
        return {"total": contrastive(logits, equal(ids))}

    def validate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """How often a caption finds its own image (or one of equal caption) among all of them."""
        clip, rows = averages["clip"], self.scored
        device = next(clip.parameters()).device
        pixels = np.concatenate([self.held_out.images(rows.held_out), self.train_images.images(rows.train)])
        images = from_uint8(pixels).to(device)
        ids = torch.cat([self.held_out_captions.ids[rows.held_out, 0], self.captions.ids[rows.train, 0]]).to(device)
        logits = clip(input_ids=ids, pixel_values=images).logits_per_text.float()
        same = equal(ids)
        retrieval = same[torch.arange(len(ids), device=device), logits.argmax(dim=1)].float().mean()
        return {"score": float(contrastive(logits, same)), "retrieval": float(retrieval)}

    def samples(self, averages: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Similarity of the first M held-out captions and images as a grey picture `(8·M, 8·M, 3)` uint8."""
        clip = averages["clip"]
        images = from_uint8(self.held_out.images(list(range(min(len(self.held_out), 32)))))
        ids = self.held_out_captions.ids[: len(images), 0]
        device = next(clip.parameters()).device
        logits = clip(input_ids=ids.to(device), pixel_values=images.to(device)).logits_per_text.float()
        grey = (logits.softmax(dim=1) * 255).byte().cpu().numpy()
        return np.repeat(np.kron(grey, np.ones((8, 8), np.uint8))[..., None], 3, axis=2)

    def save(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        """A transformers CLIP folder with its tokenizer."""
        with atomic_folder(folder) as hidden:
            cast(CLIPModel, averages["clip"]).save_pretrained(hidden, safe_serialization=True)
            tokenizer_files.save(self.tokenizer, hidden)

    def _tokenize(self, texts: Sequence[str]) -> Tensor:
        encoded = self.tokenizer(
            list(texts), padding="max_length", max_length=self.config.length, truncation=True, return_tensors="pt"
        )
        return cast(Tensor, encoded["input_ids"])


def equal(ids: Tensor) -> Tensor:
    """Which captions are the same `(N, N)`, of ids `(N, S)`."""
    return (ids[:, None] == ids[None, :]).all(dim=-1)


def contrastive(logits: Tensor, same: Tensor) -> Tensor:
    """CLIP's loss (arXiv 2103.00020, figure 3) on logits `(N, N)`, where all that are the `same (N, N)` are positives."""
    target = same.float() / same.float().sum(dim=1, keepdim=True)
    logits = logits.float()
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


def learn_tokenizer(
    texts: Iterable[str], merges: int, length: int, normalizer: Normalizer | None = None
) -> PreTrainedTokenizerFast:
    """CLIP's byte-level BPE over `texts`: every byte is known, so no text is unknown; the end token has the last id.

    `normalizer`: in place of CLIP's own, which looks at capitals and white space alone.
    """
    learner: Tokenizer = CLIPTokenizer().backend_tokenizer
    learner.normalizer = normalizer or learner.normalizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + merges, end_of_word_suffix="</w>", initial_alphabet=alphabet, show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    learned = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]][:merges]
    words = [*alphabet, *(byte + "</w>" for byte in alphabet), *dict.fromkeys("".join(pair) for pair in learned)]
    vocabulary = {word: index for index, word in enumerate([*dict.fromkeys(words), "<|startoftext|>", "<|endoftext|>"])}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=learned, model_max_length=length)
    return tokenizer if normalizer is None else tokenizer_files.with_normalizer(tokenizer, normalizer)


def learn_spelling(images: ImageFolder, columns: Sequence[Sequence[str]]) -> spelling.Spelling:
    """The spelling of a set's caption columns, with the emoji characters that it has."""
    named = spelling.EMOJI_COLUMN in images.columns
    return spelling.learn(columns, images.captions(spelling.EMOJI_COLUMN) if named else ())


def text_config(tokenizer: PreTrainedTokenizerFast, length: int, given: Mapping[str, Any]) -> CLIPTextConfig:
    """What is `given` with vocabulary, length and special tokens filled in."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **given,
    )


def clip_config(config: ClipConfig, tokenizer: PreTrainedTokenizerFast) -> CLIPConfig:
    """Both towers' configuration with vocabulary, length and special tokens filled in."""
    text = text_config(tokenizer, config.length, {"projection_dim": config.dimension, **config.text})
    vision = CLIPVisionConfig(projection_dim=config.dimension, **config.vision)
    return CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=config.dimension)


CONFIG, METHOD = ClipConfig, ClipMethod
