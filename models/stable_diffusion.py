"""The Stable Diffusion family: CLIP text encoder, latent autoencoder, UNet, and its diffusers folder on disk.

It knows nothing about training, graphs or serving. Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import diffusers
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, StableDiffusionPipeline, UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from base.config import Config
from base.errors import BadInput
from base.files import atomic_file
from models import from_config, tokenizer_files, weight_files
from models.architecture import architecture
from models.bases import Base
from models.conditioning import Conditioning
from models.implementation import file_named
from models.labels import Input
from models.latent_autoencoder import LatentAutoencoder, latent_autoencoder
from models.parts import Conditioner
from models.pipeline import Pipeline
from models.prompt_ids import beyond, tokenized
from models.scheduler_configs import base_scheduler, teacher_scheduler
from models.stable_diffusion_file import FIRST, RELEASED, SECOND, Layout
from models.tasks.text_to_image import TextToImage

TASK = TextToImage.name
ALIASES = ("StableDiffusionImg2ImgPipeline",)
"""Other classes of diffusers whose folders hold the same components."""
FURTHER_INPUTS = ("time_cond_proj_dim", "class_embed_type", "encoder_hid_dim_type")
"""Keys of a UNet's configuration that mean an input which no text gives: guidance (LCM's own), a class, an image."""

TEACHER_SCHEDULER = teacher_scheduler("v_prediction", "scaled_linear")
"""What a teacher from scratch uses: SD's betas, v-prediction, zero terminal SNR."""

WEIGHTS = {
    "conditioner": "text_encoder/model.safetensors",
    "denoiser": "unet/diffusion_pytorch_model.safetensors",
    "autoencoder": "vae/diffusion_pytorch_model.safetensors",
}
"""Where the weights of each part lie in the folder."""


class CLIPConditioner(Conditioner):
    """Prompts → token ids → hidden states of the last layer, as Stable Diffusion 1.x and 2.x condition on them."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.text_encoder = text_encoder

    def tokenize(self, inputs: Sequence[Input]) -> Tensor:
        """Prompts → ids `(N, S)` int64, padded and cut to the tokenizer's length. BadInput: not text."""
        return tokenized(self.tokenizer, inputs)

    def beyond(self, inputs: Sequence[Input]) -> list[str]:
        """The end of each prompt that has more tokens than the tokenizer's length."""
        return beyond(self.tokenizer, inputs)

    def forward(self, ids: Tensor) -> Conditioning:
        """Ids `(N, S)` → hidden states `(N, S, D)`."""
        return Conditioning(encoder_hidden_states=self.text_encoder(ids).last_hidden_state)


def assemble(
    tokenizer: PreTrainedTokenizerFast,
    text_encoder: CLIPTextModel,
    unet: UNet2DConditionModel,
    vae: AutoencoderKL | AutoencoderTiny,
    scheduler: dict[str, Any],
) -> Pipeline:
    """Put the components together as a `text-to-image` pipeline."""
    return Pipeline(
        task=TASK,
        conditioner=CLIPConditioner(tokenizer, text_encoder),
        denoiser=unet,
        autoencoder=latent_autoencoder(vae),
        scheduler=scheduler,
        latent_shape=architecture(unet).latent_shape,
    )


class StableDiffusionFromScratch(Config):
    """A teacher from scratch."""

    family: Literal["stable_diffusion"] = "stable_diffusion"
    vae: str
    """Run or folder of the autoencoder."""
    clip: str
    """Run or folder of the CLIP whose text encoder conditions."""
    unet: dict[str, Any] | str
    """Keyword arguments of diffusers' `UNet2DConditionModel`, the text encoder's width is filled in; or a run or folder of a
    teacher whose denoiser goes on, with its schedule, beside this text encoder."""


FROM_SCRATCH = StableDiffusionFromScratch


def build(config: StableDiffusionFromScratch, find: Callable[[str], Path]) -> Pipeline:
    """A new denoiser with a trained autoencoder and text encoder; `find` turns the name of a run into a folder."""
    clip = find(config.clip)
    weight_files.check(clip, CLIPTextModel)
    weight_files.check(find(config.vae), AutoencoderKL)
    text_encoder = CLIPTextModel.from_pretrained(clip)
    vae = AutoencoderKL.from_pretrained(find(config.vae))
    vae.requires_grad_(False)
    tokenizer, width = tokenizer_files.load(clip), text_encoder.config.hidden_size
    if isinstance(config.unet, dict):
        unet = from_config.fresh(UNet2DConditionModel, "unet", {"cross_attention_dim": width, **config.unet})
        return assemble(tokenizer, text_encoder, unet, vae, teacher_scheduler("v_prediction", "scaled_linear"))
    earlier = load(str(find(config.unet)))
    if (taken := architecture(earlier.denoiser).interface["cross_attention_dim"]) != width:
        raise BadInput(f"{config.unet}: its denoiser takes text of {taken} channels, {config.clip} gives {width}")
    return assemble(tokenizer, text_encoder, cast(UNet2DConditionModel, earlier.denoiser), vae, earlier.scheduler)


def check_fit(base: Base, width: int) -> None:
    """BadInput: UNet, autoencoder and text do not belong together. `width`: of the text encoders, all of them."""
    folder, unet, vae = base.folder, base.config("unet"), base.config("vae")
    channels = vae.get("latent_channels", 4)
    if unet["in_channels"] != channels or unet["out_channels"] != channels:
        raise BadInput(
            f"{folder} cannot be a base: its UNet takes {unet['in_channels']} and gives {unet['out_channels']} channels "
            f"where its autoencoder has {channels} (is it for inpainting, depth or upscaling?)"
        )
    if unet["cross_attention_dim"] != width:
        raise BadInput(
            f"{folder}: the UNet wants text of {unet['cross_attention_dim']} channels, the text encoder gives {width}"
        )
    if odd := [key for key in FURTHER_INPUTS if unet.get(key) is not None]:
        raise BadInput(
            f"{folder} cannot be a base: its UNet has {odd[0]} {unet[odd[0]]}, an input that nothing here gives"
        )


def check(name: str) -> Base:
    """What `name` is, after all that can be known without loading it. BadInput: no such base, or not whole."""
    base = Base.at(name)
    tokenizer_files.check(base.folder / "tokenizer")
    check_fit(base, base.config("text_encoder")["hidden_size"])
    if (more := base.config("unet").get("addition_embed_type")) is not None:
        raise BadInput(f"{base.folder} cannot be a base of this family: its UNet has addition_embed_type {more}")
    base_scheduler(base.scheduler(), name)
    kinds = {"text_encoder": CLIPTextModel, "unet": UNet2DConditionModel, "vae": vae_class(base)}
    for component, kind in kinds.items():
        base.check(component, kind)
    return base


def load(name: str) -> Pipeline:
    """A local diffusers folder, a Hub name or one file, in float32. BadInput, before anything loads: it is no such base."""
    base = check(name)
    return assemble(
        tokenizer_files.load(base.folder / "tokenizer"),
        base.network("text_encoder", CLIPTextModel),
        base.network("unet", UNet2DConditionModel),
        base.network("vae", vae_class(base)),
        base_scheduler(base.scheduler(), name),
    )


def vae_class(base: Base) -> type[nn.Module]:
    """The class of diffusers that its autoencoder has. BadInput: one that nothing here knows."""
    name = str(base.config("vae").get("_class_name"))
    file_named(name)
    return cast("type[nn.Module]", getattr(diffusers, name))


def original_layout(pipeline: Pipeline) -> Layout:
    """Which published version it is: Stable Diffusion 2's text encoder is OpenCLIP's, whose activation is `gelu`."""
    conditioner = cast(CLIPConditioner, pipeline.conditioner)
    return SECOND if conditioner.text_encoder.config.hidden_act == "gelu" else FIRST


def save(pipeline: Pipeline, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the diffusers folder that stock `StableDiffusionPipeline` opens; `folder` must not exist yet."""
    conditioner = cast(CLIPConditioner, pipeline.conditioner)
    autoencoder = cast(LatentAutoencoder, pipeline.autoencoder)
    networks = (conditioner.text_encoder, pipeline.denoiser, autoencoder.vae)
    text_encoder, unet, vae = (copy.deepcopy(network).to("cpu", dtype) for network in networks)
    scheduler = getattr(diffusers, pipeline.scheduler["_class_name"])
    stock = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=conditioner.tokenizer,
        unet=unet,
        scheduler=scheduler.from_config(pipeline.scheduler),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    stock.save_pretrained(folder, safe_serialization=True)
    name_as_released(folder / "text_encoder" / "model.safetensors")
    tokenizer_files.save(conditioner.tokenizer, folder / "tokenizer")


def name_as_released(weights: Path) -> None:
    """A text encoder's weights under the names that all released checkpoints have.

    transformers 5 leaves out `text_model.` for a network that came from no checkpoint; transformers 4 then takes none of
    the weights, and draws noise.
    """
    with safe_open(weights, "pt") as opened:
        if any(name.startswith(RELEASED) for name in opened.keys()):  # noqa: SIM118
            return
    named = {RELEASED + name: value for name, value in load_file(weights).items()}
    with atomic_file(weights) as hidden:  # what is read may still lie in the file
        save_file(named, hidden, metadata={"format": "pt"})
