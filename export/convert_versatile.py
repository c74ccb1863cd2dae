"""Versatile Diffusion's and Optimus' published files → safetensors folders; files are read by torch's reader of tensors alone.

It knows where tensors lie and checks that each finds its place; it runs no network.
"""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor

from base.errors import BadInput
from base.files import atomic_folder
from metrics.weights import foreign
from models import component_configs, folder, from_config, optimus, published_layout, published_names
from models.published_text_unet import UNetFlatConditionModel
from models.published_unet import IMAGE, TEXT

PLAN: dict[str, Any] = {
    "_class_name": UNet2DConditionModel.__name__,
    "sample_size": 64,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
"""The published image UNet; the text UNet has the same plan."""
OPTIMUS: dict[str, Any] = {
    "_class_name": optimus.Optimus.__name__,
    "bert": {"vocab_size": 28996},
    "gpt2": {"vocab_size": 50260},
    "latent_size": 768,
}
"""The published Optimus: BERT base, cased, and GPT-2 with three further tokens."""
_WEIGHTS = re.compile(r"(?P<stem>diffusion_pytorch_model|pytorch_model)(-\d+-of-\d+)?\.bin")
_PLAIN = (".json", ".txt")


def versatile(source: Path, out: Path, parts: Path | None = None) -> Path:
    """A published diffusers folder with `.bin` weights, or the authors' four-flow `.pth` and `parts` for all but its UNets.

    What else a `.pth` holds (CLIP, autoencoders) is left there, which is said: `parts` has it as the libraries read it.
    BadInput: something is at `out`, tensors are missing, left over or of another size, or a file holds more than tensors.
    """
    _check_free(out)
    with atomic_folder(out) as hidden:
        if source.is_dir():
            _components(source, hidden)
        elif parts is None:
            raise BadInput(f"{source} holds UNets alone; the rest comes with --parts FOLDER: vae, encoders, tokenizer")
        else:
            _components(parts, hidden, (IMAGE, TEXT))
            held = _tensors(source)
            _unets(held, hidden, parts)
            if left := published_names.others(held):
                said = ", ".join(f"{name} ({count} tensors)" for name, count in sorted(left.items()))
                warnings.warn(f"{source} also holds {said}: left out, these networks come from {parts}", stacklevel=2)
        with warnings.catch_warnings(action="error", category=UserWarning):
            try:
                folder.check(hidden)
                published_layout.check_text_unet(hidden)
            except UserWarning as warning:  # tensors that no network takes
                raise BadInput(str(warning)) from None
    return out


def optimus_vae(source: Path, out: Path, parts: Path | None = None) -> Path:
    """The authors' `optimus-vae.pth`, with `parts` that holds `bert_tokenizer/` and `gpt2_tokenizer/`, as a folder.

    BadInput: something is at `out`, there are no tokenizers, tensors are missing, left over or of another size.
    """
    _check_free(out)
    if parts is None:
        raise BadInput(f"{source} holds weights alone: --parts FOLDER with {optimus.READER}/ and {optimus.WRITER}/")
    config = parts / "config.json"
    plan = json.loads(config.read_text()) if config.is_file() else OPTIMUS
    network = from_config.empty(optimus.Optimus, plan)
    with atomic_folder(out) as hidden:
        weights = published_names.optimus_weights(network, _tensors(source))
        (hidden / "config.json").write_text(json.dumps(plan, indent=2) + "\n")
        save_file(weights, hidden / published_layout.NETWORK, metadata={"format": "pt"})
        for name in (optimus.READER, optimus.WRITER):
            if not (parts / name).is_dir():
                raise BadInput(f"{parts} has no {name}/")
            shutil.copytree(parts / name, hidden / name)
        optimus.check(hidden)
    return out


def _unets(held: Mapping[str, Tensor], out: Path, parts: Path) -> None:
    """Write both UNets of a four-flow checkpoint; their plan is that of `parts`, or the published one."""
    plan = component_configs.config(parts, IMAGE) if (parts / IMAGE / "config.json").is_file() else PLAN
    flat = component_configs.config(parts, TEXT) if (parts / TEXT / "config.json").is_file() else {}
    plans = {IMAGE: plan, TEXT: flat or published_layout.flat_config(plan)}
    kinds = {IMAGE: UNet2DConditionModel, TEXT: UNetFlatConditionModel}
    networks = {part: from_config.empty(kinds[part], plans[part]) for part in plans}
    names = {part: published_names.unet_names(network, part) for part, network in networks.items()}
    published_names.unknown(names[IMAGE], names[TEXT], held)
    for part, network in networks.items():
        (out / part).mkdir()
        weights = published_names.unet_weights(network, part, held)
        save_file(weights, out / part / published_layout.NETWORK, metadata={"format": "pt"})
        (out / part / "config.json").write_text(json.dumps(dict(plans[part]), indent=2) + "\n")


def _components(source: Path, out: Path, without: tuple[str, ...] = ()) -> None:
    """Copy a diffusers folder, its `.bin` weights as safetensors; what can hold code is neither copied nor run."""
    component_configs.index(source)
    for file in sorted(source.rglob("*")):
        inside = file.relative_to(source)
        if not file.is_file() or inside.parts[0] in without or inside.parts[0].startswith((".", "safety_checker")):
            continue
        plain = file.suffix in _PLAIN and ".bin.index" not in file.name
        if plain or (file.suffix == ".safetensors" and ".fp16" not in file.name):
            target = out / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    for part in sorted({file.parent for file in source.glob("*/*.bin") if file.parent.name not in without}):
        if not any((out / part.name).glob("*.safetensors")):
            _weights(part, out / part.name)


def _weights(part: Path, out: Path) -> None:
    """The `.bin` files of a component, one or several shards, as one safetensors file of the libraries' name."""
    files = [(file, known) for file in sorted(part.iterdir()) if (known := _WEIGHTS.fullmatch(file.name))]
    if not files:
        return
    held = {name: value.clone().contiguous() for file, _ in files for name, value in _tensors(file).items()}
    name = "model" if files[0][1]["stem"] == "pytorch_model" else files[0][1]["stem"]
    out.mkdir(parents=True, exist_ok=True)
    save_file(held, out / f"{name}.safetensors", metadata={"format": "pt"})


def _tensors(file: Path) -> dict[str, Tensor]:
    try:
        return {name: value for name, value in foreign(file).items() if isinstance(value, torch.Tensor)}
    except OSError as error:
        raise BadInput(str(error)) from error


def _check_free(out: Path) -> None:
    if out.exists():
        raise BadInput(f"{out} exists already: name another folder")
