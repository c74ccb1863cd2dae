"""One configuration after an image set: its columns, sides, colours, channels, classes and slots; it writes no file."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from math import isqrt
from pathlib import Path
from typing import Any

from base.errors import BadInput
from base.runs import run_folder
from data.aspect_buckets import written as in_words
from data.own_set import OwnSet

Values = dict[str, Any]
"""A configuration as YAML holds it."""


def fit_captions(values: Values, own: OwnSet) -> None:
    """Caption columns are the set's; those of labels and attributes stay."""
    if not any(column.startswith("text") for column in values.get("captions", ())):
        return
    if not own.captions:
        raise BadInput(f"{own.name} has no column 'text' of captions in every row")
    values["captions"] = list(own.captions)


def fit_vision(vision: Values, side: int) -> None:
    """As many patches as before, or as near to it as the side allows."""
    patches = vision["image_size"] // vision["patch_size"]
    divisors = [size for size in range(1, side + 1) if side % size == 0]
    vision |= {"image_size": side, "patch_size": min(divisors, key=lambda size: abs(side // size - patches))}


def fit_autoencoder(vae: Values, own: OwnSet) -> None:
    patch, factor = _factors(vae)
    _check_divisible(own, factor, vae["sample_size"] * patch)
    vae["sample_size"] = own.side // patch


def _factors(vae: Mapping[str, Any]) -> tuple[int, int]:
    """Side of the blocks of pixels that an autoencoder takes as channels, and pixels a latent in each direction."""
    patch = isqrt(int(vae.get("in_channels", 3)) // 3)
    return patch, patch * 2 ** (len(vae["down_block_types"]) - 1)


def fit_teacher(base: Values, own: OwnSet, vae: Mapping[str, Any] | None) -> None:
    """The parts of a teacher from scratch: classes or slots, colours, the denoiser's side and channels."""
    if "classes" in base:
        if not own.classes:
            raise BadInput(f"{own.name} has no column 'label' of classes")
        numbered = own.classes == tuple(str(number) for number in range(len(own.classes)))
        base["classes"] = len(own.classes) if numbered else list(own.classes)
    if "attributes" in base:
        base["attributes"] = _checked_slots(own)
    if vae is None and "vae" in base:
        vae = vae_config(base["vae"])
    if vae is None:
        base |= {"channels": 1 if own.grey else 3, "scale": own.scale}
        _fit_denoiser(base["unet"], own, own.scale)
        return
    _, factor = _factors(vae)
    for part in base.values():
        if isinstance(part, dict) and "sample_size" in part:
            part |= {"in_channels": vae["latent_channels"], "out_channels": vae["latent_channels"]}
            _fit_denoiser(part, own, factor)


def _fit_denoiser(unet: Values, own: OwnSet, unit: int) -> None:
    """The side, in `unit` pixels, and further levels on top until the lowest is at most twice as large as it was."""
    side, widths = own.side // unit, unet.get("block_out_channels", [0])
    lowest = unet["sample_size"] >> (len(widths) - 1)
    if "down_block_types" in unet:
        while side >> (len(widths) - 1) > 2 * lowest:
            widths = [widths[0], *widths]
            unet["down_block_types"] = ["DownBlock2D", *unet["down_block_types"]]
            unet["up_block_types"] = [*unet["up_block_types"], "UpBlock2D"]
        unet["block_out_channels"] = widths
    multiple = 1 << (len(widths) - 1)
    _check_divisible(own, unit * multiple, unit * unet["sample_size"])
    unet["sample_size"] = max(multiple, side // multiple * multiple)


def _checked_slots(own: OwnSet) -> dict[str, list[str]]:
    if not own.slots:
        raise BadInput(
            f"{own.name} has no slots.json: `ippo data build` writes it of a column 'attributes' that every picture fills"
        )
    if odd := [name for names in own.slots.values() for name in names if set(name) & set(",=")]:
        raise BadInput(
            f"{own.name}: attribute '{odd[0]}' has a comma or an equals sign: rename it, and build the set anew"
        )
    return copy.deepcopy(own.slots)


def _check_divisible(own: OwnSet, factor: int, usual: int) -> None:
    """BadInput: the networks halve the side more often than it can be; `usual` is the side of the set to go by."""
    if odd := [size for size in own.sizes if size[0] % factor or size[1] % factor]:
        raise BadInput(
            f"{own.name}: sides of {in_words(odd[0])} are no multiples of {factor}: build the set with --buckets {factor} or a "
            "multiple of it"
        )
    if own.side % factor and not own.sizes:
        fitting = max(usual, -(-own.side // factor) * factor)
        raise BadInput(
            f"{own.name}: a side of {own.side} pixels is no multiple of {factor}: build the set with --size {fitting}"
        )


def check_size(own: OwnSet, base: Path) -> None:
    """BadInput: the base draws pictures of another size; of other networks than Stable Diffusion's training says it."""
    if not (base / "unet" / "config.json").is_file():
        return
    unet = json.loads((base / "unet" / "config.json").read_text(encoding="utf-8"))
    factor = _factors(vae_config(str(base / "vae")))[1]
    side = int(unet["sample_size"]) * factor
    if own.sizes:
        _check_divisible(own, factor << (len(unet["block_out_channels"]) - 1), side)
    elif side != own.side:
        raise BadInput(
            f"{base} draws {side}x{side}, {own.name} has {own.side}x{own.side}: build the set with --size {side}"
        )


def vae_config(name: str) -> Values:
    """The configuration of an autoencoder that is there. BadInput: there is none."""
    folders = [Path(name), run_folder(name) / "model"]
    file = next((folder / "config.json" for folder in folders if (folder / "config.json").is_file()), None)
    if file is None:
        raise BadInput(
            f"no autoencoder {name}: accepted is a run, or a folder such as models/pretrained/emoji/teacher/vae"
        )
    values: Values = json.loads(file.read_text(encoding="utf-8"))
    if "down_block_types" not in values:
        raise BadInput(f"autoencoder {name} is of {values.get('_class_name')}; accepted: an AutoencoderKL")
    return values
