"""The published folder of Versatile Diffusion: which networks it holds, whether they fit each other, where weights lie in it.

It knows no flow. The text UNet of a folder may be its context layers alone, which is all that the image flow takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

from base.config import nearest
from base.errors import BadInput
from base.safetensors_head import read_head
from models import bases, component_configs, from_config, optimus, tokenizer_files, weight_files
from models.bases import Base
from models.published_text_unet import UNetFlatConditionModel
from models.published_unet import IMAGE, SIDE, TEXT, PublishedUNet, stored_as
from models.scheduler_configs import base_scheduler
from models.tensor_names import check_names

NETWORK = "diffusion_pytorch_model.safetensors"
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
NULL_CAPTION = "black"
"""The same for captions, whatever the index names for pictures."""
TEXT_SCHEDULER = "text_scheduler"
"""Folder of the text flow's schedule, where a folder has one: in the published one it is the image flow's."""
TEXT_LATENT = 768
"""Numbers that stand for a text, as published."""


def check(name: str) -> Base:
    """What `name` is, after all that can be known without loading it. BadInput: no such folder, or not whole."""
    base = Base.at(name)
    null_picture(base.folder)
    _check_classes(base.folder)
    tokenizer_files.check(base.folder / "tokenizer")
    _check_fit(base)
    base_scheduler(base.scheduler(), name)
    text_scheduler(base)
    for component, kind in KINDS.items():
        base.check(component, kind)
    _context_layers(base)
    if (base.folder / optimus.FOLDER).is_dir():
        optimus.check(base.folder / optimus.FOLDER)
        _check_text(base)
    return base


def flat_config(image: Mapping[str, Any], latent: int = TEXT_LATENT) -> dict[str, Any]:
    """The configuration of the text UNet of the same plan as an image UNet's."""
    taken = ("block_out_channels", "layers_per_block", "cross_attention_dim", "attention_head_dim", "norm_num_groups")
    flat = {key: image[key] for key in taken if key in image}
    for key in ("down_block_types", "up_block_types"):
        flat[key] = [str(kind).replace("2D", "Flat") for kind in image[key]]
    if (middle := image.get("mid_block_type", "UNetMidBlock2DCrossAttn")) is not None:
        flat["mid_block_type"] = str(middle).replace("2D", "Flat")
    return {"_class_name": FLAT, "in_channels": [latent, 1, 1], "out_channels": [latent, 1, 1], **flat}


def _context_layers(base: Base) -> list[Path]:
    """The files of the text UNet. BadInput: its context layers are missing, or do not fit those of the image UNet."""
    unet = from_config.empty(PublishedUNet, base.config(IMAGE))
    expected = {stored_as(name): tuple(weight.shape) for name, weight in unet.state_dict().items()}
    own = {name: shape for (part, name), shape in expected.items() if part == TEXT}
    files = weight_files.find(base.folder / TEXT)
    held = {name: shape for file in files for name, shape in read_head(file).shapes.items() if name in own}
    check_names(str(files[0]), held, own, f"context layers that the image UNet of {base.folder} takes from it")
    return files


def _check_text(base: Base) -> None:
    """BadInput: the text UNet has not all of its layers, or takes texts of another length than Optimus gives."""
    check_text_unet(base.folder)
    latent = int(component_configs.config(base.folder, optimus.FOLDER)["latent_size"])
    if (taken := list(base.config(TEXT)["in_channels"])) != [latent, 1, 1]:
        raise BadInput(f"{base.folder}: text_unet takes texts of {taken} numbers, optimus gives {latent}")


def check_text_unet(folder: Path) -> None:
    """BadInput: the text UNet of a folder has not all of its layers, as a saved image flow's has not."""
    weight_files.check(folder / TEXT, UNetFlatConditionModel)


def open_unet(base: Base) -> PublishedUNet:
    """The image UNet of a folder with the text UNet's context layers in it, in float32; `check` was there before."""
    config = base.config(IMAGE)
    unet = cast(PublishedUNet, from_config.empty(PublishedUNet, config))
    if config.get("sample_size") is None:
        unet.register_to_config(sample_size=SIDE)
    if bases.in_outlines():
        return unet.eval()
    stored = {part: weight_files.read(weight_files.find(base.folder / part)) for part in (IMAGE, TEXT)}
    places = {name: stored_as(name) for name in unet.state_dict()}
    weights = {name: stored[part or IMAGE][inner].to(torch.float32) for name, (part, inner) in places.items()}
    unet.load_state_dict(weights, assign=True)
    return unet.eval()


def text_scheduler(base: Base) -> dict[str, Any]:
    """The text flow's schedule: its own where it has one, else the image flow's. BadInput: one that is not read."""
    own = (base.folder / TEXT_SCHEDULER).is_dir()
    return base_scheduler(
        component_configs.scheduler(base.folder, TEXT_SCHEDULER) if own else base.scheduler(), base.name
    )


def null_picture(folder: Path) -> str:
    """What stands for no picture in a folder. BadInput: it names a convention that is unknown."""
    name = str(component_configs.index(folder).get(NULL, "zeros"))
    if name not in NULL_PICTURES:
        raise BadInput(f"{folder}: {NULL} '{name}' is unknown{nearest(name, NULL_PICTURES)}")
    return name


def _check_classes(folder: Path) -> None:
    """BadInput: the text UNet, as the index or its own configuration names it, is another network."""
    said = component_configs.index(folder).get(TEXT) or [None, FLAT]
    own = component_configs.config(folder, TEXT).get("_class_name")
    if not isinstance(said, list) or len(said) != 2 or said[0] not in LIBRARIES or said[1] not in (None, FLAT):
        accepted = " or ".join(str(library) for library in LIBRARIES[1:])
        raise BadInput(f"{folder}: model_index.json has text_unet {said}; accepted: {FLAT} of {accepted}")
    if own != FLAT:
        raise BadInput(f"{folder}: text_unet is a {own}; accepted: {FLAT}")


def _check_fit(base: Base) -> None:
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
