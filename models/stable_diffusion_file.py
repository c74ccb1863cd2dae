"""A Stable Diffusion base (1, 2 or XL) in one `.safetensors` file, as first published: what it holds and what it says.

Networks' shapes and the tokenizer are not in such a file and come from a folder without weights; of the schedule it may say
what differs (`v_pred`, `ztsnr`, modelspec). Names are those of `models/original_names.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from huggingface_hub import snapshot_download
from safetensors import safe_open
from torch import Tensor, nn

from base.errors import BadInput
from base.safetensors_head import SUFFIX, read_head
from models.original_names import Entry, clip_entries, open_clip_entries, unet_entries, vae_entries
from models.tensor_names import check_names

FOREIGN = (".ckpt", ".pt", ".pth", ".bin")
"""Files that can hold code."""

UNET, VAE = "model.diffusion_model.", "first_stage_model."
V_PREDICTION, ZERO_SNR = "v_pred", "ztsnr"
"""Tensors without numbers whose names say what the denoiser predicts and how its schedule ends."""
RELEASED = "text_model."
"""How the names of a text encoder's weights begin in released checkpoints."""
PREDICTIONS = {"epsilon": "epsilon", "v": "v_prediction"}
"""modelspec's word → diffusers'."""
_AVERAGE = "model_ema."
_EDM = ("edm_mean", "edm_std", "edm_vpred.sigma_max", "edm_vpred.sigma_min")
_CONFIGURATION = ["*.json", "*.txt", "*/*.json", "*/*.txt"]


@dataclass(frozen=True)
class Layout:
    """A version of Stable Diffusion, known by what it calls its text encoders."""

    name: str
    text: Mapping[str, str]
    """Component → how the names of its weights begin."""
    hub: str
    """Whose configuration such a file has, unless it brings its own."""
    version: str
    """modelspec's name of it."""
    widths: tuple[int, ...]
    """Channels of the published UNet's stages."""
    scaling_factor: float
    """Of the published autoencoder."""
    kohya: str
    """kohya's name of it, in adapters."""

    def architecture(self, prediction: str) -> str:
        """modelspec's name of a checkpoint whose denoiser predicts `epsilon` or `v`."""
        return f"{self.version}{'-768-v' if prediction == 'v' else '-512'}" if self == SECOND else self.version

    @property
    def parts(self) -> dict[str, str]:
        """Component → how the names of its weights begin."""
        return {**self.text, "unet": UNET, "vae": VAE}

    def entries(self, component: str, network: nn.Module) -> list[Entry]:
        """Where the component's tensors lie. BadInput: it has what the layout has not."""
        if component in self.text:
            open_clip = self.text[component].endswith(".model.")
            return open_clip_entries(network) if open_clip else clip_entries(network)
        make: Mapping[str, Callable[[Any], list[Entry]]] = {"unet": unet_entries, "vae": vae_entries}
        return make[component](network)


XL = Layout(
    "Stable Diffusion XL",
    {"text_encoder": "conditioner.embedders.0.transformer.", "text_encoder_2": "conditioner.embedders.1.model."},
    "stabilityai/stable-diffusion-xl-base-1.0",
    "stable-diffusion-xl-v1-base",
    (320, 640, 1280),
    0.13025,
    "sdxl_base_v1-0",
)
SECOND = Layout(
    "Stable Diffusion 2",
    {"text_encoder": "cond_stage_model.model."},
    "stabilityai/stable-diffusion-2-1",
    "stable-diffusion-v2",
    (320, 640, 1280, 1280),
    0.18215,
    "sd_v2",
)
FIRST = Layout(
    "Stable Diffusion 1",
    {"text_encoder": "cond_stage_model.transformer."},
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "stable-diffusion-v1",
    (320, 640, 1280, 1280),
    0.18215,
    "sd_v1",
)
LAYOUTS = (XL, SECOND, FIRST)


def is_single_file(name: str | Path) -> bool:
    """Whether `name` is a file and no folder or Hub name. BadInput: it is not there, or of a kind that can hold code."""
    file = Path(name)
    if file.is_dir():
        return False
    if file.suffix in FOREIGN and file.is_file():
        raise BadInput(
            f"{file} can hold code and is not read; accepted: a diffusers folder, a Hub name, a {SUFFIX} file"
        )
    if file.suffix != SUFFIX:
        return False
    if not (file.is_file() or file.is_symlink()):
        raise BadInput(f"no file {file}")
    return True


def configuration(file: Path) -> Path:
    """The folder that says what the file does not: `FILE` without its ending if it is there, or what the Hub has.

    BadInput: the file is of no known layout, is incomplete, is no text-to-image base, or has no configuration.
    """
    layout = layout_of(file)
    folder = file.with_suffix("")
    if (folder / DiffusionPipeline.config_name).is_file():
        return folder
    try:
        return Path(snapshot_download(layout.hub, allow_patterns=_CONFIGURATION))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{file} is {layout.name} and holds weights alone: put its configuration (model_index.json, the components' "
            f"JSON, the tokenizer, as in {layout.hub}) into {folder}, or let the Hub be reached"
        ) from error


def sizes(file: Path) -> dict[str, int]:
    """Component → count of the numbers in its weights."""
    shapes = read_head(file).shapes
    return {
        part: sum(prod(shape) for name, shape in shapes.items() if name.startswith(front))
        for part, front in layout_of(file).parts.items()
    }


def schedule_of(file: Path) -> dict[str, Any]:
    """What the file itself says of its schedule, in the words of a scheduler's configuration; nothing: it says nothing.

    BadInput: it was trained on a schedule that is not read.
    """
    head = read_head(file)
    if edm := [name for name in _EDM if name in head.shapes]:
        raise BadInput(f"{file} was trained on EDM's schedule ({edm[0]}), which has no betas: that is not read")
    said: dict[str, Any] = {}
    if (word := head.metadata.get("modelspec.prediction_type")) is not None:
        if word not in PREDICTIONS:
            raise BadInput(f"{file}: its modelspec.prediction_type is '{word}'; accepted: {', '.join(PREDICTIONS)}")
        said["prediction_type"] = PREDICTIONS[word]
    if V_PREDICTION in head.shapes:
        said["prediction_type"] = PREDICTIONS["v"]
    if ZERO_SNR in head.shapes:
        said["rescale_betas_zero_snr"] = True
    return said


def check(file: Path, component: str, network: nn.Module) -> None:
    """BadInput: the component's weights are not in the file, or of other sizes than `network`'s."""
    layout, held = layout_of(file), read_head(file).shapes
    front = layout.parts[component]
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    expected = {f"{front}{entry.original}": _sides(entry.shape(shapes)) for entry in layout.entries(component, network)}
    own = {_named(name, front): _sides(shape) for name, shape in held.items() if name.startswith(front)}
    if component in layout.text:  # Stable Diffusion 2 uses neither OpenCLIP's last layer nor its projection
        unused = (".resblocks.", ".text_projection")
        own = {name: shape for name, shape in own.items() if name in expected or not any(key in name for key in unused)}
    if front == UNET and (averages := [name for name in held if name.startswith(_AVERAGE)]):
        warnings.warn(f"{file}: its moving average ({_AVERAGE}*, {len(averages)} tensors) is left out", stacklevel=2)
    check_names(str(file), own, expected, f"{component} ({type(network).__name__}) of {file.with_suffix('')}")


def weights(file: Path, component: str, network: nn.Module) -> dict[str, Tensor]:
    """The component's tensors under our names, of its shapes, in float32; `check` was there before."""
    layout = layout_of(file)
    front = layout.parts[component]
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found: dict[str, Tensor] = {}
    with safe_open(file, "pt") as opened:
        stored = {_named(name, front): name for name in opened.keys() if name.startswith(front)}  # noqa: SIM118
        for entry in layout.entries(component, network):
            tensor = opened.get_tensor(stored[front + entry.original]).to(torch.float32)
            found |= entry.unpack(tensor, shapes)
    return found


def layout_of(file: Path) -> Layout:
    """Which version the file is. BadInput: none, incomplete, or no text-to-image base."""
    shapes = read_head(file).shapes
    if not any(name.startswith(UNET) for name in shapes):
        kind = "an adapter (lora.start takes those)" if any("lora" in name for name in shapes) else "no such base"
        raise BadInput(f"{file} is {kind}: it has no {UNET}*; accepted: {', '.join(known.name for known in LAYOUTS)}")
    known = (
        one for one in LAYOUTS if all(any(name.startswith(front) for name in shapes) for front in one.text.values())
    )
    layout = next(known, None)
    if layout is None:
        fronts = ", ".join(f"{front}*" for one in LAYOUTS for front in one.text.values())
        raise BadInput(f"{file} has no text encoder that is known; accepted: {fronts}")
    if not any(name.startswith(VAE) for name in shapes):
        raise BadInput(f"{file} is incomplete: it has no autoencoder ({VAE}*)")
    taken = shapes.get(f"{UNET}input_blocks.0.0.weight", (0, 0))[1]
    latents = shapes.get(f"{VAE}decoder.conv_in.weight", (0, 4))[1]
    if taken != latents:
        raise BadInput(
            f"{file} cannot be a base: its UNet takes {taken} channels where its autoencoder has {latents} "
            "(is it for inpainting, depth or editing?)"
        )
    return layout


def _named(name: str, front: str) -> str:
    """A tensor's name as published: some tools leave out the text encoder's outermost module."""
    inner = name[len(front) :]
    if front.endswith("transformer.") and inner.startswith(("embeddings.", "encoder.", "final_layer_norm.")):
        return f"{front}{RELEASED}{inner}"
    return name


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A matrix may be stored as a convolution of 1×1, and the other way round."""
    return shape[:2] if shape[2:] == (1, 1) else shape
