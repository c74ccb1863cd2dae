"""The device that this process trains on, and what it exchanges with the other processes; it knows no method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal

import torch
from accelerate import Accelerator, PartialState
from torch import Tensor

from training.run.loop_config import Precision

BUCKET = 2**23
"""Numbers that travel at once: enough that their number matters and not that of their tensors (25 MB is DDP's)."""


def on_cpu() -> bool:
    """Whether there is no GPU. accelerate must be given this explicitly: else processes on CPUs do not find each other."""
    return not torch.accelerator.is_available()


def device() -> torch.device:
    """The device of this process among those of one training."""
    return PartialState(cpu=on_cpu()).device


def mixed_precision(wanted: Precision) -> Literal["no", "bf16", "fp16"]:
    """What `wanted` means on this device: `auto` is bf16 on GPUs that have it and on CPUs with AMX.

    Other CPUs convert what they multiply: with AVX512-BF16 alone, a convolutional teacher's step took 1.3 to 1.6 times fp32's.
    """
    if wanted != "auto":
        return wanted
    fast = torch.cpu.get_capabilities().get("amx_bf16", False) if on_cpu() else torch.cuda.is_bf16_supported(False)
    return "bf16" if fast else "no"


def any_process(flag: bool, accelerator: Accelerator) -> bool:
    """Whether `flag` is set in any of the processes; all of them ask at the same point of a step."""
    if accelerator.num_processes == 1:
        return flag
    return bool(accelerator.reduce(torch.tensor(float(flag), device=accelerator.device)) > 0)


def average(tensors: Sequence[Tensor], accelerator: Accelerator) -> None:
    """Replace every tensor, of any shape, by its mean over all processes; each process names the same ones."""
    for bucket in _buckets(tensors):
        mean = accelerator.reduce(torch.cat([tensor.flatten() for tensor in bucket]), "mean")
        for tensor, part in zip(bucket, mean.split([tensor.numel() for tensor in bucket]), strict=True):
            tensor.copy_(part.view_as(tensor))


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type, about BUCKET numbers together."""
    before, buckets = 0, []
    for tensor in tensors:
        buckets.append((before // BUCKET, tensor.dtype))
        before += tensor.numel()
    for _, group in groupby(zip(buckets, tensors, strict=True), key=lambda pair: pair[0]):
        yield [tensor for _, tensor in group]
