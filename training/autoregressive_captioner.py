"""Train a captioner that writes token after token, as a baseline for flows that write; it knows nothing about diffusion.

Shapes: `N` batch, `M` samples, `S` tokens, `T` tokens of a picture, `D` width, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from base.config import Config
from base.files import atomic_folder
from base.runs import data_folder, trained
from data.imagefolder import ImageFolder
from models import prefix_captioner, tokenizer_files
from models.context_encoder import ContextEncoder
from models.prefix_captioner import PrefixCaptioner
from models.prompt_ids import tokenized
from models.writer import written
from training.examples import said
from training.picture_tokens import picture_tokens
from training.run.draws import Draws
from training.run.loop_config import LoopConfig
from training.run.method import Losses, Method, Phase
from training.run.optimizer import OptimizerConfig
from training.subsets import evenly

SCORED, SHOWN = 200, 12
"""Held-out pictures that a score is taken of, at most; those whose captions are shown."""


class AutoregressiveCaptionerConfig(Config):
    """`ippo train autoregressive-captioner`."""

    run: str
    """Name of the run."""
    data: str
    """Folder or name of the image set."""
    clip: str
    """Run or folder of `ippo train context-clip`, whose encoder sees the pictures, as the flows' does."""
    columns: list[str]
    """Kinds of caption, by the columns of the image set; each of each picture is a sample."""
    layers: int = 3
    """Blocks of the GPT-2."""
    heads: int = 4
    """Heads of its attention."""
    loop: LoopConfig
    optimizer: OptimizerConfig


class _Split:
    """Pictures' tokens `(M, T, D)`, their captions `(M, columns, S)` and the same as texts by column."""

    def __init__(self, captioner: PrefixCaptioner, images: ImageFolder) -> None:
        self.embeds = picture_tokens(captioner.image_encoder, images)
        self.texts = said(images, captioner.columns)
        reads = tokenizer_files.as_written(captioner.tokenizer)
        self.ids = torch.stack([tokenized(reads, list(texts)) for texts in self.texts], dim=1)


class AutoregressiveCaptionerMethod(Method):
    """Cross-entropy of each token of a caption behind its picture, its kind and the tokens before."""

    score_name = "the cross-entropy"
    averaged: Sequence[str] = ("captioner",)

    def __init__(self, config: AutoregressiveCaptionerConfig) -> None:
        torch.manual_seed(config.loop.seed)
        self.config, clip = config, trained(config.clip)
        source = data_folder(config.data)
        encoder = ContextEncoder.from_pretrained(clip / "image_encoder")
        tokenizer = tokenizer_files.load(clip / "tokenizer")
        self.captioner = prefix_captioner.build(encoder, tokenizer, config.columns, config.layers, config.heads)
        self.modules: Mapping[str, nn.Module] = {"captioner": self.captioner}
        self.train_split, self.held_out = (
            _Split(self.captioner, ImageFolder(source, name)) for name in ("train", "validation")
        )
        self.size = len(self.train_split.ids) * len(config.columns)

    def notes(self) -> Sequence[str]:
        """How large it is, to be compared with what it is compared to."""
        return [f"{self.captioner.parameter_count / 1e6:.2f} M parameters are trained"]

    def phases(self, steps: int) -> Sequence[Phase]:
        """One phase: the next token."""
        parameters = list(self.captioner.network.parameters())
        return [Phase("captioner", parameters, self.config.optimizer, self.next_tokens)]

    def next_tokens(self, indices: list[int], draws: Draws) -> Losses:
        """Cross-entropy of the samples at `indices`."""
        rows, kinds = self._rows(indices)
        split = self.train_split
        given = (split.embeds[rows], split.ids[rows, kinds], kinds)
        return {"total": self.captioner.losses(*(one.to(draws.device) for one in given)).mean()}

    @torch.no_grad()
    def validate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """Cross-entropy on held-out pictures, and how many of their captions it writes as they stand."""
        captioner, split = cast(PrefixCaptioner, averages["captioner"]), self.held_out
        rows = torch.tensor(evenly(len(split.ids), SCORED))
        kinds = torch.arange(len(rows)) % len(captioner.columns)
        device = captioner.network.device
        given = (split.embeds[rows], split.ids[rows, kinds], kinds)
        score = captioner.losses(*(one.to(device) for one in given)).mean()
        texts = captioner.write_behind(split.embeds[rows], kinds.tolist())
        right = [split.texts[kind][row] for row, kind in zip(rows.tolist(), kinds.tolist(), strict=True)]
        equal = [text.lower() == caption.lower() for text, caption in zip(texts, right, strict=True)]
        return {"score": float(score), "exact": float(np.mean(equal))}

    def samples(self, averages: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Captions of a few held-out pictures as a picture of text `(H, W, 3)`."""
        captioner = cast(PrefixCaptioner, averages["captioner"])
        rows = torch.tensor(evenly(len(self.held_out.ids), SHOWN))
        kinds = [index % len(captioner.columns) for index in range(len(rows))]
        return np.concatenate([written(text) for text in captioner.write_behind(self.held_out.embeds[rows], kinds)])

    def save(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        """A transformers folder with the encoder of pictures and the tokenizer."""
        with atomic_folder(folder) as hidden:
            cast(PrefixCaptioner, averages["captioner"]).save(hidden)

    def _rows(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Pictures `(N,)` and kinds of caption `(N,)` of samples."""
        samples = torch.tensor(indices)
        return samples // len(self.config.columns), samples % len(self.config.columns)


CONFIG, METHOD = AutoregressiveCaptionerConfig, AutoregressiveCaptionerMethod
