"""Opens what an evaluation is given by name: teacher, student, networks that measure; it measures nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from base.errors import BadInput
from base.runs import data_folder, run_folder, trained
from data.attributed import read_slots
from evaluation.attributes.slot_judge import SlotJudge
from evaluation.draw import Draw, GuidedDraw, RoundTrip
from evaluation.reference import Instruments
from metrics import features, lpips
from metrics import judge_network as judges
from metrics.judge_network import Judge
from models.labels import Input
from models.pipeline import Pipeline
from models.pixel_tensors import from_uint8, to_uint8
from models.schedule import STUDENT_TIMESTEPS
from models.scheduler_configs import check_student
from models.task import Described
from runtime import backend as backends
from runtime import hub
from runtime.bundle import open_bundle
from runtime.generator import Generator, Request
from runtime.manifest import MANIFEST
from training.assemble import opened
from training.run.device import device


@dataclass(frozen=True)
class Subjects:
    """Names of what is evaluated, against what, by what."""

    student: str
    """Bundle, `hub:user/name`, run or diffusers folder."""
    teacher: str
    """Run, diffusers folder or Hub name."""
    judge: str
    """Run or folder."""
    data: str
    """Image set with labels."""
    decoder: str | None = None
    """Run of a sharpened decoder for the teacher, and for a student that is no bundle: a bundle has its own."""
    features: tuple[str, ...] = ()
    """Further networks as `KIND:FOLDER`, `KIND:RUN` or `KIND:HUB-NAME`, LPIPS among them."""
    backend: str = "auto"
    """Of a bundle."""
    steps: int = 50
    """Of the teacher."""
    student_steps: tuple[int, ...] = (1, 2, 4)
    flow: str | None = None
    """Task of the flow, where a folder has several; by default its first."""
    typed: Path | None = None
    """Table of prompts as people type them, and what they mean."""
    captioner: str | None = None
    """Run or folder of an autoregressive captioner that a flow which writes is compared with."""


def parse_steps(text: str) -> tuple[int, ...]:
    """`1,2,4` → the student's numbers of steps. BadInput: a student does not draw in so many."""
    words = [word.strip() for word in text.split(",")]
    known = {str(count) for count in STUDENT_TIMESTEPS}
    if refused := [word for word in words if word not in known]:
        raise BadInput(f"students draw in {', '.join(sorted(known))} steps, not in '{refused[0]}'")
    return tuple(int(word) for word in words)


def slot_judge(data: str, judge: Judge) -> SlotJudge:
    """The judge with the names that the set gives its slots. BadInput: the set has other attributes."""
    numbered = {f"slot {number}": names for number, names in enumerate(judge.config.slots, start=1)}
    slots = read_slots(Path(data_folder(data))) or numbered
    if tuple(tuple(names) for names in slots.values()) != judge.config.slots:
        raise BadInput(f"{data} has other attributes than its judge: train a judge of this set")
    return SlotJudge(judge, tuple(slots))


def open_teacher(subjects: Subjects) -> Pipeline:
    """The teacher of the flow, on the GPU where there is one. BadInput: it is none, or a student."""
    pipeline = opened(subjects.teacher, subjects.decoder)
    pipeline = pipeline if subjects.flow is None else pipeline.flow(subjects.flow)
    if pipeline.is_student:
        raise BadInput(f"{subjects.teacher} is a student; a teacher of many steps is wanted")
    return pipeline.to(device())


def teacher_draw(pipeline: Pipeline, steps: int) -> GuidedDraw:
    """Guidance and sampler → the teacher with them."""

    def guided(guidance: float, sampler: str) -> Draw:
        return lambda prompts, seeds: pipeline.generate(prompts, seeds, steps, guidance, sampler)

    return guided


def is_bundle(student: str) -> bool:
    """Whether it names a bundle, not a run or a diffusers folder."""
    return student.startswith(hub.PREFIX) or (Path(student) / MANIFEST).is_file()


def student_draws(
    student: str,
    steps: Sequence[int] = (1,),
    backend: str = "auto",
    decoder: str | None = None,
    check: Callable[[Described], None] = lambda _: None,
) -> dict[str, Draw]:
    """`student, 2 steps` → a bundle on a backend, or a run or diffusers folder in torch; `check` sees what it is for."""
    bundle = is_bundle(student)
    by_steps = _bundle_draw(student, backend, check) if bundle else _pipeline_draw(student, decoder, check)
    return {f"student, {count} {'step' if count == 1 else 'steps'}": by_steps(count) for count in steps}


def open_instruments(subjects: Subjects) -> Instruments:
    """The judge, and every further network that was named. BadInput: one is not there, or damaged."""
    others, perceptual = {}, {}
    judge = judges.load(trained(subjects.judge))
    for name in subjects.features:
        kind, _, where = name.partition(":")
        if not where:
            raise BadInput(f"--features {name}: where are its weights? Write {kind}:FOLDER, or {kind}:HUB-NAME")
        folder = str(trained(where)) if run_folder(where).is_dir() else where
        if kind == lpips.KIND:
            perceptual[name] = lpips.load(Path(folder))
        else:
            others[name] = features.load(kind, folder)
    for network in (judge, *others.values(), *perceptual.values()):
        if isinstance(network, torch.nn.Module):
            network.to(device())
    return Instruments(judge, others, perceptual)


def round_trip(pipeline: Pipeline, batch: int = 50) -> RoundTrip:
    """Images `(N, H, W, 3)` uint8 through the pipeline's autoencoder and back, in batches."""

    @torch.no_grad()
    def back(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        batches = [
            from_uint8(images[start : start + batch]).to(pipeline.device) for start in range(0, len(images), batch)
        ]
        autoencoder: Any = pipeline.autoencoder
        return np.concatenate([to_uint8(autoencoder.decode(autoencoder.encode(pixels))) for pixels in batches])

    return back


def _bundle_draw(student: str, backend: str, check: Callable[[Described], None]) -> Callable[[int], Draw]:
    bundle = open_bundle(student)
    check(bundle.manifest)
    generator = Generator(bundle, backends.load(backend, bundle))

    def by_steps(steps: int) -> Draw:
        def draw(prompts: Sequence[Input], seeds: Sequence[int]) -> NDArray[np.uint8]:
            requests = [Request(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
            return generator.generate(requests, steps)

        return draw

    return by_steps


def _pipeline_draw(student: str, decoder: str | None, check: Callable[[Described], None]) -> Callable[[int], Draw]:
    pipeline = opened(student, decoder)
    check(pipeline)
    check_student(pipeline.scheduler, student)
    pipeline.to(device())

    def by_steps(steps: int) -> Draw:
        return lambda prompts, seeds: pipeline.generate(prompts, seeds, steps)

    return by_steps
