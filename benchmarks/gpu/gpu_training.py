"""Steps of the project's own training loop on a denoiser with random weights and data, timed; nothing is learnt or written."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from benchmarks.size.random_networks import Size, unet
from training.run.draws import Draws
from training.run.loop import train
from training.run.loop_config import LoopConfig
from training.run.method import Losses, Method, Phase
from training.run.optimizer import OptimizerConfig

TOKENS = 77


class Enough(Exception):
    """Ends the loop before it would write its checkpoint."""


class Steps(Method):
    """A training method that denoises random latents, and notes when each step begins."""

    averaged: Sequence[str] = ("denoiser",)
    size = 1024

    def __init__(self, size: Size, batch: int, wanted: int) -> None:
        torch.manual_seed(0)
        self.denoiser = unet(size)
        self.modules: Mapping[str, nn.Module] = {"denoiser": self.denoiser}
        self.shape, self.width = (batch, 4, size.latent, size.latent), size.text[0]
        self.wanted, self.began = wanted, list[float]()
        self.joules: list[float] = []

    def phases(self, steps: int) -> Sequence[Phase]:
        return [Phase("denoiser", list(self.denoiser.parameters()), OptimizerConfig(), self._loss)]

    def _loss(self, indices: list[int], draws: Draws) -> Losses:
        from benchmarks.gpu.gpu_steps import device, energy

        where = device()
        if where == "cuda":
            torch.cuda.synchronize()
        self.began.append(time.perf_counter())
        self.joules.append(energy())
        if len(self.began) > self.wanted:
            raise Enough
        sample, target = (torch.randn(self.shape, device=where) for _ in range(2))
        hidden = torch.randn(self.shape[0], TOKENS, self.width, device=where)
        times = torch.randint(0, 1000, self.shape[:1], device=where)
        return {"total": F.mse_loss(self.denoiser(sample, times, hidden).sample.float(), target)}

    def validate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        return {"score": 0.0}

    def samples(self, averages: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        return np.zeros((1, 1, 3), np.uint8)

    def save(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        raise AssertionError("the loop was to end before")


def steps(size: Size, batch: int, wanted: int) -> tuple[list[float], float]:
    """Seconds of every step but the first two, and joules of one; 0 where nothing counts them."""
    method = Steps(size, batch, wanted)
    config = LoopConfig(steps=wanted + 1, batch=batch, precision="bf16", validate_every=wanted + 2)
    with tempfile.TemporaryDirectory() as scratch, suppress(Enough):
        train(method, config, Path(scratch))
    settled = method.joules[2:]
    return np.diff(method.began[2:]).tolist(), (settled[-1] - settled[0]) / (len(settled) - 1)
