"""What a run will need before it starts: parameters, memory by use, time; it trains nothing and loads no weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn

from base.runs import data_folder
from data.imagefolder import ImageFolder
from models.architecture import architecture, make
from models.conditioning import Conditioning
from training.assemble import configure
from training.base_parts import Parts
from training.lora import adapted
from training.pairs_estimate import PairsEstimate
from training.rehearsal import Rehearsal, denoiser_pass
from training.run import sharding
from training.run.device import device, mixed_precision
from training.run.ema import Ema
from training.run.loop_config import LoopConfig
from training.run.memory import Peak, appear, available, rehearse
from training.run.optimizer import build
from training.student.student_config import StudentConfig
from training.teacher_config import TeacherConfig

_SHARED_OUT = ("weights that learn", "gradients", "optimizer", "moving average")
"""Uses of memory that FSDP shares out among processes."""
_EFFICIENCY = 0.4
"""Of a large matrix product's rate, that a training step reaches."""


@dataclass(frozen=True)
class Estimate:
    """What one run needs on one device."""

    parameters: Mapping[str, int]
    """`learnt`, and those of the whole pipeline."""
    memory: Mapping[str, int]
    """Bytes by use, of each process; all of them together are the peak."""
    free: int
    """Bytes that the device has."""
    seconds: float
    """Of all steps; pictures and validation come on top."""
    pairs: PairsEstimate | None = None
    """What is drawn before the first step."""
    pairs_seconds: float = 0.0
    """Of that; nothing where another student of the teacher drew the same pairs."""

    @property
    def peak(self) -> int:
        """Bytes that a step needs at most."""
        return sum(self.memory.values())

    def table(self) -> Table:
        """The estimate for a person."""
        shared = f", shared out among {count} processes" if (count := sharding.processes()) > 1 else ""
        table = Table("needs", "", title=f"about {_span(self.seconds)} of steps{shared}")
        for name, count in self.parameters.items():
            table.add_row(f"parameters, {name}", f"{count / 1e6:,.1f} M")
        if self.pairs is not None:
            table.add_row("pairs before the first step", f"{self.pairs.count:,} in {_span(self.pairs_seconds)}")
        for name, size in (*self.memory.items(), ("peak", self.peak), ("free on this device", self.free)):
            table.add_row(name, _size(size))
        return table


def _span(seconds: float) -> str:
    """Seconds in the unit that a person counts in."""
    for unit, least in (("hours", 3600), ("minutes", 60)):
        if seconds >= least:
            return f"{seconds / least:.1f} {unit}"
    return f"{seconds:.1f} seconds"


def _size(count: int) -> str:
    """Bytes as a person reads them: MiB below a tenth of a GiB."""
    return f"{count / 2**30:,.2f} GiB" if count >= 2**30 / 10 else f"{count / 2**20:,.1f} MiB"


def teacher(config: TeacherConfig) -> Estimate:
    """The needs of `ippo train teacher`. BadInput: there is no such base, or what it is made of from scratch is missing."""
    parts = Parts.of(config.base) if isinstance(config.base, str) else Parts.from_scratch(config.base)

    def learner(base: nn.Module) -> nn.Module:
        return base if config.lora is None else adapted(_frozen(base, config.loop), config.lora)

    def loss(base: nn.Module, learning: nn.Module, sample: Tensor, conditioning: Conditioning) -> Tensor:
        return denoiser_pass(learning, sample, conditioning).float().square().mean()

    return _estimate(config, parts, learner, loss, parts.conditioner if config.train_conditioner else 0)


def student(config: StudentConfig) -> Estimate:
    """The needs of `ippo train student` in its generator's phase, which needs most."""

    def learner(base: nn.Module) -> nn.Module:
        if config.lora is not None:
            return adapted(_frozen(base, config.loop), config.lora)
        start = base
        if config.goes_on:
            start = make(Parts.of(config.start).denoiser)
        learning = architecture(start).reduced(config.reduce)
        configure(learning, config.loop)
        _frozen(base, config.loop)
        return learning.requires_grad_(True)

    def loss(base: nn.Module, learning: nn.Module, sample: Tensor, conditioning: Conditioning) -> Tensor:
        rehearsal = Rehearsal(base, learning, sample, conditioning)
        losses = [loss for term in config.terms.values() if (loss := term.rehearse(rehearsal)) is not None]
        return torch.stack(losses or [rehearsal.fake.square().mean()]).sum()

    parts = Parts.of(config.teacher)
    plain, pairs = _estimate(config, parts, learner, loss, 0), PairsEstimate.of(config)
    if pairs is None:
        return plain
    passes = 1 if config.pairs.guidance == 1.0 else 2  # composed attributes take one each
    rate = _EFFICIENCY * _rate(device(), mixed_precision(config.loop.precision))
    return replace(plain, pairs=pairs, pairs_seconds=_forward_operations(parts) * passes * pairs.steps / rate)


METHODS: Mapping[str, Callable[[Any], Estimate]] = {"student": student, "teacher": teacher}
"""Those that train a denoiser."""

Learner = Callable[[nn.Module], nn.Module]
"""The base's denoiser → the network that learns, which may be the same one."""
Loss = Callable[[nn.Module, nn.Module, Tensor, Conditioning], Tensor]
"""The base's denoiser, the network that learns, a sample `(N, C, h, w)` and its conditioning → a scalar."""


def _estimate(
    config: TeacherConfig | StudentConfig, parts: Parts, learner: Learner, loss: Loss, also_learning: int
) -> Estimate:
    """`also_learning`: parameters of other parts that learn along with the denoiser."""
    loop = config.loop

    # The denoiser's step is rehearsed, with every tensor that it makes.
    step = _FirstStep(config, parts, learner, loss)
    memory = dict(step.memory)

    # The other components are counted: float32 weights and gradients, two moments of Adam, an average.
    memory["weights that stay"] += 4 * (parts.others - also_learning)
    if loop.frozen == "bf16" and not also_learning:
        aside = config.cache_text and device().type == "cpu"  # mapped from their file, and not read in a step
        memory["weights that stay"] -= (4 if aside else 2) * parts.narrow
    average = 2 if loop.frozen == "bf16" else 4
    for name, size in (("weights that learn", 4), ("gradients", 4), ("optimizer", 8), ("moving average", average)):
        memory[name] += -(-size * also_learning // sharding.processes())
    parameters = {"learnt": step.learnt + also_learning, "whole pipeline": parts.whole}

    # Time is arithmetic over what this device reaches.
    here = device()
    steps = loop.steps or loop.length(len(ImageFolder(data_folder(config.data), "train")))
    seconds = steps * loop.accumulate * step.operations / (_EFFICIENCY * _rate(here, mixed_precision(loop.precision)))
    return Estimate(parameters, memory, available(here), seconds)


class _FirstStep:
    """A run's first optimizer step on networks without numbers: what each use of memory takes, and its arithmetic."""

    def __init__(self, config: TeacherConfig | StudentConfig, parts: Parts, learner: Learner, loss: Loss) -> None:
        """Rehearse it. BadInput: processes are to share out a network or an optimizer that cannot be."""
        self.config, self.loss = config, loss
        with torch.device("meta"):
            self.base = make(parts.denoiser)
            configure(self.base, config.loop)
            self.learning = learner(self.base)
            self.base.requires_grad_(self.learning is self.base)
        if sharding.processes() > 1:
            sharding.check_network(self.learning)
            sharding.check_optimizer(config.optimizer.name)
        self.memory: dict[str, int] = {}
        """Bytes of each process by use, each what is alive more after it than before."""
        most, self.operations = rehearse(self._play)
        """Floating-point operations of one forward and backward pass of a part of the batch."""
        self.memory["activations and what passes"] = max(0, most - sum(self.memory.values()))
        if (count := sharding.processes()) > 1:
            self.memory |= {name: -(-self.memory[name] // count) for name in _SHARED_OUT}
            self.memory["one block, whole, and its gradients"] = 8 * sharding.largest_block(self.learning)

    @property
    def weights(self) -> list[nn.Parameter]:
        """Those of the denoiser that learn."""
        return [weight for weight in self.learning.parameters() if weight.requires_grad]

    @property
    def learnt(self) -> int:
        """Parameters of the denoiser that learn."""
        return sum(weight.numel() for weight in self.weights)

    def _play(self, peak: Peak) -> None:
        loop, memory = self.config.loop, self.memory
        # Weights.
        appear([self.base, self.learning])
        weights = self.weights
        memory["weights that learn"] = 4 * self.learnt
        memory["weights that stay"] = peak.now - memory["weights that learn"]
        optimizer = build(self.config.optimizer, weights)
        before = peak.now
        average = Ema(self.learning, loop.ema, torch.bfloat16 if loop.frozen == "bf16" else torch.float32)
        memory["moving average"] = peak.now - before
        # Forward and backward; autocast keeps its casts of the weights unless activations are computed again.
        mixed, keeps = mixed_precision(loop.precision) != "no", not loop.checkpointing
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed, cache_enabled=keeps):
            inputs_of = architecture(self.base).example_inputs
            total = self.loss(self.base, self.learning, *inputs_of(loop.batch // loop.accumulate))
        for weight, gradient in zip(weights, torch.autograd.grad(total, weights, allow_unused=True), strict=True):
            weight.grad = gradient
        del total, gradient
        memory["gradients"] = sum(weight.grad.nbytes for weight in weights if weight.grad is not None)
        # The optimizer makes its moments in its first step.
        before = peak.now
        optimizer.step()
        memory["optimizer"] = peak.now - before
        average.update(0)


def _forward_operations(parts: Parts) -> int:
    """Floating-point operations of one pass of the base's denoiser over one sample."""
    with torch.device("meta"):
        base = make(parts.denoiser)

    def play(peak: Peak) -> None:
        appear([base])
        with torch.no_grad():
            denoiser_pass(base, *architecture(base).example_inputs(1))

    return rehearse(play)[1]


def _frozen(denoiser: nn.Module, loop: LoopConfig) -> nn.Module:
    """In the precision of weights that stay."""
    return denoiser.to(torch.bfloat16) if loop.frozen == "bf16" else denoiser


def _rate(device: torch.device, precision: str) -> float:
    """Operations a second of a large matrix product."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    side = 4096 if device.type == "cuda" else 768
    matrix = torch.ones(side, side, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        float((matrix @ matrix)[0, 0])  # waits for the device
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best
