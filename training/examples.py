"""What a flow is trained on: its inputs as rows and its targets as latents, by what goes into its task and what comes out.

It knows nothing about losses. Shapes: `M` samples, `N` batch, `C` channels, `h w` latent, `S` tokens, `R` length of a row, `K`
choices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from base.errors import BadInput
from data.imagefolder import ImageFolder
from models import tokenizer_files
from models.labels import Input, Seen
from models.pipeline import Pipeline
from models.stable_diffusion import tokenized
from models.task import task_of
from models.versatile_diffusion import SeenConditioner, WishConditioner
from models.writer import TokenAutoencoder
from training import contexts, latents
from training.captions import Captions
from training.contexts import Contexts, ContextsConfig
from training.latents import Latents
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


class Asked(Captions):
    """Pictures with the kind of caption that is asked for: each kind of each picture is a sample, told or as any.

    Rows are `(M, 2, R)`, picture by picture.
    """

    def __init__(self, images: ImageFolder, conditioner: SeenConditioner) -> None:
        self.embeds, names = contexts.embeds(conditioner, images), conditioner.columns.names
        kinds = torch.arange(len(names)).repeat(len(images))
        pictures = self.embeds.repeat_interleave(len(names), dim=0)
        told, anyhow = (conditioner.pack(pictures, kind) for kind in (kinds, torch.full_like(kinds, len(names))))
        self.ids = torch.stack([told, anyhow], dim=1)
        tokens = self.embeds.numpy()
        self.texts = [[Seen(picture, name) for picture in tokens for name in names]]

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
        return _captions(pipeline, images)
    if task.images:
        conditioner = cast(WishConditioner, pipeline.conditioner)
        rows: Captions = Contexts(images, columns, config or ContextsConfig(), conditioner)
    else:
        rows = Captions(images, columns, pipeline.conditioner.tokenize)
    return Examples(rows, lambda: latents.of(pipeline, images))


def _captions(pipeline: Pipeline, images: ImageFolder) -> Examples:
    """Pictures → the captions in the columns that the writer knows. BadInput: a writer that is not trained here."""
    if not isinstance(pipeline.conditioner, SeenConditioner):
        raise BadInput("the text flow of a published Versatile Diffusion is not trained here; accepted: its image flow")
    conditioner, words = pipeline.conditioner, cast(TokenAutoencoder, pipeline.autoencoder)
    columns = [images.captions(name) for name in conditioner.columns.names]
    texts = [column[index] for index in range(len(images)) for column in columns]
    ids = tokenized(tokenizer_files.as_written(words.tokenizer), cast("list[Input]", texts))
    return Examples(
        Asked(images, conditioner), lambda: Latents.alike(words.encode(ids.to(words.embedding.device)).cpu())
    )
