"""LoRA adapters fused into a denoiser before it is exported; it knows neither graphs nor bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers.loaders import StableDiffusionLoraLoaderMixin
from peft import PeftModel
from safetensors import SafetensorError

from base.errors import BadInput
from models.pipeline import Pipeline

PEFT = "adapter_config.json"


def fuse(pipeline: Pipeline, adapter: Path) -> None:
    """Add an adapter to the denoiser's weights, in place: `W + α/r·B·A` (arXiv 2106.09685, equation 3).

    `adapter` is a folder that peft saved, or one that diffusers (or kohya's scripts) saved, or its safetensors file.
    BadInput: there is none, it does not fit this denoiser, or it holds more than the denoiser's part.
    """
    if not adapter.exists():
        raise BadInput(f"no adapter {adapter}")
    try:
        if (adapter / PEFT).is_file():
            _no_pickle(adapter)
            pipeline.denoiser = PeftModel.from_pretrained(pipeline.denoiser, str(adapter)).merge_and_unload()
        else:
            _fuse_file(pipeline.denoiser, adapter)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"adapter {adapter} does not fit: {str(error).strip().splitlines()[0][:200]}") from error


def _fuse_file(denoiser: Any, adapter: Path) -> None:
    state, alphas, scales = StableDiffusionLoraLoaderMixin.lora_state_dict(
        str(adapter), use_safetensors=True, local_files_only=True, return_lora_metadata=True
    )
    if others := sorted({name.partition(".")[0] for name in state} - {"unet"}):
        raise BadInput(f"adapter {adapter} holds {', '.join(others)}: only adapters of the denoiser (unet) are fused")
    if not state:
        raise BadInput(f"adapter {adapter} is empty")
    denoiser.load_lora_adapter(state, prefix="unet", network_alphas=alphas, metadata=scales)
    denoiser.fuse_lora(safe_fusing=True)
    denoiser.unload_lora()


def _no_pickle(adapter: Path) -> None:
    if not (adapter / "adapter_model.safetensors").is_file():
        raise BadInput(
            f"adapter {adapter} has no adapter_model.safetensors; other formats can hold code and are not read"
        )
