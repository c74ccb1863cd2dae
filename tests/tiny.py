"""Tiny networks of the real classes, random weights: what the tests train, export and serve."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from models import ddpm, prefix_captioner, stable_diffusion, stable_diffusion_xl, versatile_diffusion
from models.columns import Columns
from models.context_encoder import ContextEncoder
from models.pipeline import Pipeline
from models.prefix_captioner import PrefixCaptioner
from models.schedule import Prediction
from models.scheduler_configs import student_scheduler, teacher_scheduler
from models.unet import TextTimeUNet
from models.versatile_unet import VersatileUNet
from models.writer import Writer

TOKENS = 8
WIDTH = 32
CLASSES = ("red", "green", "blue", "yellow")
SLOTS = {"type": ("Man", "Ape"), "hat": ("Cap", "Crown", "Fez"), "mouth": ("Pipe",)}

UNET: dict[str, Any] = {
    "block_out_channels": [8, 16],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "attention_head_dim": 2,
    "norm_num_groups": 4,
}
"""Of a denoiser that a test configures: everything but its shape."""


def tokenizer() -> CLIPTokenizer:
    """A byte-pair tokenizer of single letters: every lower-case ASCII word is known by its letters."""
    pieces = [*string.ascii_lowercase, *(letter + "</w>" for letter in string.ascii_lowercase)]
    vocabulary = {piece: index for index, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=TOKENS)


def text_encoder() -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=54,
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=52,
        eos_token_id=53,
        pad_token_id=53,
    )
    return CLIPTextModel(config).eval()


def unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=4,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
        norm_num_groups=8,
    ).eval()


def vae() -> AutoencoderKL:
    """Images of 16 pixels ↔ 4×4 latents of 4 channels."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 16),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
        scaling_factor=0.5,
        sample_size=16,
    ).eval()


def teacher(seed: int = 0, **scheduler: Any) -> Pipeline:
    """A random v-prediction teacher; keyword arguments change its scheduler."""
    torch.manual_seed(seed)
    config = {**stable_diffusion.TEACHER_SCHEDULER, **scheduler}
    return stable_diffusion.assemble(tokenizer(), text_encoder(), unet(), vae(), config)


def student(seed: int = 0, **scheduler: Any) -> Pipeline:
    """The same networks with the student's scheduler."""
    pipeline = teacher(seed)
    pipeline.scheduler = student_scheduler({**pipeline.scheduler, **scheduler})
    return pipeline


def pixel_unet(width: int = 16, channels: int = 1) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=width,
        attention_head_dim=8,
        norm_num_groups=8,
    ).eval()


def pixel_teacher(
    seed: int = 0, classes: tuple[str, ...] = CLASSES, prediction: Prediction = "v_prediction"
) -> Pipeline:
    """A random teacher of the pixel family: grey images of 16 pixels, drawn at 8."""
    torch.manual_seed(seed)
    conditioner = ddpm.ClassConditioner(classes, 16)
    scheduler = teacher_scheduler(prediction, "squaredcos_cap_v2")
    return ddpm.assemble(conditioner.eval(), pixel_unet(), ddpm.PixelAutoencoder(1, 2), scheduler)


def pixel_student(seed: int = 0, **teacher: Any) -> Pipeline:
    """The same networks with the student's scheduler."""
    pipeline = pixel_teacher(seed, **teacher)
    pipeline.scheduler = student_scheduler(pipeline.scheduler)
    return pipeline


def attribute_teacher(seed: int = 0) -> Pipeline:
    """A random teacher of attributes: colour images of 8 pixels."""
    torch.manual_seed(seed)
    conditioner = ddpm.AttributeConditioner([*SLOTS], [*SLOTS.values()], 16)
    scheduler = teacher_scheduler("v_prediction", "squaredcos_cap_v2")
    return ddpm.assemble(conditioner.eval(), pixel_unet(channels=3), ddpm.PixelAutoencoder(3, 1), scheduler)


def attribute_student(seed: int = 0) -> Pipeline:
    """The same networks with the student's scheduler."""
    pipeline = attribute_teacher(seed)
    pipeline.scheduler = student_scheduler(pipeline.scheduler)
    return pipeline


def xl_teacher(seed: int = 0) -> Pipeline:
    """A random teacher of two text encoders that is told sizes; epsilon, as SDXL's base."""
    torch.manual_seed(seed)
    config = {**text_encoder().config.to_dict(), "projection_dim": 24, "num_hidden_layers": 2}
    config.pop("architectures", None)
    wider = {**config, "hidden_size": WIDTH + 8}  # as in the real one, which is how the two are told apart in one file
    encoders = [
        network(CLIPTextConfig.from_dict(known)).eval()
        for network, known in ((CLIPTextModel, config), (CLIPTextModelWithProjection, wider))
    ]
    padded = CLIPTokenizer(vocab=tokenizer().get_vocab(), merges=[], model_max_length=TOKENS, pad_token="a")
    conditioner = stable_diffusion_xl.DualConditioner((tokenizer(), padded), *encoders, side=16)  # type: ignore[arg-type]
    known = {key: value for key, value in unet().config.items() if key[0] != "_"}
    sizes = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 72,
    }
    denoiser = TextTimeUNet(**{**known, **sizes, "cross_attention_dim": 2 * WIDTH + 8}).eval()
    scheduler = {**stable_diffusion.TEACHER_SCHEDULER, "prediction_type": "epsilon", "rescale_betas_zero_snr": False}
    return stable_diffusion_xl.assemble(conditioner, denoiser, vae(), scheduler)


COLUMNS = ("text", "text_fr")
"""Kinds of caption of the tiny writer."""


def context_encoder() -> ContextEncoder:
    """Pictures of 16 pixels → two content and two style tokens."""
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return ContextEncoder(vision={**vision, "image_size": 16, "patch_size": 8}, width=WIDTH, pool_tokens=2).eval()


def versatile_teacher(seed: int = 0) -> Pipeline:
    """Random teachers of both flows: images of 16 pixels and captions of eight tokens."""
    torch.manual_seed(seed)
    known = {key: value for key, value in unet().config.items() if key[0] != "_"}
    conditioner = versatile_diffusion.VersatileConditioner(tokenizer(), text_encoder(), context_encoder())
    writer = Writer(vocabulary=54, length=TOKENS, channels=8, width=16, layers=2, heads=2, context_width=WIDTH).eval()
    columns = Columns(columns=COLUMNS, width=WIDTH)
    schedulers = (stable_diffusion.TEACHER_SCHEDULER, teacher_scheduler("sample", "squaredcos_cap_v2"))
    return versatile_diffusion.assemble(conditioner, VersatileUNet(**known).eval(), vae(), columns, writer, schedulers)


def captioner(columns: Sequence[str] = COLUMNS) -> PrefixCaptioner:
    """A random captioner that writes token by token behind the same encoder's tokens."""
    torch.manual_seed(0)
    return prefix_captioner.build(context_encoder(), tokenizer(), columns, layers=1, heads=2)


def versatile_student(seed: int = 0) -> Pipeline:
    """The same networks with the students' schedulers."""
    pipeline = versatile_teacher(seed)
    for flow in (pipeline, *pipeline.siblings):
        flow.scheduler = student_scheduler(flow.scheduler)
    return pipeline
