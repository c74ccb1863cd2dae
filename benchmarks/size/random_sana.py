"""A SANA base of the real classes with random weights in bf16, 0.6 B and Gemma-2 as published, or tiny; it draws nothing.

python -m benchmarks.size.random_sana FOLDER [--small]
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderDC, DPMSolverMultistepScheduler, SanaPipeline, SanaTransformer2DModel
from tokenizers import Tokenizer, models, processors
from torch import nn
from transformers import Gemma2Config, Gemma2Model, GemmaTokenizer

from base.command import run

TOKENS = 300
"""Of a prompt, as published."""
_PIECE = 2**22
"""Weights that are drawn; all others repeat them, which changes neither memory nor time."""
TRANSFORMER: dict[str, Any] = {
    "num_attention_heads": 36, "attention_head_dim": 32, "num_layers": 28, "num_cross_attention_heads": 16,
    "cross_attention_head_dim": 72, "cross_attention_dim": 1152, "caption_channels": 2304, "sample_size": 16,
}  # fmt: skip
"""Of the 0.6 B at 512 pixels; what is not named is the class's own default, as that of autoencoder and text encoder is."""
SMALL_TRANSFORMER: dict[str, Any] = {
    "in_channels": 4, "out_channels": 4, "num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 3,
    "num_cross_attention_heads": 2, "cross_attention_head_dim": 8, "cross_attention_dim": 16, "caption_channels": 16,
    "sample_size": 8,
}  # fmt: skip
SMALL_AUTOENCODER: dict[str, Any] = {
    "latent_channels": 4, "encoder_block_out_channels": (8, 8, 16), "decoder_block_out_channels": (8, 8, 16),
    "encoder_layers_per_block": (1, 1, 1), "decoder_layers_per_block": (1, 1, 1), "attention_head_dim": 8,
    "encoder_block_types": "ResBlock", "decoder_block_types": "ResBlock",
    "encoder_qkv_multiscales": ((), (), ()), "decoder_qkv_multiscales": ((), (), ()),
}  # fmt: skip
SMALL_TEXT: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
    "head_dim": 8, "query_pre_attn_scalar": 8, "vocab_size": 64,
}  # fmt: skip


def main(folder: Path, small: bool = False) -> None:
    """Write the base as stock diffusers does, tensor by tensor; the last line of stdout is JSON."""
    text = Gemma2Config(**(SMALL_TEXT if small else {}), pad_token_id=0, eos_token_id=1, bos_token_id=2)
    with init_empty_weights(include_buffers=False):
        networks: dict[str, Any] = {
            "text_encoder": Gemma2Model(text),
            "vae": AutoencoderDC(**(SMALL_AUTOENCODER if small else {"scaling_factor": 0.41407})),
            "transformer": SanaTransformer2DModel(**(SMALL_TRANSFORMER if small else TRANSFORMER)),
        }
    scheduler = DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, algorithm_type="dpmsolver++"
    )
    words = tokenizer()
    SanaPipeline(tokenizer=words, scheduler=scheduler, **networks).save_config(folder)
    words.save_pretrained(folder / "tokenizer")
    scheduler.save_pretrained(folder / "scheduler")
    for name, network in networks.items():
        (folder / name).mkdir()
        if isinstance(network, Gemma2Model):
            network.config.save_pretrained(folder / name)
            random_weights(network, folder / name / "model.safetensors")
        else:
            network.save_config(folder / name)
            random_weights(network, folder / name / "diffusion_pytorch_model.safetensors")
    print(json.dumps({"written": str(folder), "side": 32 if small else 512}))


def random_weights(network: nn.Module, file: Path) -> None:
    """The safetensors of a network without weights: small random ones in bf16, of which no more than a piece is in memory."""
    values = torch.empty(_PIECE, dtype=torch.bfloat16).normal_(std=0.02, generator=torch.Generator().manual_seed(0))
    piece: bytes = values.view(torch.uint8).numpy().tobytes()
    head, end = dict[str, Any](__metadata__={"format": "pt"}), 0
    for name, weight in network.state_dict().items():
        begin, end = end, end + 2 * weight.numel()
        head[name] = {"dtype": "BF16", "shape": list(weight.shape), "data_offsets": [begin, end]}
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for begin in range(0, end, len(piece)):
            out.write(piece if end - begin >= len(piece) else piece[: end - begin])


def tokenizer() -> GemmaTokenizer:
    """Letters only, with Gemma's special tokens: what a prompt becomes does not change what it takes."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *"abcdefghijklmnopqrstuvwxyz"]
    words = GemmaTokenizer(
        vocab={piece: index for index, piece in enumerate(pieces)}, merges=[], model_max_length=TOKENS
    )
    backend: Tokenizer = words.backend_tokenizer
    assert isinstance(backend.model, models.BPE)
    backend.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    return words


if __name__ == "__main__":
    run(main)
