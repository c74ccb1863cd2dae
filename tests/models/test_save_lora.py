"""The adapter of a run as diffusers' folder and as kohya's file: stock diffusers and ippo read the very numbers again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from peft.utils import get_peft_model_state_dict
from safetensors import safe_open

from base.errors import BadInput
from commands import export as commands
from models import folder as folders
from models import lora_file, save_lora
from models.scheduler_configs import student_scheduler
from tests import tiny
from tests.models.test_lora_file import SGM, unet
from tests.training.test_lora import moved
from training import adapter
from training.lora import LoraConfig, adapted, merged

BASES: dict[str, Any] = {
    "1": (tiny.teacher, StableDiffusionPipeline),
    "xl": (tiny.xl_teacher, StableDiffusionXLPipeline),
}


@pytest.fixture(params=[*BASES])
def learnt(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """What a run with `lora` leaves, its network, and the base opened by stock diffusers."""
    make, kind = BASES[request.param]
    base = make()
    folders.save(base, tmp_path / "base")
    network = moved(adapted(base.denoiser, LoraConfig(rank=2, alpha=3.0)))
    base.denoiser, base.scheduler = merged(network), student_scheduler(base.scheduler)
    folders.save(base, tmp_path / "run")
    adapter.save(network, tmp_path / "run")
    return tmp_path / "run", network, kind.from_pretrained(tmp_path / "base")


@pytest.mark.parametrize("kind", ["diffusers", "kohya"])
def test_stock_diffusers_and_ippo_read_the_very_numbers(learnt: Any, tmp_path: Path, kind: Any) -> None:
    run, network, stock = learnt
    out = tmp_path / ("style.safetensors" if kind == "kohya" else "style")
    commands.save(str(run), out, lora=kind)
    expected = {
        name: value.half().float() for name, value in get_peft_model_state_dict(network, adapter_name="default").items()
    }
    read = lora_file.read(out, {"unet": merged(network)})
    for name, layer in read.parts["unet"].items():
        assert torch.equal(layer.down.float(), expected[f"{name}.lora_A.weight"]) and layer.scale == 1.5
        assert torch.equal(layer.up.float(), expected[f"{name}.lora_B.weight"])
    assert 2 * len(read.parts["unet"]) == len(expected)
    if kind == "kohya" and isinstance(stock, StableDiffusionXLPipeline):
        return  # diffusers knows SDXL's own names in the published depth alone
    stock.load_lora_weights(str(out))
    theirs = get_peft_model_state_dict(stock.unet, adapter_name="default_0")
    assert theirs.keys() == expected.keys() and all(
        torch.equal(theirs[name].float(), expected[name]) for name in theirs
    )
    assert {part.scaling["default_0"] for part in stock.unet.modules() if hasattr(part, "lora_A")} == {1.5}


def test_kohyas_file_says_what_it_is_and_sdxls_has_its_own_names(tmp_path: Path) -> None:
    network: Any = moved(adapted(unet(), LoraConfig(rank=2)))
    layers = adapter.learnt(network)

    file = tmp_path / "x.safetensors"
    plain: Any = merged(network)
    plain.register_to_config(addition_embed_type="text_time")
    said = {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"}
    save_lora.kohya(lora_file.LoraFile(file, {"unet": layers}), {"unet": plain}, file, said, torch.float16)
    with safe_open(file, "pt") as opened:
        names, metadata = set(opened.keys()), opened.metadata()
    fronts = {name.partition("_transformer")[0].removeprefix("lora_unet_") for name in names}
    assert fronts == set(SGM.values())
    assert metadata["ss_network_dim"] == "2" and metadata["ss_network_alpha"] == "2"
    assert metadata["modelspec.architecture"] == said["modelspec.architecture"]


@pytest.mark.parametrize("learnt", ["1"], indirect=True)
def test_what_cannot_be_saved_is_told(learnt: Any, tmp_path: Path) -> None:
    run, _, _ = learnt
    with pytest.raises(BadInput, match=r"ends in \.safetensors, got x"):
        commands.save(str(run), tmp_path / "x", lora="kohya")
    with pytest.raises(BadInput, match="are two different files"):
        commands.save(str(run), tmp_path / "x.safetensors", lora="kohya", single_file=True)
    (run / lora_file.DIFFUSERS).unlink()
    with pytest.raises(BadInput, match=r"run holds no adapter .*train it with lora="):
        commands.save(str(run), tmp_path / "x", lora="diffusers")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "run"]


@pytest.mark.parametrize("learnt", ["1"], indirect=True)
def test_a_run_is_saved_as_one_file_in_half_precision(
    learnt: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, network, _ = learnt
    commands.save(str(run), tmp_path / "one.safetensors", single_file=True)
    assert "16, 32 wide" in capsys.readouterr().err  # tiny networks are no published ones, and that is told
    opened = folders.load(tmp_path / "one.safetensors")
    ours, theirs = opened.denoiser.state_dict(), merged(network).state_dict()
    assert opened.is_student and all(torch.equal(ours[name], theirs[name].half().float()) for name in theirs)
