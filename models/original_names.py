"""Where each tensor of a Stable Diffusion network lies in the original one-file layout; it reads and writes no file.

Names are those of CompVis' latent-diffusion (UNet, autoencoder), of OpenAI's CLIP and of OpenCLIP, as the published
checkpoints have them. Blocks are numbered through there, so names are made from the network itself, of any depth and width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from base.errors import BadInput

BLOCKS = ("DownBlock2D", "CrossAttnDownBlock2D", "UpBlock2D", "CrossAttnUpBlock2D", "UNetMidBlock2DCrossAttn")
"""Blocks that the original UNet has."""
_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPEN_CLIP = {
    "embeddings.token_embedding": "token_embedding",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm": "ln_final",
    "text_projection.weight": "text_projection",
}
_OPEN_CLIP_LAYER = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}


@dataclass(frozen=True)
class Entry:
    """One tensor of the original layout."""

    original: str
    """Its name, without the network's front."""
    ours: tuple[str, ...]
    """Our tensors that it is made of, one under the other: OpenCLIP keeps query, key and value as one."""
    transposed: bool = False
    convolution: bool = False
    """Whether our matrix `(D, D)` is a convolution `(D, D, 1, 1)` there."""

    def pack(self, weights: Mapping[str, Tensor]) -> Tensor:
        """Our tensors by name, of any shape → the original's."""
        tensor = torch.cat([weights[name] for name in self.ours])
        tensor = tensor.T if self.transposed else tensor
        return (tensor[:, :, None, None] if self.convolution else tensor).contiguous()

    def unpack(self, tensor: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
        """The original's tensor → ours by name, of our shapes."""
        tensor = tensor.T if self.transposed else tensor
        parts = tensor.chunk(len(self.ours))
        return {name: part.reshape(shapes[name]).contiguous() for name, part in zip(self.ours, parts, strict=True)}

    def shape(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """The original's shape, of our shapes by name."""
        first = shapes[self.ours[0]]
        whole = (sum(shapes[name][0] for name in self.ours), *first[1:])
        whole = whole[::-1] if self.transposed else whole
        return (*whole, 1, 1) if self.convolution else whole


def unet_entries(unet: Any) -> list[Entry]:
    """Of a `UNet2DConditionModel`. BadInput: it has what the original has not."""
    blocks = [*unet.down_blocks, *([] if unet.mid_block is None else [unet.mid_block]), *unet.up_blocks]
    if strange := [type(block).__name__ for block in blocks if type(block).__name__ not in BLOCKS]:
        raise BadInput(f"the original Stable Diffusion layout has no {strange[0]}; accepted: {', '.join(BLOCKS)}")
    return _entries(unet, unet_modules(unet), "UNet")


def unet_modules(unet: Any) -> dict[str, str]:
    """Module of a `UNet2DConditionModel` → its name in the original; what is inside of a module keeps its own name."""
    names, place = dict(_UNET), 0
    for index, block in enumerate(unet.down_blocks):
        for layer in range(len(block.resnets)):
            place += 1
            names |= _layer(f"down_blocks.{index}", layer, f"input_blocks.{place}")
        if block.downsamplers:
            place += 1
            names[f"down_blocks.{index}.downsamplers.0.conv"] = f"input_blocks.{place}.0.op"
    names |= _resnet("mid_block.resnets.0", "middle_block.0") | _resnet("mid_block.resnets.1", "middle_block.2")
    names["mid_block.attentions.0"] = "middle_block.1"
    place = -1
    for index, block in enumerate(unet.up_blocks):
        for layer in range(len(block.resnets)):
            place += 1
            names |= _layer(f"up_blocks.{index}", layer, f"output_blocks.{place}")
        if block.upsamplers:
            behind = 2 if getattr(block, "attentions", None) else 1
            names[f"up_blocks.{index}.upsamplers.0.conv"] = f"output_blocks.{place}.{behind}.conv"
    return names


def vae_entries(vae: Any) -> list[Entry]:
    """Of an `AutoencoderKL`. BadInput: it has what the original has not."""
    names = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    for coder in ("encoder", "decoder"):
        names |= {f"{coder}.{end}": f"{coder}.{end}" for end in ("conv_in", "conv_out")}
        names[f"{coder}.conv_norm_out"] = f"{coder}.norm_out"
        names |= {
            f"{coder}.mid_block.attentions.0.{our}": f"{coder}.mid.attn_1.{their}" for our, their in _ATTENTION.items()
        }
        for layer in (0, 1):
            names |= _vae_resnet(f"{coder}.mid_block.resnets.{layer}", f"{coder}.mid.block_{layer + 1}")
    for side, coder, blocks in (("down", "encoder", vae.encoder.down_blocks), ("up", "decoder", vae.decoder.up_blocks)):
        for index, block in enumerate(blocks):
            ours = f"{coder}.{side}_blocks.{index}"
            theirs = f"{coder}.{side}.{index if side == 'down' else len(blocks) - 1 - index}"
            names[f"{ours}.{side}samplers.0.conv"] = f"{theirs}.{side}sample.conv"
            for layer in range(len(block.resnets)):
                names |= _vae_resnet(f"{ours}.resnets.{layer}", f"{theirs}.block.{layer}")

    def entry(original: str, ours: str, value: Tensor) -> Entry:
        return Entry(original, (ours,), convolution=".attn_1." in original and value.ndim == 2)

    return _entries(vae, names, "autoencoder", entry)


def clip_entries(text_encoder: nn.Module) -> list[Entry]:
    """Of a text encoder under the names of OpenAI's CLIP. BadInput: it has what the original has not."""
    names = {name: f"text_model.{name.removeprefix('text_model.')}" for name in text_encoder.state_dict()}
    return [Entry(original, (name,)) for name, original in names.items()]


def open_clip_entries(text_encoder: nn.Module) -> list[Entry]:
    """Of a text encoder under OpenCLIP's names: query, key and value are one matrix."""
    entries = []
    for name in text_encoder.state_dict():
        plain = name.removeprefix("text_model.")
        if plain in _OPEN_CLIP or (front := plain.rpartition(".")[0]) in _OPEN_CLIP:
            original = _OPEN_CLIP.get(plain) or f"{_OPEN_CLIP[front]}.{plain.rpartition('.')[2]}"
            entries.append(Entry(original, (name,), transposed=plain == "text_projection.weight"))
            continue
        _, _, layer, rest = plain.split(".", 3)  # encoder.layers.N.
        kind, end = rest.rpartition(".")[::2]
        there = f"transformer.resblocks.{layer}"
        if kind == "self_attn.q_proj":
            three = tuple(name.replace("q_proj", part) for part in ("q_proj", "k_proj", "v_proj"))
            entries.append(Entry(f"{there}.attn.in_proj_{end}", three))
        elif kind == "self_attn.out_proj":
            entries.append(Entry(f"{there}.attn.out_proj.{end}", (name,)))
        elif kind in _OPEN_CLIP_LAYER:
            entries.append(Entry(f"{there}.{_OPEN_CLIP_LAYER[kind]}.{end}", (name,)))
    return entries


def renamed(name: str, modules: Mapping[str, str]) -> str | None:
    """The original name of a module or tensor, by the innermost module in `modules` that holds it; None: none does."""
    front, rest = name, ""
    while front:
        if front in modules:
            return modules[front] + rest
        front, _, last = front.rpartition(".")
        rest = f".{last}{rest}"
    return None


def _entries(
    network: nn.Module,
    names: Mapping[str, str],
    what: str,
    entry: Callable[[str, str, Tensor], Entry] = lambda original, ours, value: Entry(original, (ours,)),
) -> list[Entry]:
    state = network.state_dict()
    found = {ours: renamed(ours, names) for ours in state}
    if strange := [ours for ours, original in found.items() if original is None]:
        raise BadInput(f"the original Stable Diffusion layout has no place for {strange[0]} of this {what}")
    return [entry(original, ours, state[ours]) for ours, original in found.items() if original is not None]


def _layer(ours: str, layer: int, theirs: str) -> dict[str, str]:
    return {**_resnet(f"{ours}.resnets.{layer}", f"{theirs}.0"), f"{ours}.attentions.{layer}": f"{theirs}.1"}


def _resnet(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{our}": f"{theirs}.{their}" for our, their in _RESNET.items()}


def _vae_resnet(ours: str, theirs: str) -> dict[str, str]:
    same: Sequence[str] = ("norm1", "conv1", "norm2", "conv2")
    return {f"{ours}.{name}": f"{theirs}.{name}" for name in same} | {f"{ours}.conv_shortcut": f"{theirs}.nin_shortcut"}
