"""A pipeline as one `.safetensors` in the original Stable Diffusion layout, which other programs open; it knows no family.

Beside `NAME.safetensors` a folder `NAME` says what such a file does not (shapes, tokenizer, scheduler), without weights: ippo
and diffusers read it, other programs know the published models' by heart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DiffusionPipeline
from safetensors.torch import save_file
from torch import Tensor, nn

from base.errors import BadInput
from base.files import atomic_file
from base.safetensors_head import SUFFIX
from models.pipeline import Pipeline
from models.stable_diffusion_file import PREDICTIONS, RELEASED, SECOND, V_PREDICTION, ZERO_SNR, Layout

PUBLISHED_LAYERS = 24
"""Of the text encoder in Stable Diffusion 2's published files."""
HINT = "LCM sampler, SGM uniform schedule, 1 to 4 steps, CFG 1"
"""How a student is drawn from elsewhere, in the words of ComfyUI and Automatic1111."""


def save(
    pipeline: Pipeline,
    layout: Layout,
    file: Path,
    title: str,
    dtype: torch.dtype,
    save_folder: Callable[[Path], None],
) -> None:
    """Write the file in `dtype`, and its configuration beside it, of which `save_folder` writes the whole folder.

    BadInput: another ending, something in the way, or a pipeline that has what the layout has not.
    """
    folder = file.with_suffix("")
    if file.suffix != SUFFIX:
        raise BadInput(f"a single file ends in {SUFFIX}, got {file.name}")
    if folder.exists() and (not _is_configuration(folder) or not file.is_file()):
        raise BadInput(f"{folder} is in the way: the configuration of {file.name} goes there; name another file")
    tensors = packed(networks(pipeline), layout, dtype) | marks(pipeline)
    save_folder(folder)
    for weights in folder.glob(f"*/*{SUFFIX}"):
        weights.unlink()
    with atomic_file(file) as hidden:
        save_file(tensors, hidden, metadata={"format": "pt", **metadata(pipeline, layout, title)})


def networks(pipeline: Pipeline) -> dict[str, nn.Module]:
    """Component → network. BadInput: an autoencoder that the layout has not."""
    autoencoder: Any = pipeline.autoencoder
    if not isinstance(autoencoder.vae, AutoencoderKL):
        kind = type(autoencoder.vae).__name__
        raise BadInput(
            f"the original Stable Diffusion layout has no {kind}: leave the decoder out; accepted: AutoencoderKL"
        )
    return {**dict(pipeline.conditioner.named_children()), "unet": pipeline.denoiser, "vae": autoencoder.vae}


def packed(parts: Mapping[str, nn.Module], layout: Layout, dtype: torch.dtype) -> dict[str, Tensor]:
    """Every tensor under its original name, of its original shape."""
    tensors: dict[str, Tensor] = {}
    for component, front in layout.parts.items():
        network: Any = parts[component]
        weights = {name: value.detach().to("cpu", dtype) for name, value in network.state_dict().items()}
        for entry in layout.entries(component, network):
            tensors[front + entry.original] = entry.pack(weights)
        for name, shape in unused(layout, component, network).items():
            tensors[front + name] = torch.zeros(shape, dtype=dtype)
        if front.endswith("transformer."):  # as published; some programs know the layout by it
            tokens = int(network.config.max_position_embeddings)
            tensors[f"{front}{RELEASED}embeddings.position_ids"] = torch.arange(tokens)[None]
    return tensors


def unused(layout: Layout, component: str, network: Any) -> dict[str, tuple[int, ...]]:
    """Name → shape of what the published file holds and no image needs: zeros, for programs that want every name.

    Stable Diffusion 2 takes the last but one of OpenCLIP's 24 layers, so diffusers' text encoder has 23.
    """
    config = network.config
    if layout != SECOND or component not in layout.text or config.num_hidden_layers != PUBLISHED_LAYERS - 1:
        return {}
    last = f"resblocks.{PUBLISHED_LAYERS - 2}."
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    entries = {entry.original: entry.shape(shapes) for entry in layout.entries(component, network)}
    further = {
        name.replace(last, f"resblocks.{PUBLISHED_LAYERS - 1}."): shape
        for name, shape in entries.items()
        if last in name
    }
    return {**further, "text_projection": (config.hidden_size, config.hidden_size), "logit_scale": ()}


def marks(pipeline: Pipeline) -> dict[str, Tensor]:
    """Tensors `(0,)` whose names say what the denoiser predicts and that its schedule ends in pure noise."""
    names = [V_PREDICTION] * (pipeline.schedule.prediction_type == "v_prediction")
    names += [ZERO_SNR] * (pipeline.schedule.alpha[-1] == 0)
    return {name: torch.zeros(0) for name in names}


def metadata(pipeline: Pipeline, layout: Layout, title: str, kind: str = "") -> dict[str, str]:
    """What the file's head says of it (Stability AI's ModelSpec 1.0.0); `kind`: `/lora` for an adapter."""
    prediction = next((word for word, ours in PREDICTIONS.items() if ours == pipeline.schedule.prediction_type), "")
    sides = pipeline.latent_shape[1:]
    autoencoder: Any = pipeline.autoencoder
    scale = 2 ** (len(autoencoder.vae.config["block_out_channels"]) - 1)
    said = {
        "sai_model_spec": "1.0.0",
        "architecture": layout.architecture(prediction) + kind,
        "implementation": "https://github.com/Stability-AI/generative-models",
        "title": title,
        "resolution": "x".join(str(scale * side) for side in reversed(sides)),
    }
    said |= {"prediction_type": prediction} if prediction else {}
    said |= {"usage_hint": HINT} if pipeline.is_student else {}
    return {f"modelspec.{key}": value for key, value in said.items()}


def differs(pipeline: Pipeline, layout: Layout) -> str | None:
    """Why programs that know the published models alone will not open or draw it; None: nothing is known against it."""
    parts: dict[str, Any] = dict(networks(pipeline))
    widths = tuple(parts["unet"].config["block_out_channels"])
    if widths != layout.widths:
        return f"its UNet is {', '.join(map(str, widths))} wide, {layout.name}'s {', '.join(map(str, layout.widths))}"
    if (scaling := float(parts["vae"].config["scaling_factor"])) != layout.scaling_factor:
        return f"its scaling_factor is {scaling:g}, {layout.name}'s {layout.scaling_factor:g}"
    return None


def _is_configuration(folder: Path) -> bool:
    return (folder / DiffusionPipeline.config_name).is_file() and not any(folder.glob(f"*/*{SUFFIX}"))
