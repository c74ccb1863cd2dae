"""The published folder of Versatile Diffusion, written: networks, tokenizers, schedules and index of one or both flows.

It knows no training and reads nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPTextModelWithProjection, CLIPVisionModelWithProjection

from models import optimus, published_layout, save_components, tokenizer_files
from models.latent_autoencoder import LatentAutoencoder
from models.pipeline import Pipeline
from models.published_layout import FLAT, NETWORK, NULL, TEXT_SCHEDULER
from models.published_unet import IMAGE, TEXT, stored_as


def write(folder: Path, image: Pipeline, words: Pipeline | None, dtype: torch.dtype) -> None:
    """Write the flow that draws and the one that writes; without it the text UNet has its context layers alone.

    Weights are stored in `dtype`; `folder` must not exist yet.
    """
    conditioner = cast(Any, image.conditioner)
    networks: dict[str, Any] = {
        "text_encoder": conditioner.text_encoder.clip,
        "image_encoder": conditioner.image_encoder.clip,
        "vae": cast(LatentAutoencoder, image.autoencoder).vae,
    }
    for part, network in networks.items():
        save_components.network(network, folder / part, dtype)
    _unets(folder, image, words, dtype)
    if words is not None:
        optimus.save(cast(optimus.OptimusAutoencoder, words.autoencoder), folder / optimus.FOLDER, dtype)
        save_components.scheduler(words.scheduler, folder / TEXT_SCHEDULER)
    scheduler = save_components.scheduler(image.scheduler, folder / "scheduler")
    tokenizer_files.save(conditioner.tokenizer, folder / "tokenizer")
    side = conditioner.image_encoder.side
    CLIPImageProcessor(size=side, crop_size=side).save_pretrained(folder / "image_feature_extractor")
    entries = {
        "image_feature_extractor": ["transformers", "CLIPImageProcessor"],
        "image_encoder": ["transformers", CLIPVisionModelWithProjection.__name__],
        "text_encoder": ["transformers", CLIPTextModelWithProjection.__name__],
        "tokenizer": ["transformers", type(conditioner.tokenizer).__name__],
        IMAGE: ["diffusers", UNet2DConditionModel.__name__],
        TEXT: ["versatile_diffusion", FLAT],
        "vae": ["diffusers", AutoencoderKL.__name__],
        "scheduler": scheduler,
        NULL: conditioner.null_picture,
    }
    save_components.index(folder, "VersatileDiffusionPipeline", entries)


def _unets(folder: Path, image: Pipeline, words: Pipeline | None, dtype: torch.dtype) -> None:
    """Both UNets as published: each holds its data layers and its own kind of context's transformers."""
    parts: dict[str, dict[str, Tensor]] = {IMAGE: {}, TEXT: {}}
    for name, weight in image.denoiser.state_dict().items():
        part, stored = stored_as(name)
        parts[part or IMAGE][stored] = weight.detach().to("cpu", dtype).contiguous()
    plan = {**cast(Any, image.denoiser).config, "_class_name": UNet2DConditionModel.__name__}
    flat = published_layout.flat_config(plan)
    if words is not None:
        flat = {**cast(Any, words.denoiser).config, "_class_name": FLAT}
        for name, weight in words.denoiser.state_dict().items():
            if ".attentions." not in name:
                parts[TEXT][name] = weight.detach().to("cpu", dtype).contiguous()
    _unet(folder / IMAGE, plan, parts[IMAGE])
    _unet(folder / TEXT, flat, parts[TEXT])


def _unet(folder: Path, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """A UNet's folder: its configuration, and weights of any shape."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(dict(config), indent=2) + "\n")
    save_file(dict(weights), folder / NETWORK, metadata={"format": "pt"})
