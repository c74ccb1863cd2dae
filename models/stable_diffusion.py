"""The Stable Diffusion family: CLIP text encoder, latent autoencoder, UNet, and its diffusers folder on disk.

It knows nothing about training, graphs or serving. Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import diffusers
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, StableDiffusionPipeline, UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from base.config import Config
from base.errors import BadInput
from models import components
from models.architecture import architecture
from models.conditioning import Conditioning
from models.labels import Input
from models.pipeline import Pipeline
from models.schedule import base_scheduler
from models.task import TextToImage

TASK = TextToImage.name
RELEASED = "text_model."
"""How the names of a text encoder's weights begin in released checkpoints."""

TEACHER_SCHEDULER: dict[str, Any] = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "set_alpha_to_one": True,
    "timestep_spacing": "trailing",
}
"""What a teacher trained from scratch uses: SD's betas, v-prediction, zero terminal SNR (arXiv 2305.08891)."""


WEIGHTS = {
    "conditioner": "text_encoder/model.safetensors",
    "denoiser": "unet/diffusion_pytorch_model.safetensors",
    "autoencoder": "vae/diffusion_pytorch_model.safetensors",
}
"""Where the weights of each part lie in the folder."""


class CLIPConditioner(nn.Module):
    """Prompts → token ids → hidden states of the last layer, as Stable Diffusion 1.x and 2.x condition on them."""

    def __init__(self, tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.text_encoder = text_encoder

    def tokenize(self, inputs: Sequence[Input]) -> Tensor:
        """Prompts → ids `(N, S)` int64, padded and cut to the tokenizer's length. BadInput: not text."""
        return tokenized(self.tokenizer, inputs)

    def forward(self, ids: Tensor) -> Conditioning:
        """Ids `(N, S)` → hidden states `(N, S, D)`."""
        return Conditioning(encoder_hidden_states=self.text_encoder(ids).last_hidden_state)


def tokenized(tokenizer: CLIPTokenizer, inputs: Sequence[Input]) -> Tensor:
    """Prompts → ids `(N, S)` int64, padded and cut to the tokenizer's length. BadInput: not text."""
    if strange := [prompt for prompt in inputs if not isinstance(prompt, str)]:
        raise BadInput(f"a prompt must be text, got {strange[0]!r:.40}")
    length = tokenizer.model_max_length
    encoded = tokenizer(list(inputs), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    return cast(Tensor, encoded["input_ids"])


class LatentAutoencoder(nn.Module):
    """A diffusers VAE behind `encode` and `decode`, with its scaling factor applied on both sides."""

    def __init__(self, vae: AutoencoderKL | AutoencoderTiny) -> None:
        super().__init__()
        self.vae = vae

    @property
    def scaling_factor(self) -> float:
        return float(self.vae.config["scaling_factor"])

    def encode(self, images: Tensor) -> Tensor:
        """`(N, 3, H, W)` in [−1, 1] → scaled latents `(N, C, h, w)`."""
        return self.to_latents(images) * self.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents `(N, C, h, w)` → images `(N, 3, H, W)`."""
        return self.to_images(latents / self.scaling_factor)

    def to_latents(self, images: Tensor) -> Tensor:
        """`(N, 3, H, W)` in [−1, 1] → latents `(N, C, h, w)` as they are: the mode, not a draw."""
        encoded = self.vae.encode(images)
        return cast(Tensor, encoded.latents if isinstance(self.vae, AutoencoderTiny) else encoded.latent_dist.mode())

    def to_images(self, latents: Tensor) -> Tensor:
        """Latents `(N, C, h, w)` as they are → images `(N, 3, H, W)`."""
        return cast(Tensor, self.vae.decode(latents).sample)


def assemble(
    tokenizer: CLIPTokenizer,
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
        autoencoder=LatentAutoencoder(vae),
        scheduler=scheduler,
        latent_shape=architecture(unet).latent_shape,
    )


class Parts(Config):
    """A teacher from scratch."""

    family: Literal["stable_diffusion"] = "stable_diffusion"
    vae: str
    """Run or folder of the autoencoder."""
    clip: str
    """Run or folder of the CLIP whose text encoder conditions."""
    unet: dict[str, Any]
    """Keyword arguments of diffusers' `UNet2DConditionModel`; the text encoder's width is filled in."""


def build(parts: Parts, find: Callable[[str], Path]) -> Pipeline:
    """A fresh denoiser between trained parts; `find` turns the name of a run into a folder."""
    clip = find(parts.clip)
    text_encoder = CLIPTextModel.from_pretrained(clip)
    vae = AutoencoderKL.from_pretrained(find(parts.vae))
    unet = UNet2DConditionModel(cross_attention_dim=text_encoder.config.hidden_size, **parts.unet)
    vae.requires_grad_(False)
    return assemble(CLIPTokenizer.from_pretrained(clip), text_encoder, unet, vae, dict(TEACHER_SCHEDULER))


def load(name: str) -> Pipeline:
    """A local diffusers folder, a Hub name or one file, in float32. BadInput, before anything loads: it is no such base."""
    folder = components.local(name)
    components.tokenizer(folder, "tokenizer")
    components.fit(folder, components.config(folder, "text_encoder")["hidden_size"])
    parts = {"text_encoder": components.TEXT, "unet": components.NETWORK, "vae": components.NETWORK}
    without: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    stock = components.read(StableDiffusionPipeline, name, folder, parts, **without)
    scheduler = base_scheduler({**stock.scheduler.config, "_class_name": type(stock.scheduler).__name__})
    return assemble(stock.tokenizer, stock.text_encoder, stock.unet, stock.vae, scheduler)


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
    save_tokenizer(conditioner.tokenizer, folder / "tokenizer")


def name_as_released(weights: Path) -> None:
    """A text encoder's weights under the names that all released checkpoints have.

    transformers 5 leaves out `text_model.` for a network that came from no checkpoint; transformers 4 then takes none of
    the weights, and draws noise.
    """
    with safe_open(weights, "pt") as opened:
        if any(name.startswith(RELEASED) for name in opened.keys()):  # noqa: SIM118
            return
    beside = weights.with_name(weights.name + ".tmp")  # what is read may still lie in the file
    named = {RELEASED + name: value for name, value in load_file(weights).items()}
    save_file(named, beside, metadata={"format": "pt"})
    os.replace(beside, weights)


def save_tokenizer(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """`tokenizer.json`, and `vocab.json` + `merges.txt` beside it, which older transformers need."""
    tokenizer.save_pretrained(folder)
    tokenizer.backend_tokenizer.model.save(str(folder))
