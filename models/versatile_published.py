"""Versatile Diffusion as published (arXiv 2211.08332): its diffusers folder of 2022, over the classes of diffusers and CLIP.

Text, pictures or both → image; with Optimus beside it (`models/optimus.py`) a picture → text. It knows nothing about training,
graphs or serving. Shapes: `N` batch, `S` tokens, `T` tokens of two pictures, `D` width, `H W` pixels.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import (
    CLIPImageProcessor,
    CLIPTextModelWithProjection,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerFast,
)

from base.errors import BadInput
from models import components, optimus, published_layout, tokenizer_files
from models.architecture import architecture
from models.clip_contexts import ClipPictureContext, ClipTextContext
from models.conditioning import Conditioning
from models.labels import Input, Seen
from models.latent_autoencoder import LatentAutoencoder, latent_autoencoder
from models.pipeline import Pipeline
from models.published_layout import FLAT, KINDS, NETWORK, NULL, NULL_PICTURES
from models.published_text_unet import PublishedTextUNet
from models.published_unet import IMAGE, TEXT, PublishedUNet, stored_as
from models.schedule import base_scheduler
from models.tasks.image_text_to_image import ImageTextToImage
from models.tasks.image_to_text import ImageToText
from models.versatile_diffusion import PictureConditioner, WishConditioner

TASK = ImageTextToImage.name
WEIGHTS = {
    "conditioner": "text_encoder/model.safetensors",
    "denoiser": f"{IMAGE}/{NETWORK}",
    "autoencoder": f"vae/{NETWORK}",
    "image_encoder": "image_encoder/model.safetensors",
}
"""Where the weights of each part lie in the folder."""
SEVERAL = {"denoiser": (f"{IMAGE}/{NETWORK}", f"{TEXT}/{NETWORK}")}
"""Parts whose weights are in several files."""


class PublishedConditioner(WishConditioner):
    """Prompt, content, style and mix → CLIP's tokens of all of them, in one space."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        text_encoder: ClipTextContext,
        image_encoder: ClipPictureContext,
        null_picture: str = "zeros",
    ) -> None:
        super().__init__(tokenizer, cast(Any, text_encoder), cast(Any, image_encoder))
        self.null_picture = null_picture

    def null_beside(self, null: Conditioning, conditioning: Conditioning) -> Conditioning:
        """The empty text and no picture, mixed as each sample `(N, …)` is: guidance of a mix is between both."""
        return replace(null, image_embeds=_no_picture(self, self.null_picture, conditioning), mix=conditioning.mix)


class PublishedSeenConditioner(PictureConditioner):
    """A picture → CLIP's tokens of it, which the text flow writes about."""

    def __init__(self, image_encoder: ClipPictureContext, null_picture: str = "black") -> None:
        super().__init__(cast(Any, image_encoder))
        self.null_picture = null_picture

    def tokenize(self, inputs: Sequence[Input]) -> Tensor:
        """`Seen` pictures, or `""` for none → rows `(N, R)` float32: tokens `(T, D)`. BadInput: anything else."""
        count, width = self.image_encoder.tokens, self.image_encoder.width
        rows = torch.zeros(len(inputs), count, width)
        for row, seen in zip(rows, inputs, strict=True):
            if isinstance(seen, Seen) and not seen.column:
                row[: count // 2] = self.tokens(seen.image, 0, count // 2)
            elif seen != "":
                raise BadInput(f"a caption needs a picture, and is of no special kind here, got {seen!r:.40}")
        return rows.flatten(1)

    def forward(self, ids: Tensor) -> Conditioning:
        """Rows `(N, R)` → tokens of pictures `(N, T, D)`."""
        return Conditioning(image_embeds=ids.unflatten(1, (self.image_encoder.tokens, self.image_encoder.width)))

    def null_beside(self, null: Conditioning, conditioning: Conditioning) -> Conditioning:
        """No picture for each sample `(N, …)`, by default a black one."""
        return replace(null, image_embeds=_no_picture(self, self.null_picture, conditioning))


def _no_picture(conditioner: PictureConditioner, name: str, conditioning: Conditioning) -> Tensor:
    """What stands for no picture, `(N, T, D)`."""
    pictures = torch.zeros_like(cast(Tensor, conditioning.image_embeds))
    if (shade := NULL_PICTURES[name]) is None:
        return pictures
    side = conditioner.image_encoder.side
    return pictures + conditioner.embed([np.full((side, side, 3), shade, np.uint8)]).to(pictures)


def check(name: str) -> components.Base:
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
    return image


def _text_flow(base: components.Base, image: Pipeline) -> Pipeline:
    """Picture → text, over the image flow's encoder of pictures and its transformers."""
    words = optimus.load(base.folder / optimus.FOLDER)
    text = cast(PublishedTextUNet, components.empty(PublishedTextUNet, base.config(TEXT)))
    weights = published_layout.tensors(components.weight_files(base.folder / TEXT))
    own = {name: weight.to(torch.float32) for name, weight in weights.items() if ".attentions." not in name}
    text.load_state_dict(own, strict=False, assign=True)
    text.share(cast(PublishedUNet, image.denoiser))
    seen = PublishedSeenConditioner(cast(Any, image.conditioner).image_encoder)
    size = int(words.optimus.config["latent_size"])
    return Pipeline(ImageToText.name, seen, text.eval(), words, image.scheduler, (size, 1, 1))


def save(pipeline: Pipeline, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the published layout; `folder` must not exist yet.

    Of the text UNet, the image flow alone has the context layers. Both flows have these in common: a student's are no
    teacher's, so the text flow is left out beside it, which is said.
    """
    image, words = pipeline.flow(TASK), None
    if ImageToText.name in {flow.task for flow in (pipeline, *pipeline.siblings)}:
        words = pipeline.flow(ImageToText.name)
    if words is not None and image.is_student:
        warnings.warn("the text flow shares layers with what has become a student, and is left out", stacklevel=2)
        words = None
    conditioner = cast(PublishedConditioner, image.conditioner)
    unet = cast(PublishedUNet, image.denoiser)
    text, pictures = cast(Any, conditioner.text_encoder), cast(Any, conditioner.image_encoder)
    networks: dict[str, Any] = {
        "text_encoder": text.clip,
        "image_encoder": pictures.clip,
        "vae": cast(LatentAutoencoder, image.autoencoder).vae,
    }
    for part, network in networks.items():
        copy.deepcopy(network).to("cpu", dtype).save_pretrained(folder / part)
    parts: dict[str, dict[str, Tensor]] = {IMAGE: {}, TEXT: {}}
    for name, weight in unet.state_dict().items():
        part, stored = stored_as(name)
        parts[part or IMAGE][stored] = weight.detach().to("cpu", dtype).contiguous()
    plan = {**dict(unet.config), "_class_name": UNet2DConditionModel.__name__}
    flat = published_layout.flat_config(plan)
    if words is not None:
        flat = {**dict(cast(PublishedTextUNet, words.denoiser).config), "_class_name": FLAT}
        for name, weight in words.denoiser.state_dict().items():
            if ".attentions." not in name:
                parts[TEXT][name] = weight.detach().to("cpu", dtype).contiguous()
        optimus.save(cast(optimus.OptimusAutoencoder, words.autoencoder), folder / optimus.FOLDER, dtype)
    published_layout.write(folder / IMAGE, plan, parts[IMAGE])
    published_layout.write(folder / TEXT, flat, parts[TEXT])
    scheduler = getattr(diffusers, image.scheduler["_class_name"]).from_config(image.scheduler)
    scheduler.save_pretrained(folder / "scheduler")
    tokenizer_files.save(conditioner.tokenizer, folder / "tokenizer")
    CLIPImageProcessor(size=pictures.side, crop_size=pictures.side).save_pretrained(folder / "image_feature_extractor")
    index = {
        "_class_name": "VersatileDiffusionPipeline",
        "_diffusers_version": diffusers.__version__,
        "image_feature_extractor": ["transformers", "CLIPImageProcessor"],
        "image_encoder": ["transformers", CLIPVisionModelWithProjection.__name__],
        "text_encoder": ["transformers", CLIPTextModelWithProjection.__name__],
        "tokenizer": ["transformers", type(conditioner.tokenizer).__name__],
        IMAGE: ["diffusers", UNet2DConditionModel.__name__],
        TEXT: ["versatile_diffusion", FLAT],
        "vae": ["diffusers", AutoencoderKL.__name__],
        "scheduler": ["diffusers", type(scheduler).__name__],
        NULL: conditioner.null_picture,
    }
    (folder / "model_index.json").write_text(json.dumps(dict(sorted(index.items())), indent=2) + "\n")
