"""One file in the original layout: read again by ippo and by diffusers to the bit, named as the published files are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from base.errors import BadInput
from models import folder as folders
from models import stable_diffusion
from models.pipeline import Pipeline
from models.save_single_file import packed, unused
from models.scheduler_configs import student_scheduler
from models.stable_diffusion_file import FIRST, SECOND, XL, Layout
from tests import tiny
from tests.models.test_stable_diffusion_file import clip, open_clip, single


def second() -> Pipeline:
    """A tiny base whose text encoder is OpenCLIP's kind."""
    pipeline = tiny.student()
    text: Any = pipeline.conditioner.get_submodule("text_encoder")
    text.config.hidden_act = "gelu"
    return pipeline


def xl_student() -> Pipeline:
    pipeline = tiny.xl_teacher()
    pipeline.scheduler = student_scheduler(pipeline.scheduler, "v_prediction")
    return pipeline


BASES: dict[str, Any] = {
    "1": (tiny.student, StableDiffusionPipeline, clip, "stable-diffusion-v1"),
    "2": (second, StableDiffusionPipeline, open_clip, "stable-diffusion-v2-768-v"),
    "xl": (xl_student, StableDiffusionXLPipeline, clip, "stable-diffusion-xl-v1-base"),
}


def states(pipeline: Any) -> list[dict[str, torch.Tensor]]:
    return [pipeline.conditioner.state_dict(), pipeline.denoiser.state_dict(), pipeline.autoencoder.state_dict()]


@pytest.mark.parametrize("version", [*BASES])
def test_it_opens_here_and_in_diffusers_to_the_bit(tmp_path: Path, version: str) -> None:
    make, kind, text, architecture = BASES[version]
    pipeline, file = make(), tmp_path / "one.safetensors"
    folders.save_single_file(pipeline, file, "one", torch.float32)
    ours = folders.load(file)
    assert ours.scheduler == {**ours.scheduler, **pipeline.scheduler} and ours.is_student
    for mine, theirs in zip(states(ours), states(pipeline), strict=True):
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)

    # The same names and numbers as the tests' own table of the published names has
    stored, expected = load_file(file), single(pipeline, text)
    marks = {"v_pred", "ztsnr"}
    assert {name for name in stored if not name.endswith("position_ids")} == expected.keys() | marks
    for name in expected:
        odd = ".attn_1." in name and stored[name].ndim == 4  # published autoencoders keep these as convolutions
        assert torch.equal(stored[name].flatten(1) if odd else stored[name], expected[name]), name

    stock = kind.from_single_file(str(file), config=str(tmp_path / "one"), local_files_only=True)
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        if (theirs := getattr(stock, part, None)) is not None:
            weights = {"unet": ours.denoiser, "vae": getattr(ours.autoencoder, "vae", None)}.get(part)
            mine = (weights or ours.conditioner.get_submodule(part)).state_dict()
            given = theirs.state_dict()
            assert all(torch.equal(mine[name], given[name]) for name in given), part
    assert type(stock.scheduler).__name__ == "LCMScheduler"
    with safe_open(file, "pt") as opened:
        said = opened.metadata()
    assert (said["modelspec.architecture"], said["modelspec.prediction_type"]) == (architecture, "v")
    assert said["modelspec.resolution"] == "16x16" and "LCM" in said["modelspec.usage_hint"]


def test_latents_of_other_than_four_channels_come_back(tmp_path: Path) -> None:
    pipeline, file = tiny.student(), tmp_path / "one.safetensors"
    wide = UNet2DConditionModel.from_config({**tiny.unet().config, "in_channels": 8, "out_channels": 8}).eval()
    vae = AutoencoderKL.from_config({**tiny.vae().config, "latent_channels": 8}).eval()
    text = pipeline.conditioner
    made = stable_diffusion.assemble(
        tiny.tokenizer(), text.get_submodule("text_encoder"), wide, vae, pipeline.scheduler
    )
    folders.save_single_file(made, file, "one", torch.float32)
    ours = folders.load(file)
    for mine, theirs in zip(states(ours), states(made), strict=True):
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_teacher_of_epsilon_has_no_marks_and_half_precision_is_half(tmp_path: Path) -> None:
    pipeline, file = tiny.xl_teacher(), tmp_path / "one.safetensors"
    why = folders.save_single_file(pipeline, file, "one")
    assert why == "its UNet is 16, 32 wide, Stable Diffusion XL's 320, 640, 1280"
    stored = load_file(file)
    assert not {"v_pred", "ztsnr"} & stored.keys()
    assert {value.dtype for name, value in stored.items() if "position_ids" not in name} == {torch.float16}
    assert not list((tmp_path / "one").glob("*/*.safetensors"))
    folders.save_single_file(pipeline, file, "one")  # its own files may be written again
    assert folders.load(file).scheduler["prediction_type"] == "epsilon"


def test_what_has_no_place_in_the_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="class-to-image pipeline has no single-file layout"):
        folders.save_single_file(tiny.pixel_student(), tmp_path / "x.safetensors", "x")
    with pytest.raises(BadInput, match=r"ends in \.safetensors, got x"):
        folders.save_single_file(tiny.student(), tmp_path / "x", "x")
    folders.save(tiny.student(), tmp_path / "mine")
    with pytest.raises(BadInput, match="mine is in the way"):
        folders.save_single_file(tiny.student(), tmp_path / "mine.safetensors", "x")
    assert (tmp_path / "mine/unet/diffusion_pytorch_model.safetensors").is_file()
    small = tiny.student()
    small.denoiser.down_blocks[0] = torch.nn.Identity()  # type: ignore[index,union-attr]
    with pytest.raises(BadInput, match="layout has no Identity"):
        folders.save_single_file(small, tmp_path / "x.safetensors", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


CLIP_L: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}
UNET: dict[str, Any] = {"sample_size": 64, "block_out_channels": (320, 640, 1280, 1280)}
PUBLISHED: dict[str, tuple[Layout, dict[str, Any], dict[str, dict[str, Any]]]] = {
    "1": (FIRST, {**UNET, "cross_attention_dim": 768, "attention_head_dim": 8}, {"text_encoder": CLIP_L}),
    "2": (
        SECOND,
        {**UNET, "cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True},
        {"text_encoder": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23}},
    ),
    "xl": (
        XL,
        {
            "sample_size": 128,
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 10),
            "attention_head_dim": (5, 10, 20),
            "cross_attention_dim": 2048,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        {
            "text_encoder": CLIP_L,
            "text_encoder_2": {
                "hidden_size": 1280,
                "intermediate_size": 5120,
                "num_hidden_layers": 32,
                "projection_dim": 1280,
            },
        },
    ),
}
COUNTS = {"1": (686, 248, 197), "2": (686, 248, 294), "xl": (1680, 248, 197 + 390 - 1)}
"""Tensors in the published files: of the UNet, the autoencoder, the text encoders.

Of SDXL's OpenCLIP, ours lack `logit_scale`, which nothing reads.
"""
SHAPES = {
    "1": {
        "input_blocks.1.1.proj_in.weight": (320, 320, 1, 1),
        "output_blocks.11.1.transformer_blocks.0.norm1.bias": (320,),
    },
    "2": {"middle_block.1.proj_in.weight": (1280, 1280), "output_blocks.8.2.conv.weight": (640, 640, 3, 3)},
    "xl": {
        "label_emb.0.0.weight": (1280, 2816),
        "input_blocks.6.0.op.weight": (640, 640, 3, 3),
        "output_blocks.2.2.conv.bias": (1280,),
        "output_blocks.5.1.transformer_blocks.1.attn2.to_k.weight": (640, 2048),
        "middle_block.1.transformer_blocks.9.ff.net.0.proj.weight": (10240, 1280),
    },
}


@pytest.mark.parametrize("version", [*PUBLISHED])
def test_the_published_networks_get_the_published_names_and_shapes(version: str) -> None:
    layout, unet, texts = PUBLISHED[version]
    with torch.device("meta"):
        parts: dict[str, Any] = {"unet": UNet2DConditionModel(**unet), "vae": vae()}
        for name, config in texts.items():
            kind = CLIPTextModelWithProjection if name == "text_encoder_2" else CLIPTextModel
            parts[name] = kind(CLIPTextConfig(**config))
    shapes = {part: network.state_dict() for part, network in parts.items()}
    entries = {part: layout.entries(part, network) for part, network in parts.items()}
    named = {
        front + entry.original: entry.shape({name: tuple(value.shape) for name, value in shapes[part].items()})
        for part, front in layout.parts.items()
        for entry in entries[part]
    }
    fronts = ("model.diffusion_model.", "first_stage_model.", ("conditioner.", "cond_stage_model."))
    for part, front in layout.parts.items():
        named |= {front + name: shape for name, shape in unused(layout, part, parts[part]).items()}
    counts = [sum(name.startswith(front) for name in named) for front in fronts]
    assert (counts[0], counts[1], counts[2] + (version != "2")) == COUNTS[
        version
    ]  # position_ids is written beside them
    assert all(named[f"model.diffusion_model.{name}"] == shape for name, shape in SHAPES[version].items())
    assert named["first_stage_model.decoder.up.0.block.0.nin_shortcut.weight"] == (128, 256, 1, 1)
    assert named["first_stage_model.encoder.mid.attn_1.q.weight"] == (512, 512, 1, 1)

    # diffusers' own tables lead back to every tensor
    meta = {name: torch.empty(shape, device="meta") for name, shape in named.items()}
    back = convert_ldm_unet_checkpoint(dict(meta), dict(parts["unet"].config))
    assert {name: value.shape for name, value in back.items()} == {
        name: value.shape for name, value in shapes["unet"].items()
    }
    back = convert_ldm_vae_checkpoint(dict(meta), dict(parts["vae"].config))
    assert back.keys() == shapes["vae"].keys()


def vae() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        latent_channels=4,
        layers_per_block=2,
    )


def test_openclips_names_are_the_published_ones() -> None:
    layout, _, texts = PUBLISHED["xl"]
    with torch.device("meta"):
        network = CLIPTextModelWithProjection(CLIPTextConfig(**texts["text_encoder_2"]))
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    named = {entry.original: entry.shape(shapes) for entry in layout.entries("text_encoder_2", network)}
    assert named["text_projection"] == (1280, 1280) and named["positional_embedding"] == (77, 1280)
    assert named["transformer.resblocks.31.attn.in_proj_weight"] == (3840, 1280)
    inner = {re.sub(r"resblocks\.\d+\.", "", name) for name in named}
    assert inner == {
        *(
            f"transformer.{layer}.{end}"
            for layer in ("ln_1", "ln_2", "mlp.c_fc", "mlp.c_proj")
            for end in ("weight", "bias")
        ),
        *(
            f"transformer.attn.{name}"
            for name in ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
        ),
        *("ln_final.weight", "ln_final.bias", "token_embedding.weight", "positional_embedding", "text_projection"),
    }


def test_query_key_and_value_are_one_matrix_and_the_projection_lies_across() -> None:
    network: Any = tiny.xl_teacher().conditioner.get_submodule("text_encoder_2")
    parts = {"text_encoder": network, "text_encoder_2": network, "unet": tiny.unet(), "vae": tiny.vae()}
    stored = packed(parts, XL, torch.float32)
    front = "conditioner.embedders.1.model."
    attention = network.text_model.encoder.layers[0].self_attn
    rows = torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight])
    assert torch.equal(stored[f"{front}transformer.resblocks.0.attn.in_proj_weight"], rows)
    assert torch.equal(stored[f"{front}text_projection"], network.text_projection.weight.T)
