"""Pipelines of the real classes with random weights, at Stable Diffusion 1.4's size or tiny; they draw nothing worth seeing.

python -m benchmarks.size.random_networks FOLDER [--teacher] [--small]
"""

from __future__ import annotations

import json
import string
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from base.command import run
from models import folder as folders
from models import stable_diffusion
from models.architecture import architecture
from models.pipeline import Pipeline
from models.scheduler_configs import student_scheduler


@dataclass(frozen=True)
class Size:
    """Keyword arguments of the real classes, where they are not Stable Diffusion 1.4's."""

    latent: int = 64
    blocks: tuple[int, ...] = (320, 640, 1280, 1280)
    autoencoder: tuple[int, ...] = (128, 256, 512, 512)
    text: tuple[int, int, int] = (768, 12, 12)  # width, layers, heads


FULL, SMALL = Size(), Size(32, (32, 32, 64, 64), (32, 32, 64, 64), (32, 1, 2))
"""The small one's deepest level is still 4×4: a side of 1 is a constant to torch's export, and its graph knows no other."""


def unet(size: Size) -> UNet2DConditionModel:
    """The denoiser, in float32."""
    return UNet2DConditionModel(
        sample_size=size.latent, block_out_channels=size.blocks, cross_attention_dim=size.text[0]
    ).eval()


def student(size: Size, decoder: str) -> Pipeline:
    """A one-step student with random weights, decoding by `AutoencoderKL` or `AutoencoderTiny`."""
    torch.manual_seed(0)
    width, layers, heads = size.text
    clip = CLIPTextConfig(
        hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=heads,
        vocab_size=49408, max_position_embeddings=77, bos_token_id=49406, eos_token_id=49407, pad_token_id=49407,
    )  # fmt: skip
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    large = {"block_out_channels": size.autoencoder, "layers_per_block": 2, "latent_channels": 4}
    vae = AutoencoderTiny() if decoder == "tiny" else AutoencoderKL(**kinds, **large, sample_size=8 * size.latent)
    networks = (CLIPTextModel(clip).eval(), unet(size), vae.eval())
    scheduler = student_scheduler(stable_diffusion.TEACHER_SCHEDULER)
    return stable_diffusion.assemble(prompt_tokenizer(), *networks, scheduler)


def students(size: Size) -> dict[str, Pipeline]:
    """By decoder; everything else is one and the same."""
    whole = student(size, "KL")
    return {"KL": whole, "tiny": replace(whole, autoencoder=student(SMALL, "tiny").autoencoder)}


def reduced(whole: Pipeline) -> Pipeline:
    """The same with the UNet that `reduce: tiny` leaves of it (BK-SDM, arXiv 2305.15798)."""
    return replace(whole, denoiser=architecture(whole.denoiser).reduced("tiny").eval())


def prompt_tokenizer() -> CLIPTokenizer:
    """Letters only, with CLIP's special tokens and length: what a prompt becomes does not change the time it takes."""
    pieces = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    special = {"<|startoftext|>": 49406, "<|endoftext|>": 49407}
    return CLIPTokenizer(vocab={**vocabulary, **special}, merges=[], model_max_length=77)


def main(folder: Path, teacher: bool = False, small: bool = False) -> None:
    """Write a student or its teacher in fp16 as diffusers does, for another process; the last line of stdout is JSON."""
    size = SMALL if small else FULL
    pipeline = student(size, "KL")
    if teacher:
        pipeline.scheduler = dict(stable_diffusion.TEACHER_SCHEDULER)
    folders.save(pipeline, folder, torch.float16)
    print(json.dumps({"written": str(folder), "side": 8 * size.latent}))


if __name__ == "__main__":
    run(main)
