"""Versatile Diffusion as published (arXiv 2211.08332): its diffusers folder of 2022, over the classes of diffusers and CLIP.

Text, pictures or both → image; with Optimus beside it (`models/optimus.py`) text, pictures or both → text. It knows nothing
about training, graphs or serving. Shapes: `N` batch, `S` tokens, `T` tokens of two pictures, `D` width, `R` length of a row.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from base.errors import BadInput
from models import from_config, optimus, published_layout, save_published, tokenizer_files, weight_files
from models.architecture import architecture
from models.bases import Base
from models.clip_contexts import ClipPictureContext, ClipTextContext
from models.conditioning import Conditioning
from models.context_focus import focused
from models.labels import Input, Seen, Wish
from models.latent_autoencoder import latent_autoencoder
from models.picture_conditioner import PictureConditioner
from models.pipeline import Pipeline
from models.published_layout import KINDS, NETWORK, NULL_CAPTION, NULL_PICTURES, TEXT_SCHEDULER
from models.published_text_unet import PublishedTextUNet
from models.published_unet import IMAGE, TEXT, PublishedUNet
from models.scheduler_configs import base_scheduler
from models.tasks.image_text_to_image import ImageTextToImage
from models.tasks.image_text_to_text import ImageTextToText
from models.wish_conditioner import WishConditioner

TASK, WORDS = ImageTextToImage.name, ImageTextToText.name
WEIGHTS: dict[str, str | tuple[str, ...]] = {
    "conditioner": "text_encoder/model.safetensors",
    "denoiser": (f"{IMAGE}/{NETWORK}", f"{TEXT}/{NETWORK}"),
    "autoencoder": f"vae/{NETWORK}",
    "image_encoder": "image_encoder/model.safetensors",
}
"""Where the weights of each part lie in the folder; of several files the first holds what is in no folder's name."""
FLOWS = {
    TASK: WEIGHTS,
    WORDS: {
        **WEIGHTS,
        "denoiser": (f"{TEXT}/{NETWORK}", f"{IMAGE}/{NETWORK}"),
        "autoencoder": f"{optimus.FOLDER}/{NETWORK}",
    },
}
"""The same of every flow."""
SCHEDULERS = {WORDS: TEXT_SCHEDULER}
"""Flow → the folder of its schedule, where that is another than `scheduler/`."""


class PublishedConditioner(WishConditioner):
    """Prompt, content, style and mix → CLIP's tokens of all of them, in one space."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        text_encoder: ClipTextContext,
        image_encoder: ClipPictureContext,
        null_picture: str = "zeros",
    ) -> None:
        super().__init__(tokenizer, text_encoder, image_encoder)
        self.null_picture = null_picture

    def focused(self, picture: Any, first: int, last: int, focus: float) -> Tensor:
        """A picture's tokens `(T, D)`, `first` to `last`, towards content or style: they are local as they are."""
        return torch.from_numpy(focused(self.tokens(picture, first, last).numpy(), focus))

    def null_beside(self, null: Conditioning, conditioning: Conditioning) -> Conditioning:
        """The empty text and no picture, mixed as each sample `(N, …)` is: guidance of a mix is between both."""
        return replace(null, image_embeds=_no_picture(self, self.null_picture, conditioning), mix=conditioning.mix)


class PublishedSeenConditioner(PublishedConditioner):
    """A picture, a text or both → CLIP's tokens of them, which the text flow writes about."""

    def tokenize(self, inputs: Sequence[Input]) -> Tensor:
        """What is `Seen`, texts or wishes → rows `(N, R)` float32. BadInput: anything else, or a kind of caption."""
        return super().tokenize([_as_wish(one) for one in inputs])


def _as_wish(input: Input) -> Input:
    if isinstance(input, Seen) and input.column:
        raise BadInput(f"as '{input.column:.40}' is unknown; the published text flow knows no kinds of caption")
    return Wish(content=input.image) if isinstance(input, Seen) else input


def _no_picture(conditioner: PictureConditioner, name: str, conditioning: Conditioning) -> Tensor:
    """What stands for no picture, `(N, T, D)`."""
    pictures = torch.zeros_like(cast(Tensor, conditioning.image_embeds))
    if (shade := NULL_PICTURES[name]) is None:
        return pictures
    side = conditioner.image_encoder.side
    return pictures + conditioner.embed([np.full((side, side, 3), shade, np.uint8)]).to(pictures)


def check(name: str) -> Base:
    """What `name` is, after all that can be known without loading it. BadInput: no such folder, or not whole."""
    return published_layout.check(name)


def load(name: str) -> Pipeline:
    """Open a folder as published, or as `save` wrote it, in float32. BadInput, before anything loads: it is none."""
    base = check(name)
    text, vision = (base.network(part, KINDS[part]) for part in ("text_encoder", "image_encoder"))
    conditioner = PublishedConditioner(
        tokenizer_files.load(base.folder / "tokenizer"),
        ClipTextContext(text),
        ClipPictureContext(vision),
        published_layout.null_picture(base.folder),
    )
    unet, vae = published_layout.open_unet(base), base.network("vae", AutoencoderKL)
    scheduler = base_scheduler(base.scheduler(), name)
    image = Pipeline(TASK, conditioner, unet, latent_autoencoder(vae), scheduler, architecture(unet).latent_shape)
    if (base.folder / optimus.FOLDER).is_dir():
        image.siblings = (_text_flow(base, image),)
    else:
        why = f": {base.folder} has no {optimus.FOLDER}/, which ippo convert optimus writes"
        image.lacking = dict.fromkeys((WORDS, *ImageTextToText.covers), why)
    return image


def _text_flow(base: Base, image: Pipeline) -> Pipeline:
    """Pictures and texts → text, over the image flow's encoders and its transformers."""
    words = optimus.load(base.folder / optimus.FOLDER)
    text = cast(PublishedTextUNet, from_config.empty(PublishedTextUNet, base.config(TEXT)))
    weights = weight_files.read(weight_files.find(base.folder / TEXT))
    own = {name: weight.to(torch.float32) for name, weight in weights.items() if ".attentions." not in name}
    text.load_state_dict(own, strict=False, assign=True)
    text.share(cast(PublishedUNet, image.denoiser))
    wishes = cast(PublishedConditioner, image.conditioner)
    seen = PublishedSeenConditioner(wishes.tokenizer, wishes.text_encoder, wishes.image_encoder, NULL_CAPTION)
    size, scheduler = int(words.optimus.config["latent_size"]), published_layout.text_scheduler(base)
    return Pipeline(WORDS, seen, text.eval(), words, scheduler, (size, 1, 1))


def save(pipeline: Pipeline, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the published layout with both flows; `folder` must not exist yet.

    They have the context layers in common. Where these have changed and a flow is a student, whose one step depends on every
    layer, the text flow is left out, which is said.
    """
    image = pipeline.flow(TASK)
    words = {flow.task: flow for flow in (pipeline, *pipeline.siblings)}.get(WORDS)
    if words is not None and (image.is_student or words.is_student) and not _fits(image.denoiser, words.denoiser):
        warnings.warn("the text flow shares layers with what has become a student, and is left out", stacklevel=2)
        words = None
    save_published.write(folder, image, words, dtype)


def _fits(image: nn.Module, text: nn.Module) -> bool:
    """Whether both denoisers have the same transformers."""
    ours, theirs = image.state_dict(), text.state_dict()
    names = (name for name in ours if ".attentions." in name)
    return all(torch.equal(ours[name].cpu().float(), theirs[name].cpu().float()) for name in names)
