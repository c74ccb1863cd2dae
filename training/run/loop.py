"""The training loop: batches, phases, averages, checkpoints, resuming; it knows phases, not losses.

The same command again resumes: a run's state is its newest checkpoint, and every random number derives from
(seed, step, sample). Tensors of a checkpoint are safetensors, the rest is JSON. SIGTERM and SIGINT stop it between two
steps, with a checkpoint.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from accelerate import Accelerator
from accelerate.utils import AutocastKwargs
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from base.config import Config
from base.errors import BadInput
from base.progress import progress
from training.run import process, trouble
from training.run.device import average, on_cpu
from training.run.draws import Draws, batch_indices
from training.run.ema import Ema
from training.run.log import Log
from training.run.memory import thrifty
from training.run.method import Method, Phase
from training.run.optimizer import build, rate_factor
from training.run.state import State

_ATTENTION = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.MATH)


class LoopConfig(Config):
    """How long, how much at once, how often."""

    steps: int | None = None
    """Optimizer steps; or `epochs` in their place."""
    epochs: int | None = Field(default=None, ge=1)
    """How often every sample of the training split is seen."""
    batch: int = 64
    """Global batch size."""
    seed: int = 0
    """Every random number of the run derives from it."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision of the forward pass; `fp16` scales the loss, on a GPU that has no bf16."""
    attention: Literal["auto", "math"] = "auto"
    """`math` for short sequences on a CPU, where the backward of torch's own choice took 29 % of a teacher's step."""
    ema: float = 0.999
    """Decay of the weight average."""
    log_every: int = 20
    """Steps between two lines of metrics."""
    validate_every: Annotated[int, Field(ge=1)] | Literal["epoch"] = 500
    """Steps between two validations, or `epoch`; the best is kept by its `score` (lower is better)."""
    checkpoint_minutes: float = 4.0
    """Minutes between two checkpoints."""
    accumulate: int = Field(default=1, ge=1)
    """Parts that a batch goes through in, one after the other, where all of it takes too much memory."""
    checkpointing: bool = False
    """Whether activations are computed again in the backward, for less memory and a third more time."""
    frozen: Literal["no", "bf16"] = "no"
    """Precision of the weights that no gradient moves: a teacher beside its student, the moving average."""
    last: bool = False
    """Whether the last model is written too, as `RUN/last`; the best always is."""
    snapshots: bool = False
    """Whether the model of every validation is kept, as `RUN/snapshots/STEP`: what a curve of quality is drawn from."""

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.batch % self.accumulate:
            raise ValueError(f"accumulate={self.accumulate} must divide batch={self.batch}")
        if self.frozen == "bf16" and self.precision != "bf16":
            raise ValueError("frozen: bf16 needs precision: bf16")
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give steps or epochs, one of them")
        return self

    def length(self, size: int) -> int:
        """Optimizer steps over `size` training samples."""
        return self.steps if self.steps is not None else -(-(self.epochs or 0) * size // self.batch)

    def validates(self, step: int, size: int) -> bool:
        """Whether `step` steps are a place to validate at: by their number, or since an epoch ended with the last."""
        if self.validate_every == "epoch":
            return step * self.batch // size > (step - 1) * self.batch // size
        return step % self.validate_every == 0


def train(method: Method, config: LoopConfig, run: Path) -> dict[str, float]:
    """Train to the last step, from the newest checkpoint of `run` if there is one; returns the last figures.

    SystemExit: it was asked to stop, and did, with a checkpoint.
    """
    # Autocast keeps the bf16 copy of every weight until a forward ends: half the weights again, which checkpointing is to save.
    casts = AutocastKwargs(cache_enabled=not config.checkpointing)
    accelerator = Accelerator(mixed_precision=config.precision, cpu=on_cpu(), kwargs_handlers=[casts])
    torch.manual_seed(config.seed)
    for module in method.modules.values():
        module.to(accelerator.device).train()
    thrifty(list(method.modules.values()))
    steps = config.length(method.size)
    phases = [(phase, build(phase.optimizer, phase.parameters)) for phase in method.phases(steps)]
    kept = torch.bfloat16 if config.frozen == "bf16" else torch.float32
    averages = {name: Ema(method.modules[name], config.ema, kept) for name in method.averaged}
    scaler = accelerator.scaler or torch.amp.GradScaler(enabled=False)
    state = State(phases, averages, method.modules, steps, scaler)
    state.read(run)
    backends = [SDPBackend.MATH] if config.attention == "math" else list(_ATTENTION)
    if not accelerator.is_main_process:  # computes its part of every gradient, and writes nothing
        with sdpa_kernel(backends), process.stopping() as asked:
            while state.step < steps:
                _step(method, config, state, accelerator)
                state.step += 1
                if _stopping(asked, accelerator):
                    return {}
        accelerator.wait_for_everyone()
        return {}
    with sdpa_kernel(backends), Log(run, state.step) as log, progress() as shown, process.stopping() as asked:
        bar = shown.add_task(run.name, total=steps, completed=state.step)
        with trouble.told(run):
            figures = _steps(method, config, run, state, accelerator, log, asked, lambda: shown.advance(bar))
    accelerator.wait_for_everyone()
    return figures


def _steps(
    method: Method,
    config: LoopConfig,
    run: Path,
    state: State,
    accelerator: Accelerator,
    log: Log,
    asked: threading.Event,
    advance: Callable[[], None],
) -> dict[str, float]:
    clock = saved = time.monotonic()
    averages = state.averaged()
    figures: dict[str, float] = {}
    while state.step < state.steps:
        losses = _step(method, config, state, accelerator)
        state.step += 1
        stopping = _stopping(asked, accelerator)
        advance()
        now = time.monotonic()
        state.seconds, clock = state.seconds + now - clock, now
        last = state.step == state.steps
        if state.step % config.log_every == 0 or last:
            log.write(state.step, losses | {"seconds": state.seconds})
        if config.validates(state.step, method.size) or last:
            figures = _validate(method, config, run, state, accelerator, log)
        if last or stopping or now - saved > 60 * config.checkpoint_minutes:
            state.write(run)
            saved = time.monotonic()
        if stopping and not last:
            raise SystemExit(f"{run.name}: stopped at step {state.step}; the same command goes on from there")
    if not (run / "model").is_dir():
        method.save(run / "model", averages)
    if config.last:
        method.save(run / "last", averages)
    return figures | _test(method, config, state, accelerator, log)


def _stopping(asked: threading.Event, accelerator: Accelerator) -> bool:
    """Whether any process was asked to stop: all do after the same step."""
    if accelerator.num_processes == 1:
        return asked.is_set()
    told = torch.tensor(float(asked.is_set()), device=accelerator.device)
    return bool(accelerator.reduce(told) > 0)


def _step(method: Method, config: LoopConfig, state: State, accelerator: Accelerator) -> dict[str, float]:
    """One batch through every active phase; a phase whose gradient is not finite is skipped and counted."""
    indices = batch_indices(config.seed, state.step, config.batch, method.size)
    share = accelerator.num_processes
    mine = range(accelerator.process_index, config.batch, share)
    logged: dict[str, float] = {}
    for number, (phase, optimizer) in enumerate(state.phases):
        if not phase.active(state.step):
            continue
        losses = _gradients(phase, config, state, number, indices, mine, accelerator)
        state.scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(phase.parameters, phase.optimizer.clip)
        logged |= {f"{phase.name}/{name}": float(loss.detach()) for name, loss in losses.items()}
        if not bool(torch.isfinite(norm)):
            state.skipped, state.lost[phase.name] = state.skipped + 1, state.lost.get(phase.name, 0) + 1
            logged["skipped"] = state.skipped
            if state.lost[phase.name] == _LOST:
                raise BadInput(
                    f"{_LOST} steps in a row up to {state.step + 1} without a finite gradient ({phase.name}): lower "
                    "its optimizer's rate, look at the last samples, or set loop.precision=no; the last checkpoint is kept"
                )
            continue
        state.lost[phase.name] = 0
        stop = state.steps if phase.stop is None else min(phase.stop, state.steps)
        factor = rate_factor(phase.optimizer, state.step - phase.start, stop - phase.start)
        optimizer.param_groups[0]["lr"] = phase.optimizer.rate * factor
        optimizer.step()
        logged[f"{phase.name}/gradient"] = float(norm)
    state.scaler.update()
    for ema in state.averages.values():
        ema.update(state.step)
    return logged


def _gradients(
    phase: Phase,
    config: LoopConfig,
    state: State,
    number: int,
    indices: Sequence[int],
    mine: Sequence[int],
    accelerator: Accelerator,
) -> dict[str, Tensor]:
    """Fill in the gradients of a phase's weights, part by part and from every process; returns its mean losses."""
    found: dict[str, Tensor] = {}
    for parameter in phase.parameters:
        parameter.grad = None
    for part in (mine[first :: config.accumulate] for first in range(config.accumulate)):
        draws = Draws.at(config.seed, state.step, part, accelerator.device, number)
        with accelerator.autocast():
            losses = phase.loss([indices[position] for position in part], draws)
        # Only the phase's own weights get a gradient: the discriminator none from the generator's loss, and so on.
        total = state.scaler.scale(losses["total"] / config.accumulate)
        gradients = torch.autograd.grad(total, list(phase.parameters), allow_unused=True)
        for parameter, gradient in zip(phase.parameters, gradients, strict=True):
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        for name, loss in losses.items():
            found[name] = found.get(name, 0) + loss.detach() / config.accumulate
    if accelerator.num_processes > 1:
        average([parameter.grad for parameter in phase.parameters if parameter.grad is not None], accelerator)
        found = {name: accelerator.reduce(loss, "mean") for name, loss in found.items()}
    return found


def _test(method: Method, config: LoopConfig, state: State, accelerator: Accelerator, log: Log) -> dict[str, float]:
    """Figures on the test split, of methods that have some, once all is done."""
    if (test := getattr(method, "test", None)) is None:
        return {}
    with torch.no_grad(), _precision(config, accelerator):
        figures = {f"test/{name}": value for name, value in test(state.averaged()).items()}
    log.write(state.step, figures)
    return figures


def _precision(config: LoopConfig, accelerator: Accelerator) -> AbstractContextManager[None]:
    """Of what needs no gradient: full, unless some weights are in bf16 anyhow."""
    return accelerator.autocast() if config.frozen == "bf16" else nullcontext()


def _validate(
    method: Method, config: LoopConfig, run: Path, state: State, accelerator: Accelerator, log: Log
) -> dict[str, float]:
    averages = state.averaged()
    with torch.no_grad(), _precision(config, accelerator):
        figures = method.validate(averages)
        log.picture(state.step, method.samples(averages))
    log.write(state.step, {f"validation/{name}": value for name, value in figures.items()})
    if config.snapshots:
        method.save(run / "snapshots" / str(state.step), averages)
    if figures["score"] <= state.best:
        state.best = figures["score"]
        method.save(run / "model", averages)
    return figures


_LOST = 10
"""Steps in a row without a finite gradient that end a run."""
