"""Bases in one file of the original layout: what opens draws what its folder draws, everything else is told."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from base.errors import BadInput
from models import folder as folders
from models.bases import Base
from models.latent_autoencoder import LatentAutoencoder
from models.pipeline import Pipeline
from tests import tiny

Weights = dict[str, Tensor]
WEIGHTS = ("unet", "vae", "text_encoder", "text_encoder_2")
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
HEAD = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def renamed(name: str, names: dict[str, str]) -> str:
    for ours, theirs in names.items():
        name = name.replace(ours, theirs)
    return name


def unet_name(name: str, layers: int) -> str:
    """diffusers' name of a UNet's weight → CompVis's; blocks there are numbered through."""
    found = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", name)
    if found is not None:
        side, block, kind, layer, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        if kind == "downsamplers":
            return f"input_blocks.{(block + 1) * (layers + 1)}.0.op.{rest.removeprefix('conv.')}"
        if kind == "upsamplers":  # of a block with attention: both of the tiny networks' first ones
            return f"output_blocks.{block * (layers + 1) + layers}.2.{rest}"
        place = block * (layers + 1) + layer + (side == "down")
        inner = renamed(rest, RESNET) if kind == "resnets" else rest
        return f"{'input' if side == 'down' else 'output'}_blocks.{place}.{int(kind == 'attentions')}.{inner}"
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", name):
        place, inner = (2 * int(found[2]), renamed(found[3], RESNET)) if found[1] == "resnets" else (1, found[3])
        return f"middle_block.{place}.{inner}"
    return renamed(name, HEAD)


def vae_name(name: str, blocks: int) -> str:
    name = re.sub(r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d+)", lambda found: f"up.{blocks - 1 - int(found[1])}", name)
    name = re.sub(r"resnets\.(\d+)", r"block.\1", name) if name.startswith("decoder.up.") else name
    name = name.replace("upsamplers.0", "upsample")
    name = re.sub(r"mid_block\.resnets\.(\d+)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    if "mid_block.attentions.0" in name:
        return renamed(name.replace("mid_block.attentions.0", "mid.attn_1"), ATTENTION)
    return name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")


def clip(network: nn.Module) -> Weights:
    """As the text model of OpenAI's CLIP is named."""
    plain = {name.removeprefix("text_model."): weight for name, weight in network.state_dict().items()}
    return {f"transformer.text_model.{name}": weight for name, weight in plain.items()}


def open_clip(network: nn.Module) -> Weights:
    """As OpenCLIP names it: query, key and value are one matrix."""
    known = {
        "embeddings.position_embedding.weight": "positional_embedding",
        "embeddings.token_embedding.weight": "token_embedding.weight",
        "final_layer_norm": "ln_final",
    }
    inner = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    inner |= {"encoder.layers": "transformer.resblocks", "self_attn": "attn"}
    given = {name.removeprefix("text_model."): weight for name, weight in network.state_dict().items()}
    named: Weights = {}
    for name, weight in given.items():
        if name == "text_projection.weight":
            named["model.text_projection"] = weight.T
        elif "q_proj" in name:
            parts = [given[name.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")]
            new = renamed(name, inner).replace("q_proj.", "in_proj_")
            named[f"model.{new}"] = torch.cat(parts)
        elif "k_proj" not in name and "v_proj" not in name:
            named[f"model.{renamed(renamed(name, known), inner)}"] = weight
    return named


def single(pipeline: Pipeline, first: Callable[[nn.Module], Weights] = clip) -> Weights:
    """All weights of a pipeline under their original names."""
    told: Any = pipeline.conditioner
    unet, vae = pipeline.denoiser.state_dict(), cast(LatentAutoencoder, pipeline.autoencoder).vae.state_dict()
    weights = {f"model.diffusion_model.{unet_name(name, 1)}": weight for name, weight in unet.items()}
    weights |= {f"first_stage_model.{vae_name(name, 3)}": weight for name, weight in vae.items()}
    texts = {"cond_stage_model.": first(told.text_encoder)}
    if hasattr(told, "text_encoder_2"):
        texts = {
            "conditioner.embedders.0.": clip(told.text_encoder),
            "conditioner.embedders.1.": open_clip(told.text_encoder_2),
        }
    for front, names in texts.items():
        weights |= {front + name: weight for name, weight in names.items()}
    return weights


def write(folder: Path, weights: Weights) -> Path:
    """`base.safetensors` beside the `base` folder, whose own weights are taken away."""
    file = folder / "base.safetensors"
    save_file({name: weight.detach().clone().contiguous() for name, weight in weights.items()}, file)
    for part in WEIGHTS:
        for weight in (folder / "base" / part).glob("*.safetensors"):
            weight.unlink()
    return file


BASES = {
    "1": (tiny.teacher, clip),
    "2": (tiny.teacher, open_clip),
    "xl": (tiny.xl_teacher, clip),
}


@pytest.fixture(params=[*BASES])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Pipeline, Path]:
    """A tiny base, and the file that holds its weights."""
    make, text = BASES[request.param]
    pipeline = make()
    folders.save(pipeline, tmp_path / "base")
    return pipeline, write(tmp_path, single(pipeline, text))


def test_one_file_is_the_pipeline_that_it_was_made_of(base: tuple[Pipeline, Path], tmp_path: Path) -> None:
    pipeline, file = base
    opened = folders.load(file)
    folders.save(pipeline, tmp_path / "theirs")
    folders.save(opened, tmp_path / "ours")
    for stored in sorted((tmp_path / "theirs").glob("*/*.safetensors")):
        theirs, ours = load_file(stored), load_file(tmp_path / "ours" / stored.relative_to(tmp_path / "theirs"))
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours), stored
    assert opened.scheduler == folders.load(tmp_path / "theirs").scheduler
    sizes = Base.at(str(file)).sizes()
    assert sizes["unet"] == sum(weight.numel() for weight in pipeline.denoiser.parameters())


def test_half_precision_opens_in_full(tmp_path: Path) -> None:
    pipeline = tiny.teacher()
    folders.save(pipeline, tmp_path / "base")
    file = write(tmp_path, {name: weight.half() for name, weight in single(pipeline).items()})
    opened = folders.load(file)
    assert {weight.dtype for weight in opened.denoiser.parameters()} == {torch.float32}
    ours, theirs = opened.denoiser.state_dict(), pipeline.denoiser.state_dict()
    assert all(torch.equal(ours[name], theirs[name].half().float()) for name in theirs)


UNET = "model.diffusion_model."


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda found: {f"lora_unet_{name}": found[name] for name in found if UNET in name}, "is an adapter"),
        (lambda found: {name: found[name] for name in found if "first_stage" not in name}, "no autoencoder"),
        (
            lambda found: {name: found[name] for name in found if "cond_stage" not in name},
            "no text encoder that is known",
        ),
        (lambda found: {**found, f"{UNET}input_blocks.0.0.weight": torch.zeros(16, 9, 3, 3)}, "takes 9 channels"),
        (
            lambda found: {**found, f"{UNET}out.2.weight": torch.zeros(4, 32, 3, 3)},
            r"does not fit the unet .*1 of 208 tensors",
        ),
        (
            lambda found: {name: found[name] for name in found if f"{UNET}out.2" not in name},
            r"lacks 2 of 208 tensors of the unet .*out\.2\.weight, ",
        ),
    ],
)
def test_what_is_no_base_is_told(tmp_path: Path, spoil: Callable[[Weights], Weights], said: str) -> None:
    folders.save(tiny.teacher(), tmp_path / "base")
    file = write(tmp_path, spoil(single(tiny.teacher())))
    with pytest.raises(BadInput, match=said) as caught:
        folders.load(file)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    file = tmp_path / "base.safetensors"
    with pytest.raises(BadInput, match="no file"):
        folders.load(file)
    file.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{}")
    with pytest.raises(BadInput, match="no whole safetensors file"):
        folders.load(file)
    shutil.copy(file, tmp_path / "base.ckpt")
    with pytest.raises(BadInput, match="can hold code"):
        folders.load(tmp_path / "base.ckpt")
    file.unlink()
    save_file(single(tiny.teacher()), file)
    with pytest.raises(BadInput, match="holds weights alone: put its configuration"):
        folders.load(file)
