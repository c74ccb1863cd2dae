"""Published files become safetensors folders: every tensor finds its place or is refused, and nothing in a file is run."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor
from typer.testing import CliRunner

from base.errors import BadInput
from export.convert_versatile import OPTIMUS, PLAN
from ippo import app
from models import component_configs, from_config, optimus
from models import folder as folders
from models.published_layout import flat_config
from models.published_names import unet_names
from models.published_text_unet import UNetFlatConditionModel
from models.published_unet import PublishedUNet
from tests.models import tiny_published

NETWORK = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_published.write(tmp_path_factory.mktemp("published") / "base")


def convert(*arguments: Any) -> None:
    """The command; what it refuses is raised."""
    result = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    if result.exception is not None:
        raise result.exception


def pickled(base: Path, folder: Path) -> Path:
    """The same folder as it was published: every network a `.bin`."""
    shutil.copytree(base, folder)
    for file in folder.glob("*/*.safetensors"):
        stem = "pytorch_model" if file.stem == "model" else file.stem
        torch.save(load_file(file), file.with_name(f"{stem}.bin"))
        file.unlink()
    return folder


def checkpoint(base: Path) -> dict[str, Tensor]:
    """The tensors of both UNets under the authors' names."""
    held: dict[str, Tensor] = {}
    for part, kind in (("image_unet", UNet2DConditionModel), ("text_unet", UNetFlatConditionModel)):
        stored = load_file(base / part / NETWORK)
        names = unet_names(from_config.empty(kind, component_configs.config(base, part)), part)
        held |= {names[ours]: stored[ours] for ours in names if "time_embed" not in names[ours] or part == "image_unet"}
    return held


def test_a_folder_of_bin_files_opens_after_it(base: Path, tmp_path: Path) -> None:
    convert("versatile", pickled(base, tmp_path / "published"), tmp_path / "ours")
    drawn = (folders.load(folder).sample(["cat"], [1], 2, 3.0) for folder in (base, tmp_path / "ours"))
    assert torch.equal(*drawn)
    assert not list((tmp_path / "ours").rglob("*.bin"))
    with pytest.raises(BadInput, match="exists already: name another folder"):
        convert("versatile", tmp_path / "published", tmp_path / "ours")


def test_the_authors_checkpoint_becomes_both_unets(base: Path, tmp_path: Path) -> None:
    held = checkpoint(base)
    assert "model.diffusion_model.unet_text.input_blocks.2.0.weight" in held
    assert "model.diffusion_model.unet_image.input_blocks.2.0.op.weight" in held
    torch.save({**held, "betas": torch.zeros(3)}, tmp_path / "vd.pth")
    with warnings.catch_warnings(action="error"):
        convert("versatile", tmp_path / "vd.pth", tmp_path / "ours", "--parts", base)
    further = {"clip.model.weight": torch.zeros(1), "optimus.encoder.bias": torch.zeros(1)}
    torch.save({**held, **further}, tmp_path / "whole.pth")
    says = r"whole.pth also holds clip \(1 tensors\), optimus \(1 tensors\): left out, these networks come from"
    with pytest.warns(UserWarning, match=says):
        convert("versatile", tmp_path / "whole.pth", tmp_path / "whole", "--parts", base)
    for part in ("image_unet", "text_unet"):
        ours, theirs = load_file(tmp_path / "ours" / part / NETWORK), load_file(base / part / NETWORK)
        shared = {name for name in ours if part == "text_unet" and name.startswith("time_embedding")}
        assert ours.keys() == theirs.keys() and all(
            torch.equal(ours[name], theirs[name]) for name in ours.keys() - shared
        )
    folders.check(tmp_path / "ours")
    refused: dict[str, dict[str, Tensor]] = {
        "1 tensors of the checkpoint belong to neither UNet: model.diffusion_model.more": {
            **held, "model.diffusion_model.more": torch.zeros(1),
        },
        "the file lacks 1 of": {name: one for name, one in held.items() if not name.endswith("unet_text.out.2.bias")},
        "unet_image.out.2.bias is": {**held, "model.diffusion_model.unet_image.out.2.bias": torch.zeros(2)},
    }  # fmt: skip
    for says, tensors in refused.items():
        torch.save(tensors, tmp_path / "odd.pth")
        with pytest.raises(BadInput, match=says):
            convert("versatile", tmp_path / "odd.pth", tmp_path / "odd", "--parts", base)
    with pytest.raises(BadInput, match="holds UNets alone; the rest comes with --parts FOLDER"):
        convert("versatile", tmp_path / "vd.pth", tmp_path / "odd")
    assert not (tmp_path / "odd").exists()


class Code:
    """What a pickle can hold besides tensors."""


def test_more_than_tensors_is_refused(base: Path, tmp_path: Path) -> None:
    torch.save({"weight": Code()}, tmp_path / "vd.pth")
    with pytest.raises(BadInput, match="holds more than tensors"):
        convert("versatile", tmp_path / "vd.pth", tmp_path / "ours", "--parts", base)
    with pytest.raises(BadInput, match="holds more than tensors"):
        convert(
            "optimus", tmp_path / "vd.pth", tmp_path / "ours", "--parts", tiny_published.write_optimus(tmp_path / "o")
        )


@pytest.mark.parametrize("front", ["decoder.", "decoder.transformer."])
def test_optimus_own_names(front: str, tmp_path: Path) -> None:
    known = tiny_published.write_optimus(tmp_path / "known")
    stored = load_file(known / NETWORK)
    special = {"moments": "encoder.linear", "memory": f"{front}linear", "added": f"{front}linear_emb"}
    held: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        first, rest = name.split(".", 1)
        front_of = {"reader": "encoder", "writer": "decoder.transformer"}
        held[f"{special.get(first) or front_of[first]}.{rest}"] = tensor
    held["decoder.lm_head.weight"] = stored["writer.wte.weight"].clone()
    held["decoder.transformer.h.0.attn.bias"] = torch.ones(1, 1, 4, 4)
    torch.save(held, tmp_path / "optimus-vae.pth")
    convert("optimus", tmp_path / "optimus-vae.pth", tmp_path / "ours", "--parts", known)
    again = load_file(tmp_path / "ours" / NETWORK)
    assert again.keys() == stored.keys() and all(torch.equal(again[name], stored[name]) for name in stored)
    optimus.load(tmp_path / "ours")
    for change, says in (
        ({"decoder.lm_head.weight": torch.zeros_like(stored["writer.wte.weight"])}, "accepted: tied ones"),
        ({"decoder.more": torch.zeros(1)}, "1 tensors of the file are not Optimus': decoder.more"),
    ):
        torch.save({**held, **change}, tmp_path / "odd.pth")
        with pytest.raises(BadInput, match=says):
            convert("optimus", tmp_path / "odd.pth", tmp_path / "odd", "--parts", known)
    with pytest.raises(BadInput, match="holds weights alone: --parts FOLDER"):
        convert("optimus", tmp_path / "optimus-vae.pth", tmp_path / "odd")


def size(kind: type[Any], config: dict[str, Any]) -> float:
    """Millions of parameters, counted without making any."""
    return sum(one.numel() for one in from_config.empty(kind, config).parameters()) / 1e6


def test_the_published_plans_have_the_published_sizes() -> None:
    image, text = size(UNet2DConditionModel, PLAN), size(UNetFlatConditionModel, flat_config(PLAN))
    assert round(image, 1) == 859.5 and round(text, 1) == 1708.8
    assert round(size(optimus.Optimus, OPTIMUS), 1) == 241.6  # BERT and three layers, GPT-2 of 50,260 tokens
    names = unet_names(from_config.empty(UNetFlatConditionModel, flat_config(PLAN)), "text_unet")
    front = "model.diffusion_model.unet_text."
    assert names["down_blocks.0.downsamplers.0.weight"] == f"{front}input_blocks.3.0.weight"
    assert names["up_blocks.0.upsamplers.0.bias"] == f"{front}output_blocks.2.1.bias"
    assert names["up_blocks.1.upsamplers.0.bias"] == f"{front}output_blocks.5.2.bias"
    assert names["conv_out.weight"] == f"{front}out.2.weight"


@pytest.mark.slow  # 4.5 GB of random weights
@torch.no_grad()
def test_the_image_flow_runs_at_full_size() -> None:
    plan = {key: value for key, value in PLAN.items() if key[0] != "_"}
    unet = PublishedUNet(**plan).eval()
    assert round(sum(one.numel() for one in unet.parameters()) / 1e6, 1) == 1126.8
    text, pictures = torch.randn(1, 77, 768), torch.randn(1, 2 * 257, 768)
    given = {"encoder_hidden_states": text, "image_embeds": pictures, "mix": torch.tensor([0.5])}
    drawn = unet(torch.randn(1, 4, 8, 8), 999, **given).sample  # a sixty-fourth of a picture of 512 pixels
    assert drawn.shape == (1, 4, 8, 8) and bool(drawn.isfinite().all())
