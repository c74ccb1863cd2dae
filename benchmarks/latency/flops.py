"""Arithmetic of one image, counted by torch: how much of a speed-up it explains alone; it times nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.latency.cases import TIMESTEP
from models.pipeline import Pipeline
from models.task import task_of

COMPONENTS = ("conditioner", "denoiser", "decoder")


@torch.no_grad()
def gigaflops(pipeline: Pipeline) -> dict[str, float]:
    """Component → GFLOP of one image in one step without guidance, two a multiply-add."""
    conditioning, sample = (
        pipeline.condition([pipeline.null_input]),
        torch.zeros(1, *pipeline.latent_shape, device=pipeline.device),
    )
    denoise = pipeline.denoise(conditioning)
    return {
        "conditioner": _gigaflop(lambda: pipeline.condition([pipeline.null_input])),
        "denoiser": _gigaflop(lambda: denoise(sample, TIMESTEP)),
        "decoder": _gigaflop(lambda: pipeline.autoencoder.decode(sample)),
    }


@torch.no_grad()
def ceiling(teacher: Pipeline, student: Pipeline, steps: int, guidance: float) -> dict[str, float]:
    """The student's GFLOP by component, the `teacher`'s in all its guided steps, and the `ratio` of the two."""
    once, sample = gigaflops(teacher), torch.zeros(1, *teacher.latent_shape, device=teacher.device)
    guided = teacher.denoise(teacher.condition(task_of(teacher).examples(1)), guidance)
    passes = _gigaflop(lambda: guided(sample, TIMESTEP)) / once["denoiser"]  # of a step: 1, 2, or 1 an attribute and 1
    whole = passes * (once["conditioner"] + steps * once["denoiser"]) + once["decoder"]
    own = once if student is teacher else gigaflops(student)  # each is a run of every network
    return {**own, "teacher": whole, "ratio": whole / sum(own.values())}


def _gigaflop(run: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e9
