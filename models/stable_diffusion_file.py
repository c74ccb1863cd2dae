"""A Stable Diffusion base (1, 2 or XL) in one `.safetensors` file, as first published: what it holds, read from its head.

diffusers reads its weights; networks' shapes, tokenizer and scheduler are not in such a file and come from a folder
without weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from diffusers import DiffusionPipeline
from huggingface_hub import snapshot_download
from safetensors import SafetensorError, safe_open

from base.errors import BadInput

SUFFIX = ".safetensors"
FOREIGN = (".ckpt", ".pt", ".pth", ".bin")
"""Files that can hold code."""

_UNET, _VAE = "model.diffusion_model.", "first_stage_model."
_CONFIGURATION = ["*.json", "*.txt", "*/*.json", "*/*.txt"]


@dataclass(frozen=True)
class Layout:
    """A version of Stable Diffusion, known by what it calls its text encoders."""

    name: str
    text: Mapping[str, str]
    """Component → how the names of its weights begin."""
    hub: str
    """Whose configuration such a file has, unless it brings its own."""

    @property
    def parts(self) -> dict[str, str]:
        """Component → how the names of its weights begin."""
        return {**self.text, "unet": _UNET, "vae": _VAE}


LAYOUTS = (
    Layout(
        "Stable Diffusion XL",
        {"text_encoder": "conditioner.embedders.0.transformer.", "text_encoder_2": "conditioner.embedders.1.model."},
        "stabilityai/stable-diffusion-xl-base-1.0",
    ),
    Layout("Stable Diffusion 2", {"text_encoder": "cond_stage_model.model."}, "stabilityai/stable-diffusion-2-1"),
    Layout(
        "Stable Diffusion 1",
        {"text_encoder": "cond_stage_model.transformer."},
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
    ),
)


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
    if not file.is_file():
        raise BadInput(f"no file {file}")
    return True


def configuration(file: Path) -> Path:
    """The folder that says what the file does not: `FILE` without its ending if it is there, or what the Hub has.

    BadInput: the file is of no known layout, is incomplete, is no text-to-image base, or has no configuration.
    """
    layout = _layout(file)
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
    shapes = _shapes(file)
    return {
        part: sum(prod(shape) for name, shape in shapes.items() if name.startswith(front))
        for part, front in _layout(file).parts.items()
    }


def _layout(file: Path) -> Layout:
    shapes = _shapes(file)
    if not any(name.startswith(_UNET) for name in shapes):
        kind = "an adapter (lora.start takes those)" if any("lora" in name for name in shapes) else "no such base"
        raise BadInput(f"{file} is {kind}: it has no {_UNET}*; accepted: {', '.join(known.name for known in LAYOUTS)}")
    known = (
        one for one in LAYOUTS if all(any(name.startswith(front) for name in shapes) for front in one.text.values())
    )
    layout = next(known, None)
    if layout is None:
        fronts = ", ".join(f"{front}*" for one in LAYOUTS for front in one.text.values())
        raise BadInput(f"{file} has no text encoder that is known; accepted: {fronts}")
    if not any(name.startswith(_VAE) for name in shapes):
        raise BadInput(f"{file} is incomplete: it has no autoencoder ({_VAE}*)")
    first = shapes.get(f"{_UNET}input_blocks.0.0.weight", (0, 0))
    if first[1] != 4:
        raise BadInput(
            f"{file} cannot be a base: its UNet takes {first[1]} channels and not 4 (is it for inpainting, depth or editing?)"
        )
    return layout


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(file, "pt") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise BadInput(f"{file} is no whole safetensors file: {error}") from None
