"""The Stable Diffusion XL family: two text encoders, sizes as inputs of the UNet, and its diffusers folder on disk.

It knows nothing about training, graphs or serving. Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens, `D` width.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import diffusers
import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, PreTrainedTokenizerFast

from base.errors import BadInput
from models import component_configs, from_config, tokenizer_files
from models.architecture import architecture
from models.bases import Base
from models.conditioning import Conditioning
from models.labels import Input
from models.latent_autoencoder import LatentAutoencoder, latent_autoencoder
from models.parts import Conditioner
from models.pipeline import Pipeline
from models.prompt_ids import beyond, tokenized
from models.scheduler_configs import base_scheduler
from models.stable_diffusion import TASK, check_fit, name_as_released, vae_class
from models.stable_diffusion_file import XL, Layout
from models.unet import TextTimeUNet

ALIASES = ("StableDiffusionXLImg2ImgPipeline",)
"""Other classes of diffusers whose folders hold the same components."""
WEIGHTS = {
    "conditioner": ("text_encoder/model.safetensors", "text_encoder_2/model.safetensors"),
    "denoiser": "unet/diffusion_pytorch_model.safetensors",
    "autoencoder": "vae/diffusion_pytorch_model.safetensors",
}
"""Where the weights of each part are in the folder; of several files each is in the folder that its module is called by."""
ENCODERS: dict[str, type[nn.Module]] = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
"""Text encoder → its class of transformers."""


class DualConditioner(Conditioner):
    """Prompts → hidden states of both encoders' last but one layer, side by side, and the second's pooled text.

    The sizes it gives are those of an uncropped square of `side` pixels (SDXL, arXiv 2307.01952, section 2.2).
    """

    def __init__(
        self,
        tokenizers: Sequence[PreTrainedTokenizerFast],
        text_encoder: CLIPTextModel,
        text_encoder_2: CLIPTextModelWithProjection,
        side: int,
        zeros: bool = True,
    ) -> None:
        """`zeros`: whether the empty prompt is all zeros, as the base was trained."""
        super().__init__()
        self.tokenizers, self.side, self.zeros = tuple(tokenizers), side, zeros
        self.text_encoder, self.text_encoder_2 = text_encoder, text_encoder_2
        self.register_buffer("empty", self.tokenize([""]), persistent=False)

    def tokenize(self, inputs: Sequence[Input]) -> Tensor:
        """Prompts → ids of both tokenizers side by side `(N, 2·S)` int64. BadInput: not text."""
        return torch.cat([tokenized(tokenizer, inputs) for tokenizer in self.tokenizers], dim=1)

    def beyond(self, inputs: Sequence[Input]) -> list[str]:
        """The end of each prompt that has more tokens than the first tokenizer's length; both cut alike."""
        return beyond(self.tokenizers[0], inputs)

    def forward(self, ids: Tensor) -> Conditioning:
        """Ids `(N, 2·S)` → hidden states `(N, S, D1 + D2)`, pooled text `(N, D2)`, sizes `(N, 6)`."""
        first, second = ids.chunk(2, dim=1)
        one = self.text_encoder(first, output_hidden_states=True)
        two = self.text_encoder_2(second, output_hidden_states=True)
        hidden = torch.cat([one.hidden_states[-2], two.hidden_states[-2]], dim=-1)
        pooled = two.text_embeds
        if self.zeros:
            said = (ids != cast(Tensor, self.empty)).any(dim=1).to(hidden.dtype)
            hidden, pooled = hidden * said[:, None, None], pooled * said[:, None]
        sizes = torch.tensor([self.side, self.side, 0, 0, self.side, self.side], device=ids.device, dtype=hidden.dtype)
        return Conditioning(encoder_hidden_states=hidden, text_embeds=pooled, time_ids=sizes.expand(ids.shape[0], 6))


def assemble(
    conditioner: DualConditioner, unet: TextTimeUNet, vae: AutoencoderKL, scheduler: dict[str, Any]
) -> Pipeline:
    """Put the components together as a `text-to-image` pipeline."""
    autoencoder = latent_autoencoder(vae)
    return Pipeline(TASK, conditioner, unet, autoencoder, scheduler, architecture(unet).latent_shape)


def check(name: str) -> Base:
    """What `name` is, after all that can be known without loading it. BadInput: no such base, or not whole."""
    base = Base.at(name)
    for component in ("tokenizer", "tokenizer_2"):
        tokenizer_files.check(base.folder / component)
    check_fit(base, sum(base.config(component)["hidden_size"] for component in ENCODERS))
    if (added := base.config("unet").get("addition_embed_type")) != "text_time":
        raise BadInput(f"{base.folder} cannot be a base: its UNet has addition_embed_type {added}; accepted: text_time")
    base_scheduler(base.scheduler(), name)
    for component, kind in {**ENCODERS, "unet": TextTimeUNet, "vae": vae_class(base)}.items():
        base.check(component, kind)
    return base


def load(name: str) -> Pipeline:
    """A local diffusers folder, a Hub name or one file, in float32. BadInput, before anything loads: it is no such base."""
    base = check(name)
    unet, vae = base.network("unet", TextTimeUNet), base.network("vae", vae_class(base))
    side = int(unet.config["sample_size"]) * 2 ** (len(vae.config["block_out_channels"]) - 1)
    index = component_configs.index(base.folder)
    conditioner = DualConditioner(
        [tokenizer_files.load(base.folder / component) for component in ("tokenizer", "tokenizer_2")],
        base.network("text_encoder", CLIPTextModel),
        base.network("text_encoder_2", CLIPTextModelWithProjection),
        side,
        bool(index.get("force_zeros_for_empty_prompt", True)),
    )
    return assemble(conditioner, unet, vae, base_scheduler(base.scheduler(), name))


def original_layout(pipeline: Pipeline) -> Layout:
    """The published one."""
    return XL


def save(pipeline: Pipeline, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the diffusers folder that stock `StableDiffusionXLPipeline` opens; `folder` must not exist yet."""
    conditioner = cast(DualConditioner, pipeline.conditioner)
    networks = (conditioner.text_encoder, conditioner.text_encoder_2, cast(LatentAutoencoder, pipeline.autoencoder).vae)
    text_encoder, text_encoder_2, vae = (copy.deepcopy(network).to("cpu", dtype) for network in networks)
    tokenizer, tokenizer_2 = conditioner.tokenizers
    scheduler = getattr(diffusers, pipeline.scheduler["_class_name"])
    stock = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=text_encoder,
        text_encoder_2=text_encoder_2,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        unet=from_config.in_class(UNet2DConditionModel, cast(TextTimeUNet, pipeline.denoiser), dtype),
        scheduler=scheduler.from_config(pipeline.scheduler),
        force_zeros_for_empty_prompt=conditioner.zeros,
        add_watermarker=False,
    )
    stock.save_pretrained(folder, safe_serialization=True)
    name_as_released(folder / "text_encoder" / "model.safetensors")
    for component, ours in (("tokenizer", tokenizer), ("tokenizer_2", tokenizer_2)):
        tokenizer_files.save(ours, folder / component)
