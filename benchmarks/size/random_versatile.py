"""The published Versatile Diffusion with Optimus, of the real classes with random weights in fp16, or tiny; it draws nothing.

python -m benchmarks.size.random_versatile FOLDER [--small]
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, DDIMScheduler
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from base.command import run
from benchmarks.size.random_networks import prompt_tokenizer
from export.convert_versatile import OPTIMUS, PLAN
from models import optimus
from models.optimus import Optimus
from models.published_layout import FLAT, NETWORK, flat_config
from models.published_text_unet import PublishedTextUNet
from models.published_unet import IMAGE, TEXT, PublishedUNet, stored_as

SMALL_PLAN: dict[str, Any] = {
    **PLAN, "block_out_channels": [16, 32], "layers_per_block": 1, "cross_attention_dim": 32, "norm_num_groups": 8,
    "sample_size": 8, "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
}  # fmt: skip
_TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
SMALL_OPTIMUS: dict[str, Any] = {
    **OPTIMUS, "bert": {**_TOWER, "vocab_size": 60}, "gpt2": {"vocab_size": 60, "n_embd": 16, "n_layer": 2, "n_head": 2},
}  # fmt: skip
TEXT_TOWER = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12, "projection_dim": 768,
}  # fmt: skip
VISION_TOWER = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 224,
    "patch_size": 14, "projection_dim": 768,
}  # fmt: skip
"""Of CLIP ViT-L/14."""


def main(folder: Path, small: bool = False) -> None:
    """Write the folder; the last line of stdout is JSON."""
    plan = SMALL_PLAN if small else PLAN
    text = CLIPTextConfig(
        **({**_TOWER, "projection_dim": 32} if small else TEXT_TOWER), vocab_size=49408, max_position_embeddings=77,
        bos_token_id=49406, eos_token_id=49407, pad_token_id=49407,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        **({**_TOWER, "projection_dim": 32, "image_size": 16, "patch_size": 8} if small else VISION_TOWER)
    )
    channels = (32, 32, 64, 64) if small else (128, 256, 512, 512)
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    makers: dict[str, Callable[[], Any]] = {
        "text_encoder": lambda: CLIPTextModelWithProjection(text),
        "image_encoder": lambda: CLIPVisionModelWithProjection(vision),
        "vae": lambda: AutoencoderKL(**kinds, block_out_channels=channels, layers_per_block=2, latent_channels=4),
        optimus.FOLDER: lambda: Optimus.from_config(SMALL_OPTIMUS if small else OPTIMUS),
    }
    for name, make in makers.items():
        filled(make).save_pretrained(folder / name)
    image, words = image_unet(plan), text_unet(plan)
    store_unets(folder, image, words)
    for part, config in ((IMAGE, plan), (TEXT, flat_config(plan))):
        (folder / part / "config.json").write_text(json.dumps(config))
    prompt_tokenizer().save_pretrained(folder / "tokenizer")
    betas = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    DDIMScheduler(**betas, clip_sample=False, set_alpha_to_one=False, steps_offset=1).save_pretrained(
        folder / "scheduler"
    )
    _caption_tokenizers(folder / optimus.FOLDER)
    index = {"_class_name": "VersatileDiffusionPipeline", TEXT: ["versatile_diffusion", FLAT]}
    (folder / "model_index.json").write_text(json.dumps(index))
    print(json.dumps({"written": str(folder)}))


def image_unet(plan: dict[str, Any]) -> PublishedUNet:
    """The image UNet with both kinds of context."""
    return cast(PublishedUNet, filled(lambda: PublishedUNet.from_config(plan)))


def text_unet(plan: dict[str, Any]) -> PublishedTextUNet:
    """The text UNet with transformers of its own."""
    return cast(PublishedTextUNet, filled(lambda: PublishedTextUNet.from_config(flat_config(plan))))


def store_unets(folder: Path, image: PublishedUNet, text: nn.Module) -> dict[str, Path]:
    """The weights of both in the two files of the published layout, text's transformers being the image UNet's: the files."""
    parts: dict[str, dict[str, Tensor]] = {IMAGE: {}, TEXT: {}}
    for name, weight in image.state_dict().items():
        part, stored = stored_as(name)
        parts[part or IMAGE][stored] = weight
    parts[TEXT] |= {name: weight for name, weight in text.state_dict().items() if ".attentions." not in name}
    for part, weights in parts.items():
        (folder / part).mkdir(parents=True)
        save_file(weights, folder / part / NETWORK, metadata={"format": "pt"})
    return {part: folder / part / NETWORK for part in parts}


def filled(make: Callable[[], nn.Module]) -> Any:
    """A network of random numbers in fp16; large tensors repeat some of them, which takes no time."""
    with init_empty_weights(include_buffers=False):
        network = make()
    block = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0)).half() * 0.02
    for module in network.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                count = weight.numel()
                values = block.repeat(-(-count // len(block)))[:count].reshape(weight.shape)
                module._parameters[name] = nn.Parameter(values, requires_grad=False)
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.is_floating_point():
                module._buffers[name] = buffer.half()
    return network.eval()


def _caption_tokenizers(folder: Path) -> None:
    """Of letters only: which words come out changes nothing that is measured."""
    letters, marks = list(string.ascii_lowercase), ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / optimus.READER).mkdir()
    (folder / optimus.READER / "vocab.txt").write_text("\n".join([*marks, *letters]) + "\n")
    (folder / optimus.WRITER).mkdir()
    pieces = [*letters, "\u0120", "<|endoftext|>"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    (folder / optimus.WRITER / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / optimus.WRITER / "merges.txt").write_text("#version: 0.2\n")


if __name__ == "__main__":
    run(main)
