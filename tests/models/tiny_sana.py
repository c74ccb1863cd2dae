"""A tiny SANA base with random weights, as stock diffusers writes it."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderDC, DPMSolverMultistepScheduler, SanaPipeline, SanaTransformer2DModel
from tokenizers import Tokenizer, models, processors, trainers
from transformers import Gemma2Config, Gemma2Model, GemmaTokenizer

LENGTH = 12
"""Tokens of a prompt."""


def tokenizer() -> GemmaTokenizer:
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    learnt = Tokenizer(models.BPE(unk_token="<unk>"))
    learnt.train_from_iterator(
        ["▁a▁red▁heart", "▁blue▁star"] * 5, trainers.BpeTrainer(vocab_size=60, special_tokens=special)
    )
    values = json.loads(learnt.to_str())["model"]
    words = GemmaTokenizer(
        vocab=values["vocab"], merges=[tuple(merge) for merge in values["merges"]], model_max_length=LENGTH
    )
    start = ("<bos>", values["vocab"]["<bos>"])
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[start])
    return words


def write(folder: Path) -> Path:
    """A base in a folder: images of 16×16, latents of 4×4 with 4 channels."""
    torch.manual_seed(0)
    words = tokenizer()
    text = Gemma2Model(
        Gemma2Config(
            vocab_size=len(words),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            pad_token_id=words.pad_token_id,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
            query_pre_attn_scalar=8,
            sliding_window=16,
        )
    ).eval()
    vae = AutoencoderDC(
        latent_channels=4,
        encoder_block_out_channels=(8, 8, 16),
        decoder_block_out_channels=(8, 8, 16),
        encoder_layers_per_block=(1, 1, 1),
        decoder_layers_per_block=(1, 1, 1),
        attention_head_dim=8,
        encoder_block_types="ResBlock",
        decoder_block_types="ResBlock",
        scaling_factor=0.5,
        encoder_qkv_multiscales=((), (), ()),
        decoder_qkv_multiscales=((), (), ()),
    ).eval()
    transformer = SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=3,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=16,
        sample_size=4,
    ).eval()
    scheduler = DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, algorithm_type="dpmsolver++"
    )
    SanaPipeline(words, text, vae, transformer, scheduler).save_pretrained(folder)
    return folder
