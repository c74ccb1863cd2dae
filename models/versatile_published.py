"""Versatile Diffusion as published (arXiv 2211.08332): its diffusers folder of 2022, over the classes of diffusers and CLIP.

Text, pictures or both → image; with Optimus beside it (`models/optimus.py`) a picture → text. It knows nothing about training,
graphs or serving. Shapes: `N` batch, `S` tokens, `T` tokens of two pictures, `D` width, `H W` pixels.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    CLIPImageProcessor,
    CLIPTextModelWithProjection,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerFast,
)

from base.config import nearest
from base.errors import BadInput
from base.safetensors_head import read_head
from models import components, tokenizer_files
from models.architecture import architecture
from models.clip_contexts import ClipPictureContext, ClipTextContext
from models.conditioning import Conditioning
from models.latent_autoencoder import LatentAutoencoder, latent_autoencoder
from models.pipeline import Pipeline
from models.published_unet import IMAGE, SIDE, TEXT, PublishedUNet, stored_as
from models.schedule import base_scheduler
from models.tasks.image_text_to_image import ImageTextToImage
from models.tensor_names import check_names
from models.versatile_diffusion import WishConditioner

TASK = ImageTextToImage.name
NETWORK = "diffusion_pytorch_model.safetensors"
WEIGHTS = {
    "conditioner": "text_encoder/model.safetensors",
    "denoiser": f"{IMAGE}/{NETWORK}",
    "autoencoder": f"vae/{NETWORK}",
    "image_encoder": "image_encoder/model.safetensors",
}
"""Where the weights of each part lie in the folder."""
SEVERAL = {"denoiser": (f"{IMAGE}/{NETWORK}", f"{TEXT}/{NETWORK}")}
"""Parts whose weights are in several files."""
KINDS: dict[str, type[nn.Module]] = {
    "text_encoder": CLIPTextModelWithProjection,
    "image_encoder": CLIPVisionModelWithProjection,
    IMAGE: UNet2DConditionModel,
    "vae": AutoencoderKL,
}
"""Component → its class; the text UNet is another's, of which the image flow takes the context layers alone."""
FLAT = "UNetFlatConditionModel"
LIBRARIES = (None, "diffusers", "versatile_diffusion")
"""Where folders of different years say that this class comes from. It is never imported by what a folder says."""
NULL = "null_picture"
NULL_PICTURES: dict[str, int | None] = {"zeros": None, "grey": 127, "black": 0}
"""What stands for no picture in guidance: zeros as in its web page, or a picture of one shade, as in diffusers and for
captions. `model_index.json` may name one."""
TEXT_LATENT = 768
"""Numbers that stand for a text, as published."""


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
        pictures = torch.zeros_like(cast(Tensor, conditioning.image_embeds))
        if (shade := NULL_PICTURES[self.null_picture]) is not None:
            side = self.image_encoder.side
            pictures = pictures + self.embed([np.full((side, side, 3), shade, np.uint8)]).to(pictures)
        return replace(null, image_embeds=pictures, mix=conditioning.mix)


def check(name: str) -> components.Base:
    """What `name` is, after all that can be known without loading it. BadInput: no such folder, or not whole."""
    base = components.base(name)
    _null_picture(base.folder)
    _check_classes(base.folder)
    components.tokenizer(base.folder, "tokenizer")
    _check_fit(base)
    base_scheduler(base.scheduler(), name)
    for component, kind in KINDS.items():
        base.check(component, kind)
    context_layers(base)
    return base


def load(name: str) -> Pipeline:
    """Open a folder as published, or as `save` wrote it, in float32. BadInput, before anything loads: it is none."""
    base = check(name)
    text, vision = (base.network(part, KINDS[part]) for part in ("text_encoder", "image_encoder"))
    conditioner = PublishedConditioner(
        tokenizer_files.load(base.folder / "tokenizer"),
        ClipTextContext(text),
        ClipPictureContext(vision),
        _null_picture(base.folder),
    )
    unet, vae = _unet(base), base.network("vae", AutoencoderKL)
    scheduler = base_scheduler(base.scheduler(), name)
    return assemble(conditioner, unet, vae, scheduler)


def assemble(
    conditioner: PublishedConditioner, unet: PublishedUNet, vae: nn.Module, scheduler: dict[str, Any]
) -> Pipeline:
    """Put the image flow together."""
    shape = architecture(unet).latent_shape
    return Pipeline(TASK, conditioner, unet, latent_autoencoder(vae), scheduler, shape)


def save(pipeline: Pipeline, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the published layout; `folder` must not exist yet.

    Of the text UNet, the image flow alone has the context layers.
    """
    conditioner = cast(PublishedConditioner, pipeline.conditioner)
    unet = cast(PublishedUNet, pipeline.denoiser)
    text, pictures = cast(Any, conditioner.text_encoder), cast(Any, conditioner.image_encoder)
    networks: dict[str, Any] = {
        "text_encoder": text.clip,
        "image_encoder": pictures.clip,
        "vae": cast(LatentAutoencoder, pipeline.autoencoder).vae,
    }
    for part, network in networks.items():
        copy.deepcopy(network).to("cpu", dtype).save_pretrained(folder / part)
    parts: dict[str, dict[str, Tensor]] = {IMAGE: {}, TEXT: {}}
    for name, weight in unet.state_dict().items():
        part, stored = stored_as(name)
        parts[part or IMAGE][stored] = weight.detach().to("cpu", dtype).contiguous()
    image = {**dict(unet.config), "_class_name": UNet2DConditionModel.__name__}
    _write(folder / IMAGE, image, parts[IMAGE])
    _write(folder / TEXT, flat_config(image), parts[TEXT])
    scheduler = getattr(diffusers, pipeline.scheduler["_class_name"]).from_config(pipeline.scheduler)
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


def flat_config(image: Mapping[str, Any], latent: int = TEXT_LATENT) -> dict[str, Any]:
    """The configuration of the text UNet of the same plan as an image UNet's."""
    taken = ("block_out_channels", "layers_per_block", "cross_attention_dim", "attention_head_dim", "norm_num_groups")
    flat = {key: image[key] for key in taken if key in image}
    for key in ("down_block_types", "up_block_types"):
        flat[key] = [str(kind).replace("2D", "Flat") for kind in image[key]]
    if (middle := image.get("mid_block_type", "UNetMidBlock2DCrossAttn")) is not None:
        flat["mid_block_type"] = str(middle).replace("2D", "Flat")
    return {"_class_name": FLAT, "in_channels": [latent, 1, 1], "out_channels": [latent, 1, 1], **flat}


def context_layers(base: components.Base) -> list[Path]:
    """The files of the text UNet. BadInput: its context layers are missing, or do not fit those of the image UNet."""
    unet = components.empty(PublishedUNet, base.config(IMAGE))
    expected = {stored_as(name): tuple(weight.shape) for name, weight in unet.state_dict().items()}
    own = {name: shape for (part, name), shape in expected.items() if part == TEXT}
    files = components.weight_files(base.folder / TEXT)
    held = {name: shape for file in files for name, shape in read_head(file).shapes.items() if name in own}
    check_names(str(files[0]), held, own, f"context layers that the image UNet of {base.folder} takes from it")
    return files


def _unet(base: components.Base) -> PublishedUNet:
    config = base.config(IMAGE)
    unet = cast(PublishedUNet, components.empty(PublishedUNet, config))
    if config.get("sample_size") is None:
        unet.register_to_config(sample_size=SIDE)
    stored = {part: _tensors(components.weight_files(base.folder / part)) for part in (IMAGE, TEXT)}
    places = {name: stored_as(name) for name in unet.state_dict()}
    weights = {name: stored[part or IMAGE][inner].to(torch.float32) for name, (part, inner) in places.items()}
    unet.load_state_dict(weights, assign=True)
    return unet.eval()


def _tensors(files: list[Path]) -> dict[str, Tensor]:
    return {name: weight for file in files for name, weight in load_file(file).items()}


def _write(folder: Path, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(dict(config), indent=2) + "\n")
    save_file(dict(weights), folder / NETWORK, metadata={"format": "pt"})


def _null_picture(folder: Path) -> str:
    """BadInput: the folder names a convention that is unknown."""
    name = str(components.index(folder).get(NULL, "zeros"))
    if name not in NULL_PICTURES:
        raise BadInput(f"{folder}: {NULL} '{name}' is unknown{nearest(name, NULL_PICTURES)}")
    return name


def _check_classes(folder: Path) -> None:
    """BadInput: the text UNet, as the index or its own configuration names it, is another network."""
    said = components.index(folder).get(TEXT) or [None, FLAT]
    own = components.config(folder, TEXT).get("_class_name")
    if not isinstance(said, list) or len(said) != 2 or said[0] not in LIBRARIES or said[1] not in (None, FLAT):
        accepted = " or ".join(str(library) for library in LIBRARIES[1:])
        raise BadInput(f"{folder}: model_index.json has text_unet {said}; accepted: {FLAT} of {accepted}")
    if own != FLAT:
        raise BadInput(f"{folder}: text_unet is a {own}; accepted: {FLAT}")


def _check_fit(base: components.Base) -> None:
    """BadInput: UNets, encoders and autoencoder do not belong together."""
    unet, vae = base.config(IMAGE), base.config("vae")
    for part in ("text_encoder", "image_encoder"):
        config = base.config(part)
        width = {**config, **config.get("vision_config" if part == "image_encoder" else "text_config", {})}
        if width.get("projection_dim", 512) != unet["cross_attention_dim"]:
            raise BadInput(
                f"{base.folder}: the UNet wants contexts of {unet['cross_attention_dim']} channels, the {part} gives "
                f"{width.get('projection_dim', 512)}"
            )
    if unet["in_channels"] != vae["latent_channels"]:
        raise BadInput(
            f"{base.folder}: the UNet takes {unet['in_channels']} channels, its autoencoder has {vae['latent_channels']}"
        )
