"""An adapter to go on from: the same function as where it came from, and refused where it does not belong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig as PeftConfig
from peft import get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn

from base.errors import BadInput
from models import folder as folders
from tests import tiny
from tests.training.test_lora import LOOP, moved, output, train
from training.lora import ATTENTION, LoraConfig, adapted, merged

OURS = {"rank": 2, "alpha": 4.0}


def of_diffusers(network: Any, folder: Path) -> Path:
    weights = get_peft_model_state_dict(network, adapter_name="default")
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=weights)
    return folder


def with_metadata(network: Any, folder: Path) -> Path:
    weights = get_peft_model_state_dict(network, adapter_name="default")
    said = {"r": 2, "lora_alpha": 4.0}
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=weights, unet_lora_adapter_metadata=said)
    return folder


def of_kohya(network: Any, folder: Path) -> Path:
    weights: dict[str, torch.Tensor] = {}
    for key, value in get_peft_model_state_dict(network, adapter_name="default").items():
        layer, kind = key.removesuffix(".weight").rsplit(".", 1)
        name = f"lora_unet_{layer.replace('.', '_')}"
        weights[f"{name}.{'lora_down' if kind == 'lora_A' else 'lora_up'}.weight"] = value.contiguous()
        weights[f"{name}.alpha"] = torch.tensor(4.0)
    folder.mkdir()
    save_file(weights, folder / "kohya.safetensors")
    return folder / "kohya.safetensors"


def of_peft(network: Any, folder: Path) -> Path:
    wrapped = get_peft_model(tiny.teacher().denoiser, PeftConfig(r=2, lora_alpha=4, target_modules=ATTENTION))
    theirs = get_peft_model_state_dict(network, adapter_name="default")
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora" in name:
                weight.copy_(theirs[name.removeprefix("base_model.model.").replace(".default", "")])
    wrapped.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("written", [with_metadata, of_kohya, of_peft])
def test_it_goes_on_where_the_other_stopped(tmp_path: Path, written: Any) -> None:
    pipeline = tiny.teacher()
    theirs = moved(adapted(pipeline.denoiser, LoraConfig(**OURS)))  # type: ignore[arg-type]
    start = str(written(theirs, tmp_path / "lora"))
    ours = adapted(pipeline.denoiser, LoraConfig(**OURS, start=start))  # type: ignore[arg-type]
    assert torch.equal(output(ours, pipeline), output(theirs, pipeline))
    fresh = adapted(pipeline.denoiser, LoraConfig(**OURS))  # type: ignore[arg-type]
    assert not torch.allclose(output(fresh, pipeline), output(theirs, pipeline), atol=1e-3)


def wide() -> nn.Module:
    known = {key: value for key, value in tiny.unet().config.items() if key[0] != "_"}
    return type(tiny.unet())(**{**known, "cross_attention_dim": 48})


def deep() -> nn.Module:
    known = {key: value for key, value in tiny.unet().config.items() if key[0] != "_"}
    return type(tiny.unet())(**{**known, "layers_per_block": 2})


@pytest.mark.parametrize(
    ("base", "changed", "said"),
    [
        (wide, {}, r"another base: .*attn2\.to_k is 32×48 there and 32×32 here \(8 of 32 layers\)"),
        (deep, {}, r"another base: 16 of 48 layers are not in this one: .*attentions_1"),
        (tiny.unet, {"rank": 4}, "is of rank 2: set lora.rank"),
        (tiny.unet, {"targets": ["to_q"]}, "which lora.targets do not name"),
        (tiny.unet, {"alpha": 8.0}, "counts with alpha 4"),
    ],
)
def test_what_does_not_belong_is_told(tmp_path: Path, base: Any, changed: dict[str, Any], said: str) -> None:
    start = str(with_metadata(adapted(base(), LoraConfig(**OURS)), tmp_path / "lora"))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=said) as caught:
        adapted(tiny.unet(), LoraConfig(**{**OURS, **changed}, start=start))
    assert "\n" not in str(caught.value)


def test_what_is_no_adapter_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"lora\.start: no adapter in"):
        adapted(tiny.unet(), LoraConfig(start=str(tmp_path)))
    file = tmp_path / "odd.safetensors"
    for weights, said in (
        ({"text_encoder.layers.0.lora_A.weight": torch.zeros(2, 3)}, "adapts text_encoder too .1 of 1 layers"),
        ({"unet.conv_in.weight": torch.zeros(2, 3)}, "is no plain LoRA"),
    ):
        save_file(weights, file)
        with pytest.raises(BadInput, match=said):
            adapted(tiny.unet(), LoraConfig(start=str(file)))
    file.write_bytes(b"nothing")
    with pytest.raises(BadInput, match="is no whole safetensors file"):
        adapted(tiny.unet(), LoraConfig(start=str(file)))


def test_a_teacher_goes_on_from_an_adapter(data: Path, runs: Path, tmp_path: Path) -> None:
    base = tiny.teacher()
    folders.save(base, tmp_path / "base")
    theirs = moved(adapted(base.denoiser, LoraConfig(rank=2)))
    lora = {"rank": 2, "start": str(of_diffusers(theirs, tmp_path / "lora"))}
    values = {"base": str(tmp_path / "base"), "data": str(data), "lora": lora, "optimizer": {"rate": 0.0}}
    train("teacher", tmp_path, run="on", loop={**LOOP, "steps": 1}, **values)
    saved, merged_theirs = folders.load(runs / "on" / "model"), merged(theirs)
    assert torch.allclose(output(saved.denoiser, saved), output(merged_theirs, base), atol=1e-5)
