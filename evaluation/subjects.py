"""Opens what an evaluation is given by name: image set, teacher, student, networks that measure; it measures nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from base.errors import BadInput
from base.runs import data_folder, run_folder, trained
from data.attributed import read_slots
from data.imagefolder import ImageFolder
from evaluation.bench import Draw, GuidedDraw, RoundTrip
from evaluation.composition import AttributedImages
from evaluation.reference import Instruments, Reals
from evaluation.slots_by_kind import SlotJudge
from evaluation.transfers import StyledImages, StyledReals
from metrics import features, lpips
from metrics import judge_network as judges
from metrics.judge_network import Judge
from metrics.labelled_images import LabelledImages, join
from models.labels import Input
from models.pipeline import Pipeline
from models.pixel_tensors import from_uint8, to_uint8
from models.schedule import STUDENT_TIMESTEPS, check_student
from models.task import Described
from runtime import backend as backends
from runtime import hub
from runtime.bundle import MANIFEST, open_bundle
from runtime.generator import Generator, Request
from training.assemble import opened
from training.run.device import device

KNOWN_LABELS = ("seen", "unseen-background", "unseen-ground")
"""Kinds of held-out images whose labels were trained on: distances are taken from these."""
UNSEEN = "unseen-combination"
"""Kind of held-out images that show attributes which training never shows together."""

OTHER_CAPTIONS = {"text_fr": "French captions", "text_typed": "captions as typed"}
"""Columns of the training split that say the same in other words, and their name as a set of captions."""


WHOLE = "text_style"
"""Column of captions that leave nothing open; sets without it say all in `text`."""


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


def open_reals(data: str) -> Reals:
    """The image set `data`: distances from held-out images of known labels, held-out captions from `test`.

    Where training captions come in other words too, those are sets of their own, on the same images.
    """
    splits = [ImageFolder(data_folder(data), split) for split in ("train", "validation", "test")]
    train, validation, test = (_labelled(split) for split in splits)
    known = np.flatnonzero([kind is None or kind in KNOWN_LABELS for kind in split_column(splits[2], "kind")])
    held_out = join([validation, test.rows(known)])
    others = {
        name: replace(train, captions=tuple(splits[0].column(column)), backgrounds=())
        for column, name in OTHER_CAPTIONS.items()
        if column in splits[0].columns
    }
    return Reals(train, held_out, {"training captions": train, "held-out captions": test, **others})


def open_attributed(data: str) -> tuple[AttributedImages, AttributedImages]:
    """Test images and their attributes: of combinations that training knows, and of those that it does not."""
    split = ImageFolder(data_folder(data), "test")
    attributes, new = (
        split.column("attributes"),
        np.array([kind == UNSEEN for kind in split_column(split, "kind")]),
    )
    seen, unseen = (
        AttributedImages(split.images(rows), tuple(tuple(attributes[row]) for row in rows))
        for rows in (np.flatnonzero(~new), np.flatnonzero(new))
    )
    return seen, unseen


def open_more_attributed(data: str) -> AttributedImages:
    """Rows of known combinations by which rare attributes are judged: held-out ones first, then those that were trained on."""
    splits = [ImageFolder(data_folder(data), split) for split in ("test", "validation", "train")]
    images, rows = [], list[tuple[str, ...]]()
    for split in splits:
        attributes, kinds = split.column("attributes"), split_column(split, "kind")
        known = [row for row, kind in enumerate(kinds) if kind != UNSEEN]
        images.append(split.images(known))
        rows += [tuple(attributes[row]) for row in known]
    return AttributedImages(np.concatenate(images), tuple(rows))


def open_styled(data: str) -> StyledReals:
    """Images whose attributes are a thing, a style and a ground; the columns `style` and `ground` say which is which.

    BadInput: a column is missing.
    """
    splits = [ImageFolder(data_folder(data), name) for name in ("train", "validation", "test")]
    train, held_out, test = map(_styled, splits)
    combinations = [row for row, kind in enumerate(split_column(splits[2], "kind")) if kind == UNSEEN]
    return StyledReals(train, held_out, test.rows(combinations))


def _styled(split: ImageFolder) -> StyledImages:
    styles, grounds = split.captions("style"), split.captions("ground")
    rows = zip(split.column("attributes"), styles, grounds, strict=True)
    things = [next((name for name in names if name not in known), "") for names, *known in rows]
    captions = [str(text) for text in split_column(split, WHOLE if WHOLE in split.columns else "text")]
    return StyledImages(split.images(), tuple(things), tuple(styles), tuple(grounds), tuple(captions))


def open_kinds(data: str) -> dict[str, LabelledImages]:
    """Held-out images by what training has not seen of them, with captions that leave nothing open."""
    kinds: dict[str, list[LabelledImages]] = {}
    for name in ("validation", "test"):
        split = ImageFolder(data_folder(data), name)
        labelled, own = _labelled(split), split_column(split, "kind")
        if WHOLE in split.columns:
            labelled = replace(labelled, captions=tuple(split.captions(WHOLE)))
        for kind in dict.fromkeys(own):
            rows = np.flatnonzero([one == kind for one in own])
            kinds.setdefault(kind or "held out", []).append(labelled.rows(rows))
    return {kind: join(parts) for kind, parts in kinds.items()}


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
    try:
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
    except ValueError as error:  # `metrics` knows no BadInput
        raise BadInput(str(error)) from error
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


def _labelled(split: ImageFolder) -> LabelledImages:
    """Inputs are the captions, or the labels as words where there are none."""
    labels = split.labels()
    texts = [
        text if text is not None else str(label)
        for text, label in zip(split_column(split, "text"), labels, strict=True)
    ]
    backgrounds = tuple(
        background if background and text.endswith(f" on {background}") else None
        for text, background in zip(texts, split_column(split, "background"), strict=True)
    )
    attributes = tuple(tuple(names) if isinstance(names, list) else () for names in split_column(split, "attributes"))
    return LabelledImages(split.images(), tuple(texts), np.array(labels, np.int64), backgrounds, attributes)


def split_column(split: ImageFolder, name: str) -> list[Any]:
    """The values of a column, None in every row where there is no such column."""
    try:
        return split.column(name)
    except BadInput:
        return [None] * len(split)
