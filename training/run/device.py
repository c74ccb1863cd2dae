"""The device that this process trains on, and what it shares with its fellows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from accelerate import Accelerator, PartialState
from torch import Tensor

BUCKET = 2**23
"""Numbers that travel at once: enough that their number matters and not that of their tensors (25 MB is DDP's)."""


def on_cpu() -> bool:
    """Whether there is nothing better. accelerate has to be told: else processes on CPUs do not find each other."""
    return not torch.accelerator.is_available()


def device() -> torch.device:
    """Of this process among its fellows."""
    return PartialState(cpu=on_cpu()).device


def any_process(flag: bool, accelerator: Accelerator) -> bool:
    """Whether `flag` is set in any of the processes; all of them ask at the same point of a step."""
    if accelerator.num_processes == 1:
        return flag
    return bool(accelerator.reduce(torch.tensor(float(flag), device=accelerator.device)) > 0)


def average(tensors: Sequence[Tensor], accelerator: Accelerator) -> None:
    """Put the mean over all processes in the place of every tensor; each process names the same ones."""
    for bucket in _buckets(tensors):
        mean = accelerator.reduce(torch.cat([tensor.flatten() for tensor in bucket]), "mean")
        for tensor, part in zip(bucket, mean.split([tensor.numel() for tensor in bucket]), strict=True):
            tensor.copy_(part.view_as(tensor))


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type, about BUCKET numbers together."""
    before, places = 0, []
    for tensor in tensors:
        places.append((before // BUCKET, tensor.dtype))
        before += tensor.numel()
    for _, group in groupby(zip(places, tensors, strict=True), key=lambda pair: pair[0]):
        yield [tensor for _, tensor in group]
