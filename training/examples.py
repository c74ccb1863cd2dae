"""What a flow is trained on: its inputs as rows and its targets as latents, by what goes into its task and what comes out.

It knows nothing about losses. Shapes: `M` samples, `N` batch, `C` channels, `h w` latent, `S` tokens, `R` length of a row, `K`
choices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from base.errors import BadInput
from data.imagefolder import ImageFolder
from models import tokenizer_files
from models.labels import Input, Seen
from models.optimus import OptimusAutoencoder
from models.pipeline import Pipeline
from models.prompt_ids import beyond as beyond_length
from models.prompt_ids import tokenized
from models.task import task_of
from models.versatile_diffusion import SeenConditioner
from models.wish_conditioner import WishConditioner
from models.writer import TokenAutoencoder
from training import latents
from training.captions import Captions
from training.context_choice import ContextChoice, ContextsConfig, OwnContexts
from training.contexts import Contexts
from training.latents import Latents
from training.picture_tokens import picture_tokens
from training.run.draws import Draws, Shares
from training.scored import Scored, scored_rows


@dataclass(frozen=True)
class Examples:
    """One split of an image set, as one flow sees it."""

    rows: Captions
    latents: Callable[[], Latents]
    """Targets; images are encoded when they are first asked for."""

    def __len__(self) -> int:
        return len(self.rows.ids)


SEEN = ContextsConfig(caption=0, cross=0, variation=1, styled=0, edit=0)
"""What captions are written from where nothing is said: the pictures alone."""


class Said(Contexts):
    """Captions, each with what it is written from: every caption is a sample."""

    def shares(self, balance: float | None, weights: bool) -> Shares:
        """Every sample is drawn equally often."""
        return None

    def scored(self, held_out: Captions, most: int) -> Scored:
        """Held-out rows, `most` of them."""
        return scored_rows([True] * len(held_out.ids), len(self.ids), most)


class Asked(Captions):
    """Pictures with the kind of caption that is asked for: each kind of each picture is a sample, told or as any.

    Rows are `(M, 2, R)`, picture by picture.
    """

    def __init__(
        self, images: ImageFolder, conditioner: SeenConditioner, reads: PreTrainedTokenizerFast, said: Sequence[str]
    ) -> None:
        """`said`: what is right of each sample, which `reads` turns into ids."""
        self.reads, self.said = reads, said
        self.embeds, names = picture_tokens(conditioner.image_encoder, images), conditioner.columns.names
        kinds = torch.arange(len(names)).repeat(len(images))
        pictures = self.embeds.repeat_interleave(len(names), dim=0)
        told, anyhow = (conditioner.pack(pictures, kind) for kind in (kinds, torch.full_like(kinds, len(names))))
        self.ids = torch.stack([told, anyhow], dim=1)
        tokens = self.embeds.numpy()
        self.texts = [[Seen(picture, name) for picture in tokens for name in names]]

    @property
    def tokens(self) -> int:
        """S, of a caption."""
        return self.reads.model_max_length

    def cut(self, beyond: Callable[[Sequence[Any]], list[str]]) -> list[str]:
        """A line on captions whose end is never learnt."""
        return self._cut(self.said, lambda texts: beyond_length(self.reads, texts))

    def shares(self, balance: float | None, weights: bool) -> Shares:
        """Every sample is drawn equally often."""
        return None

    def scored(self, held_out: Captions, most: int) -> Scored:
        """Held-out rows, `most` of them."""
        return scored_rows([True] * len(held_out.ids), len(self.ids), most)

    def draw(self, indices: Sequence[int], draws: Draws) -> Tensor:
        """Rows `(N, R)`, one of four as any kind."""
        anyhow = (draws.uniform() < 0.25).long().cpu()
        return self.ids[torch.as_tensor(indices), anyhow].to(draws.device)


def examples(
    pipeline: Pipeline, images: ImageFolder, columns: Sequence[str], config: ContextsConfig | None = None
) -> Examples:
    """One split as the pipeline's task takes and gives it. BadInput: a column that is not there, inputs of another kind."""
    task = task_of(pipeline)
    if task.output == "text":
        return _said(pipeline, images, columns, config) if task.tokenized else _captions(pipeline, images)
    if task.images:
        conditioner = cast(WishConditioner, pipeline.conditioner)
        choice = ContextChoice(images, columns, config or ContextsConfig())
        rows: Captions = Contexts(choice, images, conditioner)
    else:
        rows = Captions(images, columns, pipeline.conditioner.tokenize)
    return Examples(rows, lambda: latents.of(pipeline, images))


def said(images: ImageFolder, columns: Sequence[str]) -> list[list[str]]:
    """The captions of each column, as what is to be written. BadInput: no such column, or rows in which it says nothing."""
    found = {column: images.captions(column) for column in columns}
    for column, texts in found.items():
        if empty := sum(not text.strip() for text in texts):
            raise BadInput(
                f"column '{column}' of {images.name} says nothing in {empty} of {len(texts)} rows; accepted: text in each"
            )
    return list(found.values())


def look(pipeline: Pipeline, images: ImageFolder, columns: Sequence[str], config: ContextsConfig | None = None) -> None:
    """BadInput: what `examples` or its latents would refuse, without a picture's being shown to any network."""
    task = task_of(pipeline)
    if task.output == "text" and not task.tokenized:
        _written(pipeline, images)
    elif task.output == "text":
        OwnContexts(images, columns, config or SEEN)
    elif task.images:
        ContextChoice(images, columns, config or ContextsConfig())
    else:
        Captions(images, columns, pipeline.conditioner.tokenize)
    if task.output == "image":
        latents.look(pipeline, images)


def _said(pipeline: Pipeline, images: ImageFolder, columns: Sequence[str], config: ContextsConfig | None) -> Examples:
    """Pictures and texts → the captions of these columns, as the autoencoder of texts reads them."""
    choice = OwnContexts(images, columns, config or SEEN)
    rows = Said(choice, images, cast(WishConditioner, pipeline.conditioner))
    words = cast(OptimusAutoencoder, pipeline.autoencoder)
    return Examples(rows, lambda: Latents.alike(latents.of_texts(words, words.read(choice.said))))


def _written(pipeline: Pipeline, images: ImageFolder) -> list[list[str]]:
    """The captions in each column that the writer knows. BadInput: a lacking one."""
    return said(images, cast(SeenConditioner, pipeline.conditioner).columns.names)


def _captions(pipeline: Pipeline, images: ImageFolder) -> Examples:
    """Pictures → the captions in the columns that the writer knows. BadInput: as `_written`."""
    columns = _written(pipeline, images)
    conditioner, words = cast(SeenConditioner, pipeline.conditioner), cast(TokenAutoencoder, pipeline.autoencoder)
    texts = [column[index] for index in range(len(images)) for column in columns]
    reads = tokenizer_files.as_written(words.tokenizer)
    ids = tokenized(reads, cast("list[Input]", texts))
    return Examples(
        Asked(images, conditioner, reads, texts),
        lambda: Latents.alike(words.encode(ids.to(words.embedding.device)).cpu()),
    )
