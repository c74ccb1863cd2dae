"""What trainers call the tensors of an adapter, and which module of a network each belongs to; it reads no file."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import nn

from models.original_names import renamed, unet_modules
from models.stable_diffusion_file import RELEASED

_FRONTS = {
    "base_model.model.": "",
    "text_encoder_2.": "text_encoder_2",
    "text_encoder.": "text_encoder",
    "unet.": "unet",
    "transformer.": "transformer",
    "model.diffusion_model.": "unet",
    "diffusion_model.": "unet",
    "lora_unet_": "unet",
    "lora_te2_": "text_encoder_2",
    "lora_te1_": "text_encoder",
    "lora_te_": "text_encoder",
}
"""How a name begins → the part that it adapts; longer ones first. Names without a front are the denoiser's."""
_SIDES = re.compile(
    r"(?P<down>\.lora_A(\.\w+)?\.weight|[._]lora\.down\.weight|\.lora_down\.weight|\.lora_linear_layer\.down\.weight)$"
    r"|(?P<up>\.lora_B(\.\w+)?\.weight|[._]lora\.up\.weight|\.lora_up\.weight|\.lora_linear_layer\.up\.weight)$"
    r"|(?P<alpha>\.alpha)$"
)
_OTHER_KINDS = {
    "hada_": "LoHa",
    "lokr_": "LoKr",
    "oft_": "OFT",
    "dora_scale": "DoRA",
    "lora_magnitude": "DoRA",
    "lora_mid": "a Tucker decomposition",
    "lora_embedding": "an embedding's",
    "bundle_emb": "an embedding's",
}
_TEXT_ATTENTION = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}


def is_plain(name: str) -> bool:
    """Whether a tensor's name is that of one of the two matrices of LoRA, or of their alpha."""
    return _SIDES.search(name) is not None


def kind_of(name: str) -> str:
    """What a tensor that is not plain LoRA belongs to, for a message."""
    return next((kind for key, kind in _OTHER_KINDS.items() if key in name), "no part of one")


def place(name: str, denoiser: str) -> tuple[str, str, str]:
    """(part, layer with `_` in place of `.`, side) of a tensor; `denoiser`: the part of a name that says none."""
    found = _SIDES.search(name)
    assert found is not None  # `is_plain` was asked before
    layer, part = name[: found.start()], denoiser
    while front := next((front for front in _FRONTS if layer.startswith(front)), None):
        layer, part = layer.removeprefix(front), _FRONTS[front] or part
    if ".processor." in layer or found[0].startswith("_lora"):  # of attention: `….processor.to_q_lora.down.weight`
        before, last = layer.replace(".processor", "").rpartition(".")[::2]
        last = _TEXT_ATTENTION.get(last, last) if part.startswith("text") else "to_out.0" if last == "to_out" else last
        layer = f"{before}.{last}"
    return part, layer.replace(".", "_"), str(found.lastgroup)


def modules(part: str, network: nn.Module) -> dict[str, str]:
    """Every name that a trainer gives a module, with `_` in place of `.` → the module."""
    known: dict[str, str] = {}
    original: Mapping[str, str] = unet_modules(network) if hasattr(network, "down_blocks") else {}
    for name, module in network.named_modules():
        if not isinstance(module, (nn.Linear, nn.Conv2d)):
            continue
        names = [name, renamed(name, original)]
        if part.startswith("text"):
            plain = name.removeprefix(RELEASED)
            names += [plain, RELEASED + plain]
        known |= {alias.replace(".", "_"): name for alias in names if alias}
    return known
