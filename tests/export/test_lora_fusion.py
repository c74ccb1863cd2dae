"""Adapters fused before an export: the same output as with the adapter beside the weights, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from base.errors import BadInput
from export import lora_fusion
from models.pipeline import Pipeline
from runtime import graph_networks, networks
from tests import tiny

LORA = LoraConfig(r=2, lora_alpha=8, target_modules=["to_q", "to_v"], init_lora_weights=False)


@pytest.fixture(scope="module")
def adapted() -> Any:
    """A tiny denoiser with a random adapter beside its weights."""
    torch.manual_seed(1)
    return get_peft_model(copy.deepcopy(tiny.student().denoiser), LORA).eval()  # type: ignore[arg-type]


@torch.no_grad()
def _output(denoiser: Any, pipeline: Pipeline) -> torch.Tensor:
    return graph_networks.DenoiserGraph(denoiser)(**networks.examples(pipeline, 2)["denoiser"])


@pytest.fixture(params=["peft", "diffusers", "file", "kohya"])
def saved(request: pytest.FixtureRequest, adapted: Any, tmp_path: Path) -> Path:
    """The adapter as each of those who train them saves it."""
    layers = get_peft_model_state_dict(adapted)
    plain = {name.removeprefix("base_model.model."): tensor for name, tensor in layers.items()}
    match request.param:
        case "peft":
            adapted.save_pretrained(tmp_path)
        case "diffusers" | "file":
            metadata = {**LORA.to_dict(), "target_modules": ["to_q", "to_v"]}
            StableDiffusionPipeline.save_lora_weights(
                tmp_path, unet_lora_layers=plain, unet_lora_adapter_metadata=metadata
            )
        case "kohya":
            save_file(_kohya(plain), tmp_path / "kohya.safetensors")
    files = list(tmp_path.glob("*.safetensors"))
    return files[0] if request.param in ("file", "kohya") else tmp_path


def _kohya(layers: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found = {}
    for name, tensor in layers.items():
        module, _, side = name.removesuffix(".weight").rpartition(".lora_")
        key = f"lora_unet_{module.replace('.', '_')}"
        found[f"{key}.lora_{ {'A': 'down', 'B': 'up'}[side] }.weight"] = tensor.contiguous()
        found[f"{key}.alpha"] = torch.tensor(8.0)
    return found


def test_a_fused_adapter_computes_what_it_did_beside_the_weights(saved: Path, adapted: Any) -> None:
    pipeline = tiny.student()
    before, expected = _output(pipeline.denoiser, pipeline), _output(adapted, pipeline)
    names = set(pipeline.denoiser.state_dict())
    lora_fusion.fuse(pipeline, saved)
    torch.testing.assert_close(_output(pipeline.denoiser, pipeline), expected, rtol=1e-4, atol=1e-5)
    assert (expected - before).abs().max() > 1e-2
    assert set(pipeline.denoiser.state_dict()) == names  # saved and exported as if there had been none


def test_what_cannot_be_fused_is_refused_in_one_line(adapted: Any, tmp_path: Path) -> None:
    adapted.save_pretrained(tmp_path / "peft")
    weights = load_file(tmp_path / "peft" / "adapter_model.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes((tmp_path / "peft" / "adapter_model.safetensors").read_bytes()[:-10])
    both = {"unet.a.lora_A.weight": torch.zeros(2, 2), "text_encoder.a.lora_A.weight": torch.zeros(2, 2)}
    save_file(both, tmp_path / "both.safetensors")
    wide = {f"unet.{name.removeprefix('base_model.model.')}": torch.zeros(3, 7) for name in weights}
    save_file(wide, tmp_path / "wide.safetensors")
    (tmp_path / "peft" / "adapter_model.safetensors").rename(tmp_path / "peft" / "adapter_model.bin")
    for name, message in {
        "nowhere": "no adapter .*nowhere",
        "cut.safetensors": "was cut short",
        "both.safetensors": "belongs to another base: 2 of 2 layers are not in this one",
        "wide.safetensors": "belongs to another base: .* is 3×7 there and 32×32 here",
        "peft": r"no adapter in .*peft: .*; adapter_model\.bin can hold code",
    }.items():
        with pytest.raises(BadInput, match=message) as raised:
            lora_fusion.fuse(tiny.student(), tmp_path / name)
        assert "\n" not in str(raised.value)
