"""A tiny Versatile Diffusion with random weights, as stock diffusers' classes write the published layout."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.pipelines.deprecated.versatile_diffusion.modeling_text_unet import UNetFlatConditionModel
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from models import optimus
from tests import tiny

SIDE, PATCH, WIDTH, LATENT = 16, 8, 32, 24
"""Pixels of a picture as CLIP sees it and of its patches, channels of a context, numbers of a text."""
PLAN: dict[str, Any] = {
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "cross_attention_dim": WIDTH,
    "attention_head_dim": 8,
    "norm_num_groups": 8,
}


def write_optimus(folder: Path) -> Path:
    """A tiny Optimus as its own folder, with tokenizers of single letters."""
    torch.manual_seed(1)
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    gpt2 = {"vocab_size": 56, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40}
    network = optimus.Optimus(bert={**tower, "vocab_size": 57}, gpt2=gpt2, latent_size=LATENT)
    with torch.no_grad():
        network.reader.embeddings.word_embeddings.weight.normal_()
        network.writer.wte.weight.normal_()  # so that what is likeliest changes with the text
        network.writer.wpe.weight.normal_(std=20)  # and with its place in it
        network.added.weight.normal_()
    network.save_pretrained(folder)
    letters, marks = list(string.ascii_lowercase), ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / optimus.READER).mkdir()
    words = [*marks, *letters, *(f"##{letter}" for letter in letters)]
    (folder / optimus.READER / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / optimus.WRITER).mkdir()
    pieces = [*letters, *(f"\u0120{letter}" for letter in letters[:-1]), "\u0120", "<|endoftext|>"]
    (folder / optimus.WRITER / "vocab.json").write_text(
        json.dumps({piece: index for index, piece in enumerate(pieces)})
    )
    (folder / optimus.WRITER / "merges.txt").write_text("#version: 0.2\n")
    return folder


def write(folder: Path, library: str | None = "versatile_diffusion") -> Path:
    """The folder; `library` is where its index says that the text UNet comes from."""
    torch.manual_seed(0)
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = CLIPTextConfig(
        **tower, vocab_size=54, max_position_embeddings=tiny.TOKENS, projection_dim=WIDTH, bos_token_id=52,
        eos_token_id=53, pad_token_id=53,
    )  # fmt: skip
    vision = CLIPVisionConfig(**tower, image_size=SIDE, patch_size=PATCH, projection_dim=WIDTH)
    image_unet = UNet2DConditionModel(
        **PLAN, sample_size=4, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    text_unet = UNetFlatConditionModel(
        **PLAN, in_channels=(LATENT, 1, 1), out_channels=(LATENT, 1, 1),
        down_block_types=("CrossAttnDownBlockFlat", "DownBlockFlat"),
        up_block_types=("UpBlockFlat", "CrossAttnUpBlockFlat"),
    )  # fmt: skip
    parts = {
        "text_encoder": CLIPTextModelWithProjection(text),
        "image_encoder": CLIPVisionModelWithProjection(vision),
        "image_unet": image_unet,
        "text_unet": text_unet,
        "vae": tiny.vae(),
        "scheduler": DDIMScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False,
            timestep_spacing="trailing",
        ),
        "tokenizer": tiny.tokenizer(),
        "image_feature_extractor": CLIPImageProcessor(size=SIDE, crop_size=SIDE),
    }  # fmt: skip
    index: dict[str, Any] = {"_class_name": "VersatileDiffusionPipeline", "_diffusers_version": "0.8.0"}
    for name, part in parts.items():
        part.save_pretrained(folder / name)
        index[name] = ["transformers" if "transformers" in type(part).__module__ else "diffusers", type(part).__name__]
    index["text_unet"] = [library, "UNetFlatConditionModel"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
