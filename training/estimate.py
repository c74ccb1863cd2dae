"""What a run will need before it starts: parameters, memory by part, time; it trains nothing and loads no weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn

from base.errors import BadInput
from base.runs import data_folder, named
from data.imagefolder import ImageFolder
from models import components
from models import folder as folders
from models.architecture import architecture, make
from models.conditioning import Conditioning
from training.lora import adapted
from training.rehearsal import Rehearsal, denoiser_pass
from training.run.device import device
from training.run.ema import Ema
from training.run.loop_config import LoopConfig
from training.run.memory import Peak, Play, appear, available, rehearse
from training.run.optimizer import build
from training.student.student_config import StudentConfig
from training.teacher import TeacherConfig, configure

_EFFICIENCY = 0.4
"""Of a large matrix product's rate, that a training step reaches."""


@dataclass(frozen=True)
class Estimate:
    """Of one run on one device."""

    parameters: Mapping[str, int]
    """`learnt`, and those of the whole pipeline."""
    parts: Mapping[str, int]
    """Bytes by what they are for; all of them together are the peak."""
    free: int
    """Bytes that the device has."""
    seconds: float
    """Of all steps; pictures, validation and what is drawn before the first step come on top."""

    @property
    def peak(self) -> int:
        return sum(self.parts.values())

    def table(self) -> Table:
        """For a person."""
        table = Table("needs", "", title=f"about {self.seconds / 3600:.1f} hours of steps")
        for name, count in self.parameters.items():
            table.add_row(f"parameters, {name}", f"{count / 1e6:,.1f} M")
        for name, size in (*self.parts.items(), ("peak", self.peak), ("free on this device", self.free)):
            table.add_row(name, f"{size / 2**30:,.2f} GiB")
        return table


def teacher(config: TeacherConfig) -> Estimate:
    """Of `ippo train teacher`. BadInput: a base from scratch."""
    if not isinstance(config.base, str):
        raise BadInput("--dry-run reads the sizes of a base that exists; this one is made from scratch")

    def begin(unet: nn.Module) -> nn.Module:
        return unet if config.lora is None else adapted(_kept(unet, config.loop), config.lora)

    def loss(unet: nn.Module, learning: nn.Module, sample: Tensor, told: Conditioning) -> Tensor:
        return denoiser_pass(learning, sample, told).float().square().mean()

    learnt = folders.component_names(_local(config.base))["conditioner"] if config.train_conditioner else ()
    return _estimate(config, config.base, begin, loss, learnt)


def student(config: StudentConfig) -> Estimate:
    """Of `ippo train student`: the generator's phase, which needs most."""

    def begin(unet: nn.Module) -> nn.Module:
        if config.lora is not None:
            return adapted(_kept(unet, config.loop), config.lora)
        start = unet
        if config.goes_on:
            start = _fresh(_local(config.start))
        learning = architecture(start).reduced(config.reduce)
        configure(learning, config.loop)
        _kept(unet, config.loop)
        return learning.requires_grad_(True)

    def loss(unet: nn.Module, learning: nn.Module, sample: Tensor, told: Conditioning) -> Tensor:
        rehearsal = Rehearsal(unet, learning, sample, told)
        losses = [loss for term in config.terms.values() if (loss := term.rehearse(rehearsal)) is not None]
        return torch.stack(losses or [rehearsal.fake.square().mean()]).sum()

    return _estimate(config, config.teacher, begin, loss, ())


METHODS: Mapping[str, Callable[[Any], Estimate]] = {"student": student, "teacher": teacher}
"""Those that start from a base."""

Begin = Callable[[nn.Module], nn.Module]
Loss = Callable[[nn.Module, nn.Module, Tensor, Conditioning], Tensor]


def _estimate(
    config: TeacherConfig | StudentConfig, base: str, begin: Begin, loss: Loss, learnt: tuple[str, ...]
) -> Estimate:
    """`begin`: the base's UNet → the network that learns; `loss` of both; `learnt`: other components that learn too."""
    loop, folder, others = config.loop, _local(base), components.sizes(str(named(base)))
    whole = sum(others.values())
    for component in folders.component_names(folder)["denoiser"]:
        others.pop(component, None)
    parts: dict[str, int] = {}
    counted: dict[str, int] = {}
    kept = 2 if loop.frozen == "bf16" else 4

    def prepare() -> Play:
        with torch.device("meta"):
            unet = _fresh(folder)
            configure(unet, loop)
            learning = begin(unet)
            unet.requires_grad_(learning is unet)

        def play(peak: Peak) -> None:
            appear([unet, learning])
            weights = [weight for weight in learning.parameters() if weight.requires_grad]
            counted["learnt"] = sum(weight.numel() for weight in weights)
            parts["weights that learn"] = 4 * counted["learnt"]
            parts["weights that stay"] = peak.now - parts["weights that learn"]
            stepping = build(config.optimizer, weights)
            before = peak.now
            average = Ema(learning, loop.ema, torch.bfloat16 if loop.frozen == "bf16" else torch.float32)
            parts["moving average"] = peak.now - before
            mixed, keeps = loop.precision != "no", not loop.checkpointing
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed, cache_enabled=keeps):
                total = loss(unet, learning, *architecture(unet).example_inputs(loop.batch // loop.accumulate))
            for weight, gradient in zip(weights, torch.autograd.grad(total, weights, allow_unused=True), strict=True):
                weight.grad = gradient
            del total, gradient
            parts["gradients"] = sum(weight.grad.nbytes for weight in weights if weight.grad is not None)
            before = peak.now
            stepping.step()
            parts["optimizer"] = peak.now - before
            average.update(0)

        return play

    most, operations = rehearse(prepare)
    parts["activations and what passes"] = max(0, most - sum(parts.values()))
    more = sum(others[part] for part in learnt if part in others)
    parts["weights that stay"] += 4 * (sum(others.values()) - more)
    for name, size in (("weights that learn", 4), ("gradients", 4), ("optimizer", 8), ("moving average", kept)):
        parts[name] += size * more
    counted["learnt"] += more
    counted["whole pipeline"] = whole
    here = device()
    steps = loop.steps or loop.length(len(ImageFolder(data_folder(config.data), "train")))
    seconds = steps * loop.accumulate * operations / (_EFFICIENCY * _rate(here, loop.precision))
    return Estimate(counted, parts, available(here), seconds)


def _fresh(folder: Path) -> nn.Module:
    """The denoiser of a base, with random weights."""
    (component,) = folders.component_names(folder)["denoiser"]
    return make(components.config(folder, component))


def _local(base: str) -> Path:
    return components.local(str(named(base)))


def _kept(unet: nn.Module, loop: LoopConfig) -> nn.Module:
    return unet.to(torch.bfloat16) if loop.frozen == "bf16" else unet


def _rate(device: torch.device, precision: str) -> float:
    """Operations a second of a large matrix product."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    side = 4096 if device.type == "cuda" else 768
    matrix = torch.ones(side, side, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(4):
        begun = time.perf_counter()
        float((matrix @ matrix)[0, 0])  # waits for the device
        best = min(best, time.perf_counter() - begun)
    return 2 * side**3 / best
