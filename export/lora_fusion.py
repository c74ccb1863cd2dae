"""LoRA adapters fused into a pipeline before it is exported; it knows neither graphs nor how adapters are named."""

from __future__ import annotations

from pathlib import Path

from models import lora_file
from models.pipeline import Pipeline


def fuse(pipeline: Pipeline, adapter: Path) -> None:
    """Add an adapter to the weights of the denoiser, and of the text encoders that it adapts, in place.

    `adapter` is a folder or a safetensors file of peft, diffusers or kohya's scripts. BadInput: there is none, or it would
    not be applied in full.
    """
    part = lora_file.denoiser_part(pipeline.denoiser)
    networks = {part: pipeline.denoiser, **dict(pipeline.conditioner.named_children())}
    lora_file.fuse(networks, lora_file.read(adapter, networks))
