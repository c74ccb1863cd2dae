"""The training loop: batches, phases, averages, reports, checkpoints, resuming; it knows phases, not losses.

The same command again resumes: a run's state is its newest checkpoint, and every random number derives from
(seed, step, sample). Tensors of a checkpoint are safetensors, the rest is JSON. SIGTERM and SIGINT stop it between two
steps, with a checkpoint. All processes of a training run this loop; the main one alone writes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import AutocastKwargs
from torch.nn.attention import SDPBackend, sdpa_kernel

from base.progress import progress
from training.run import process, trouble
from training.run.batches import Batches
from training.run.device import any_process, mixed_precision, on_cpu
from training.run.ema import averaged
from training.run.log import Log, NoLog, tell
from training.run.loop_config import LoopConfig
from training.run.memory import thrifty
from training.run.method import Method
from training.run.optimizer import build
from training.run.state import State
from training.run.step import Step

_ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.MATH]


def train(method: Method, config: LoopConfig, run: Path) -> dict[str, float]:
    """Train to the last step, from the newest checkpoint of `run` if there is one; returns the last figures.

    SystemExit: it was asked to stop, and did, with a checkpoint. BadInput: memory or disk is used up, or gradients stay
    infinite.
    """
    accelerator = _accelerator(config)
    main = accelerator.is_main_process
    method.prepare()
    state = _first_state(method, config, accelerator)
    state.read(run)

    with (
        sdpa_kernel([SDPBackend.MATH] if config.attention == "math" else _ATTENTION),
        trouble.in_one_line(run),
        Log(run, state.step) if main else NoLog() as log,
        progress(shown=main) as bars,
        process.stopping() as stop_requested,
    ):
        if main:
            tell(bars.console, run, method.notes())
        bar = bars.add_task(run.name, total=state.steps, completed=state.step)
        trainer = Trainer(method, config, run, accelerator, state, log)
        while not trainer.finished:
            losses = trainer.step()
            # All processes stop after the same step, whichever was asked to.
            stopping = any_process(stop_requested.is_set(), accelerator)
            trainer.tick()
            bars.advance(bar)

            trainer.report(losses)
            trainer.validate()
            trainer.checkpoint(stopping)
            if stopping and not trainer.finished:
                if not main:
                    return {}  # the main process says so for all
                raise SystemExit(f"{run.name}: stopped at step {state.step}; the same command goes on from there")

        tell(bars.console, run, trainer.finish())
    accelerator.wait_for_everyone()
    return trainer.figures


def _accelerator(config: LoopConfig) -> Accelerator:
    """The device and precision of this process.

    Autocast keeps the bf16 copy of every weight until a forward ends: half the weights again, which checkpointing is to save.
    """
    casts = AutocastKwargs(cache_enabled=not config.checkpointing)
    return Accelerator(mixed_precision=mixed_precision(config.precision), cpu=on_cpu(), kwargs_handlers=[casts])


def _first_state(method: Method, config: LoopConfig, accelerator: Accelerator) -> State:
    """A run before its first step: networks on the device, their moving averages, an optimizer a phase."""
    torch.manual_seed(config.seed)
    for module in method.modules.values():
        module.to(accelerator.device).train()
    thrifty(list(method.modules.values()))
    dtype = torch.bfloat16 if config.frozen == "bf16" else torch.float32
    averages = {name: averaged(method.modules[name], config.ema, dtype) for name in method.averaged}
    steps = config.length(method.size)
    phases = [(phase, build(phase.optimizer, phase.parameters)) for phase in method.phases(steps)]
    scaler = accelerator.scaler or torch.amp.GradScaler(enabled=False)
    return State(phases, averages, method.modules, steps, scaler)


class Trainer:
    """A run that is under way: what can be done between its first step and its last, by each of its processes."""

    def __init__(
        self, method: Method, config: LoopConfig, run: Path, accelerator: Accelerator, state: State, log: NoLog
    ) -> None:
        """`state`: as it was read from a checkpoint, or before the first step. Its clocks start here."""
        self.method, self.config, self.run = method, config, run
        self.accelerator, self.state, self.log = accelerator, state, log
        self.main = accelerator.is_main_process
        self.batches = Batches(config.seed, config.batch, method.size, method.shares, method.groups)
        self.figures: dict[str, float] = {}
        """Those of the last validation, then of the test; of the main process alone."""
        self.now = self.checkpointed = time.monotonic()
        """When the last step ended, and when the last checkpoint was written, in seconds."""

    @property
    def finished(self) -> bool:
        """Whether the last step is done."""
        return self.state.step >= self.state.steps

    def step(self) -> dict[str, float]:
        """One batch through every active phase in turn, then the averages; returns the losses, named `phase/loss`."""
        state, losses = self.state, dict[str, float]()
        step = Step(self.config, state, self.accelerator, self.batches.at(state.step))
        for number, (phase, _) in enumerate(state.phases):  # the student's discriminator before the student, for one
            if phase.active(state.step):
                losses |= step.run(number)
        state.scaler.update()
        for ema in state.averages.values():
            ema.update(state.step)
        state.step += 1
        return losses

    def tick(self) -> None:
        """Count the time since the last step ended: its own, and what was validated and written before it."""
        before, self.now = self.now, time.monotonic()
        self.state.seconds += self.now - before

    def report(self, losses: Mapping[str, float]) -> None:
        """Log the losses of the step, where it is one to report."""
        if self.state.step % self.config.log_every == 0 or self.finished:
            self.log.write(self.state.step, {**losses, "seconds": self.state.seconds})

    def validate(self) -> None:
        """Judge and save the averages, where it is time to; the best model by its score is the run's."""
        state, method = self.state, self.method
        if not (self.config.validates(state.step, method.size) or self.finished):
            return
        networks = state.averaged(self.main)
        if not self.main:
            return
        with self._inference():
            self.figures = method.validate(networks)
            self.log.picture(state.step, method.samples(networks))
        self.log.write(state.step, {f"validation/{name}": value for name, value in self.figures.items()})
        if self.config.snapshots:
            method.save(self.run / "snapshots" / str(state.step), networks)
        if self.figures["score"] <= state.best:
            state.best, state.best_step = self.figures["score"], state.step
            method.save(self.run / "model", networks)

    def checkpoint(self, stopping: bool) -> None:
        """Write the state: now and then, at the end, and before a stop. The clock starts again after the writing."""
        late = self.now - self.checkpointed > 60 * self.config.checkpoint_minutes
        if self.state.due(self.finished or stopping or late, self.accelerator):
            self.state.write(self.run, self.main)
            self.checkpointed = time.monotonic()

    def finish(self) -> list[str]:
        """After the last step: a model even where no score was a number, the last one where it is wanted, the test.

        Returns what should be known of the model, a line each; nothing in other processes than the main one.
        """
        state, method, model = self.state, self.method, self.run / "model"
        networks = state.averaged(self.main)
        if not self.main:
            return []
        if not model.is_dir():
            method.save(model, networks)
        if self.config.last:
            method.save(self.run / "last", networks)
        with self._inference():
            tested = {f"test/{name}": value for name, value in method.test(networks).items()}
        if tested:
            self.log.write(state.step, tested)
        verdict = state.verdict(method.score_name, method.scored_on, self.figures.get("score"))
        self.figures |= tested
        return [verdict, *method.closing(model)]

    @contextmanager
    def _inference(self) -> Iterator[None]:
        """Inside, no gradients; where weights that no gradient moves are in bf16, what is computed is so too."""
        with torch.no_grad(), self.accelerator.autocast() if self.config.frozen == "bf16" else nullcontext():
            yield
