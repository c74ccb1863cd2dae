"""Where each tensor of Versatile Diffusion and of Optimus lies in their authors' own files; it reads and writes no file.

The four-flow checkpoint keeps one time embedding and two UNets whose modules are numbered as Stable Diffusion's are; the text
UNet has linear layers where the other resizes. diffusers gives each UNet the time embedding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from base.errors import BadInput
from models.original_names import renamed, unet_modules
from models.tensor_names import listed

FRONT = "model.diffusion_model."
FRONTS = {"image_unet": f"{FRONT}unet_image.", "text_unet": f"{FRONT}unet_text."}
"""UNet → what its tensors begin with."""
_TIME = "time_embed."
_READER = {"moments.weight": "encoder.linear.weight"}
_WRITER = {"memory.weight": "linear.weight", "added.weight": "linear_emb.weight"}


def unet_names(unet: nn.Module, part: str) -> dict[str, str]:
    """A UNet's tensors → their names in the four-flow checkpoint; `part` is `image_unet` or `text_unet`."""
    modules = unet_modules(unet)
    if part == "text_unet":  # whose resizing layers are no convolutions in modules of their own
        for ours in [name for name in modules if "samplers" in name]:
            modules[ours.removesuffix(".conv")] = modules.pop(ours).removesuffix(".op").removesuffix(".conv")
    names = {ours: str(renamed(ours, modules)) for ours in unet.state_dict()}
    return {ours: (FRONT if name.startswith(_TIME) else FRONTS[part]) + name for ours, name in names.items()}


def unet_weights(unet: nn.Module, part: str, held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The checkpoint's tensors of any shape → those of an empty UNet. BadInput: one is missing or of another size."""
    return _taken(unet, unet_names(unet, part), held)


def unknown(names: Mapping[str, str], more: Mapping[str, str], held: Mapping[str, Tensor]) -> None:
    """BadInput: the checkpoint has tensors of the diffuser, of any shape, that neither UNet takes."""
    left = [name for name in held if name.startswith(FRONT) and name not in {*names.values(), *more.values()}]
    if left:
        raise BadInput(f"{len(left)} tensors of the checkpoint belong to neither UNet: {listed(left)}")


def others(held: Mapping[str, Tensor]) -> dict[str, int]:
    """What the checkpoint holds besides the diffuser: the first word of its names → how many tensors of any shape."""
    words = (name.partition(".")[0] for name in held if "." in name and not name.startswith(FRONT))
    return dict(Counter(words))


def optimus_weights(optimus: nn.Module, held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Optimus' own tensors of any shape → ours. BadInput: one is missing, of another size, or left over."""
    nested = "decoder.transformer.linear.weight" in held
    front = "decoder.transformer." if nested else "decoder."
    names = {}
    for ours in optimus.state_dict():
        names[ours] = _READER.get(ours) or (front + _WRITER[ours] if ours in _WRITER else "")
        names[ours] = names[ours] or ours.replace("reader.", "encoder.", 1).replace(
            "writer.", "decoder.transformer.", 1
        )
    head, table = held.get("decoder.lm_head.weight"), held.get("decoder.transformer.wte.weight")
    if head is not None and table is not None and not torch.equal(head, table):
        raise BadInput("this Optimus writes with other weights than it embeds tokens with; accepted: tied ones")
    masks = (".attn.bias", ".attn.masked_bias", ".position_ids", "lm_head.weight")  # made of nothing, or said twice
    if left := [name for name in held if name not in names.values() and not name.endswith(masks)]:
        raise BadInput(f"{len(left)} tensors of the file are not Optimus': {listed(left)}")
    return _taken(optimus, names, held)


def _taken(network: nn.Module, names: Mapping[str, str], held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    state: Mapping[str, Any] = network.state_dict()
    if missing := [names[ours] for ours in state if names[ours] not in held]:
        raise BadInput(f"the file lacks {len(missing)} of {len(state)} tensors: {listed(missing)}")
    shapes = {ours: (tuple(held[names[ours]].shape), tuple(weight.shape)) for ours, weight in state.items()}
    if odd := [ours for ours, (theirs, own) in shapes.items() if theirs != own]:
        theirs, own = shapes[odd[0]]
        raise BadInput(
            f"{names[odd[0]]} is {theirs} in the file and {own} here ({len(odd)} tensors are of another size)"
        )
    return {ours: held[names[ours]].clone().contiguous() for ours in state}
