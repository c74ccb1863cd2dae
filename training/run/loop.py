"""The training loop: batches, phases, averages, reports, checkpoints, resuming; it knows phases, not losses.

The same command again resumes: a run's state is its newest checkpoint, and every random number derives from
(seed, step, sample). Tensors of a checkpoint are safetensors, the rest is JSON. SIGTERM and SIGINT stop it between two
steps, with a checkpoint. All processes of a training run this loop; the main one alone writes.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
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
    # Device and precision. Autocast keeps the bf16 copy of every weight until a forward ends: half the weights again, which
    # checkpointing is to save. Where some weights are in bf16 anyhow, what needs no gradient computes in bf16 too.
    casts = AutocastKwargs(cache_enabled=not config.checkpointing)
    accelerator = Accelerator(mixed_precision=mixed_precision(config.precision), cpu=on_cpu(), kwargs_handlers=[casts])
    main = accelerator.is_main_process
    attention = [SDPBackend.MATH] if config.attention == "math" else _ATTENTION
    averages_dtype = torch.bfloat16 if config.frozen == "bf16" else torch.float32
    precision = accelerator.autocast if config.frozen == "bf16" else nullcontext

    # What the method learns from, its networks, an optimizer a phase, moving averages; over them the newest checkpoint.
    method.prepare()
    torch.manual_seed(config.seed)
    for module in method.modules.values():
        module.to(accelerator.device).train()
    thrifty(list(method.modules.values()))
    steps = config.length(method.size)
    batches = Batches(config.seed, config.batch, method.size, method.shares, method.groups)
    averages = {name: averaged(method.modules[name], config.ema, averages_dtype) for name in method.averaged}
    phases = [(phase, build(phase.optimizer, phase.parameters)) for phase in method.phases(steps)]
    scaler = accelerator.scaler or torch.amp.GradScaler(enabled=False)
    state = State(phases, averages, method.modules, steps, scaler)
    state.read(run)
    figures = dict[str, float]()

    with (
        sdpa_kernel(attention),
        trouble.in_one_line(run),
        Log(run, state.step) if main else NoLog() as log,
        progress(shown=main) as bars,
        process.stopping() as stop_requested,
    ):
        if main:
            tell(bars.console, run, method.notes())
        bar = bars.add_task(run.name, total=steps, completed=state.step)
        clock = checkpointed = time.monotonic()
        while state.step < steps:
            # One batch through every active phase in turn: the student's discriminator before the student, for one.
            step, losses = Step(config, state, accelerator, batches.at(state.step)), dict[str, float]()
            for number, (phase, _) in enumerate(phases):
                if phase.active(state.step):
                    losses |= step.run(number)
            scaler.update()

            # The moving averages follow; they are what is validated and saved.
            for ema in averages.values():
                ema.update(state.step)

            # The step is over. All processes stop after the same one, whichever was asked to.
            state.step += 1
            finished, stopping = state.step == steps, any_process(stop_requested.is_set(), accelerator)
            now = time.monotonic()
            state.seconds, clock = state.seconds + now - clock, now
            bars.advance(bar)

            # Report.
            if state.step % config.log_every == 0 or finished:
                log.write(state.step, losses | {"seconds": state.seconds})

            # Validate and sample, by the main process alone; the best model by its score is the run's.
            validates = config.validates(state.step, method.size) or finished
            networks = state.averaged(main) if validates else {}
            if main and validates:
                with torch.no_grad(), precision():
                    figures = method.validate(networks)
                    log.picture(state.step, method.samples(networks))
                log.write(state.step, {f"validation/{name}": value for name, value in figures.items()})
                if config.snapshots:
                    method.save(run / "snapshots" / str(state.step), networks)
                if figures["score"] <= state.best:
                    state.best, state.best_step = figures["score"], state.step
                    method.save(run / "model", networks)

            # Checkpoint: now and then, at the end, and before a stop. The clock of checkpoints starts after the writing.
            if state.due(finished or stopping or now - checkpointed > 60 * config.checkpoint_minutes, accelerator):
                state.write(run, main)
                checkpointed = time.monotonic()
            if stopping and not finished:
                if not main:
                    return {}  # the main process says so for all
                raise SystemExit(f"{run.name}: stopped at step {state.step}; the same command goes on from there")

        # Done: a model even where no score was a number, the last one where it is wanted, figures on the test split.
        networks = state.averaged(main)
        if main:
            if not (run / "model").is_dir():
                method.save(run / "model", networks)
            if config.last:
                method.save(run / "last", networks)
            with torch.no_grad(), precision():
                tested = {f"test/{name}": value for name, value in method.test(networks).items()}
            if tested:
                log.write(state.step, tested)
            kept = state.verdict(method.score_name, method.scored_on, figures.get("score"))
            tell(bars.console, run, [kept, *method.closing(run / "model")])
            figures |= tested
    accelerator.wait_for_everyone()
    return figures
