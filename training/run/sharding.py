"""Weights, gradients, optimizer and average of a network shared out among processes, block by block; it knows no method.

Fully sharded data parallel in its second version (PyTorch FSDP, arXiv 2304.11277), which `accelerate launch --use_fsdp
--fsdp_version 2` asks for. A block is whole only while it computes. Checkpoints hold whole tensors, so that any number of
processes goes on from them.
"""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from base.errors import BadInput

OTHERS = ("ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_MEGATRON_LM")
"""Set by `accelerate launch` where its configuration asks for another way."""


def processes() -> int:
    """Among how many processes weights are shared out; 1: each holds all of them."""
    return int(os.environ.get("WORLD_SIZE", "1")) if _set("ACCELERATE_USE_FSDP") else 1


def check(precision: str) -> None:
    """BadInput, before anything loads: what the launcher asks for cannot be done."""
    if requested := [name for name in OTHERS if _set(name)]:
        raise BadInput(f"{requested[0]} is set; accepted: several processes with FSDP (version 2) or without")
    if not _set("ACCELERATE_USE_FSDP"):
        return
    if (version := os.environ.get("FSDP_VERSION", "1")) != "2":
        raise BadInput(
            f"FSDP of version {version} is asked for; accepted: accelerate launch --use_fsdp --fsdp_version 2"
        )
    if processes() < 2:
        raise BadInput("FSDP with one process shares nothing out: set --num_processes, or leave --use_fsdp out")
    if precision == "fp16":
        raise BadInput("loop.precision=fp16 does not go with FSDP; accepted: auto, no, bf16")


def check_optimizer(name: str) -> None:
    """BadInput: an optimizer that needs whole matrices, or keeps its own kind of memory."""
    if processes() > 1 and name != "adamw":
        raise BadInput(f"optimizer {name} needs whole matrices, which FSDP shares out; accepted with FSDP: adamw")


def check_method(name: str, shares_out: bool) -> None:
    """BadInput: a method whose networks cannot be shared out yet."""
    if processes() > 1 and not shares_out:
        raise BadInput(
            f"ippo train {name} does not go with FSDP, as teacher and student do; accepted: processes without FSDP"
        )


def check_network(module: nn.Module) -> None:
    """BadInput: part of the network does not learn, which where it came from holds already."""
    if any(not weight.requires_grad for weight in module.parameters()):
        raise BadInput("FSDP is for networks that learn as a whole; accepted with an adapter: processes without FSDP")


def outline(module: nn.Module) -> nn.Module:
    """A copy without memory for its weights, to be filled by `follow`; buffers are copied."""
    empty = {id(weight): nn.Parameter(weight.detach().to("meta"), False) for weight in module.parameters()}
    return copy.deepcopy(module, empty).eval()


def share_out(module: nn.Module, device: torch.device) -> None:
    """Each process keeps its part of every weight; blocks are what the network itself says must stay together.

    BadInput: part of it does not learn, which the network it came from holds already.
    """
    if any(not weight.requires_grad for weight in module.parameters()):
        raise BadInput(
            "FSDP is for networks that learn as a whole; accepted with an adapter: several processes without FSDP"
        )
    mesh = init_device_mesh(device.type, (processes(),))
    for block in reversed(blocks(module)):  # what lies inside first
        fully_shard(block, mesh=mesh)
    fully_shard(module, mesh=mesh)


def blocks(module: nn.Module) -> list[nn.Module]:
    """The modules that are gathered one at a time: those of the classes that the network's library never splits."""
    names = set(getattr(module, "_no_split_modules", None) or ())
    return [inner for inner in module.modules() if inner is not module and type(inner).__name__ in names]


def largest_block(module: nn.Module) -> int:
    """Weights of the largest part that is gathered at once, those of blocks inside of it left out."""
    owners: dict[int, int] = {}
    sizes: Counter[int] = Counter()
    for number, block in enumerate([module, *blocks(module)]):  # what lies inside comes later
        owners |= {id(weight): number for weight in block.parameters()}
    for weight in module.parameters():
        sizes[owners[id(weight)]] += weight.numel()
    return max(sizes.values(), default=0)


def follow(empty: nn.Module, source: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Fill an outline with copies of the parts that this process keeps of `source`."""
    for name, weight in source.named_parameters():
        owner, _, last = name.rpartition(".")
        part = weight.detach().clone().to(dtype)
        setattr(empty.get_submodule(owner), last, nn.Parameter(part, False))
    return empty


def local(tensor: Tensor) -> Tensor:
    """The part that this process keeps, in the same memory; all of a tensor that is not shared out."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def full(tensor: Tensor) -> Tensor:
    """The whole tensor; all processes ask for it together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole(module: nn.Module, keep: bool) -> nn.Module:
    """A network whose weights are all here, as an ordinary one; itself, where nothing is shared out.

    All processes call it together; those that do not `keep` it get one without memory.
    """
    made: dict[int, Any] = {}
    for weight in module.parameters():
        if isinstance(weight, DTensor):
            gathered = weight.full_tensor()
            made[id(weight)] = nn.Parameter(gathered if keep else gathered.to("meta"), False)
    return copy.deepcopy(module, made) if made else module


def gathered(tensors: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """The whole tensors, by name, where they are kept; nothing elsewhere. All processes call it together."""
    found = {}
    for name, tensor in tensors.items():
        one = full(tensor)
        if keep:
            found[name] = one.cpu() if isinstance(tensor, DTensor) else one
    return found


def alike(tensor: Tensor, other: Tensor) -> Tensor:
    """A whole tensor shared out as `other` is, if it is and has its shape."""
    if not isinstance(other, DTensor) or isinstance(tensor, DTensor) or tensor.shape != other.shape:
        return tensor
    here = tensor.to(other.device)
    return distribute_tensor(here, other.device_mesh, other.placements, src_data_rank=None)


def is_shared(weights: Iterable[Tensor]) -> bool:
    """Whether any of them is shared out."""
    return any(isinstance(weight, DTensor) for weight in weights)


def _set(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true")
