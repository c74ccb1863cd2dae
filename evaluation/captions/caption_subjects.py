"""Opens what an evaluation of captions is given by name: image set, writers, what draws their captions; it measures nothing.

Shapes: `N` pictures, `H W` pixels, `T` tokens of a picture, `D` width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from base.runs import data_folder, trained
from data.imagefolder import ImageFolder
from evaluation.captions.caption_baselines import See
from evaluation.captions.caption_reference import CaptionedReals
from evaluation.draw import Draw
from evaluation.image_sets import WHOLE, split_column
from evaluation.subjects import Subjects, is_bundle, student_draws
from metrics.features import Images
from metrics.labelled_images import LabelledImages
from models import prefix_captioner
from models.labels import Seen
from models.pipeline import Pipeline
from models.scheduler_configs import check_student
from models.task import doing, task_named
from models.tasks.image_to_text import ImageToText
from runtime.bundle import open_bundle
from runtime.captioner import CaptionGenerator
from runtime.images import fit
from training import spelling
from training.assemble import opened
from training.run.device import device

Write = Callable[[Images, Sequence[str], Sequence[int]], list[str]]
"""Pictures `(N, H, W, 3)`, the kind of caption and the seed of each → N captions."""
HELD_OUT = ("validation", "test")
ONE_KIND = ("text",)
"""The column of captions beside which a flow is put that knows no kinds of them."""
_AT_ONCE = 32


def open_captioned(data: str, kinds: Sequence[str]) -> CaptionedReals:
    """The image set `data` with the kinds of caption that a flow knows, held-out pictures by their kind.

    BadInput: a column is missing.
    """
    columns = kinds or ONE_KIND
    train = ImageFolder(data_folder(data), "train")
    emoji = train.captions(spelling.EMOJI_COLUMN) if spelling.EMOJI_COLUMN in train.columns else ()
    normalizer = spelling.learn([train.captions(column) for column in columns], emoji).normalizer
    held_out: dict[str, dict[str, LabelledImages]] = {}
    for name in HELD_OUT:
        split = ImageFolder(data_folder(data), name)
        kinds = [kind or name for kind in split_column(split, "kind")]
        for kind in dict.fromkeys(kinds):
            rows = np.flatnonzero([other == kind for other in kinds])
            held_out.setdefault(kind if kind not in held_out else f"{kind}, {name}", _by_column(split, columns, rows))
    everything = np.arange(len(train))
    return CaptionedReals(_by_column(train, columns, everything), held_out, normalizer.normalize_str)


def teacher_writer(pipeline: Pipeline, steps: int, guidance: float, sampler: str) -> Write:
    """The teacher with its guidance."""
    return lambda images, columns, seeds: _texts(pipeline, images, columns, seeds, steps, guidance, sampler)


def student_writers(subjects: Subjects) -> dict[str, Write]:
    """`student, 2 steps` → a bundle on a backend, or a run or diffusers folder in torch. BadInput: no such flow."""
    if is_bundle(subjects.student):
        captioner = CaptionGenerator(open_bundle(subjects.student), subjects.backend)
        by_steps = {steps: _captioner_writer(captioner, steps) for steps in subjects.student_steps}
    else:
        pipeline = opened(subjects.student)
        pipeline = (pipeline if subjects.flow is None else pipeline.flow(subjects.flow)).to(device())
        check_student(pipeline.scheduler, subjects.student)
        by_steps = {steps: _student_writer(pipeline, steps) for steps in subjects.student_steps}
    return {f"student, {count} {'step' if count == 1 else 'steps'}": write for count, write in by_steps.items()}


def captioner_writers(subjects: Subjects) -> dict[str, Write]:
    """`autoregressive, 0.95 M` → the captioner that is named; nothing where none is. BadInput: no such captioner."""
    if subjects.captioner is None:
        return {}
    captioner = prefix_captioner.load(trained(subjects.captioner)).to(device())
    return {
        f"autoregressive, {captioner.parameter_count / 1e6:.2f} M": lambda images, columns, seeds: captioner.write(
            list(images), columns
        )
    }


def open_draw(subjects: Subjects) -> Draw | None:
    """What draws a caption in one step: the student's own first flow, where that draws."""
    if is_bundle(subjects.student):
        draws = task_named(open_bundle(subjects.student).manifest.task).output == "image"
    else:
        pipeline = opened(subjects.student)
        draws = pipeline.is_student and task_named(pipeline.task).output == "image"
    return next(iter(student_draws(subjects.student, (1,), subjects.backend).values())) if draws else None


def open_caption(subjects: Subjects) -> Callable[[Images], list[str]] | None:
    """What says most of a picture in one step, of the student's own folder; None where that has no flow which writes."""
    if is_bundle(subjects.student):
        flows = open_bundle(subjects.student).manifest.tasks
    else:
        pipeline = opened(subjects.student)
        flows = tuple(one.task for one in (pipeline, *pipeline.siblings))
    if doing(ImageToText.name, flows) is None:
        return None
    (write,) = student_writers(replace(subjects, flow=ImageToText.name, student_steps=(1,))).values()
    column = WHOLE if WHOLE in ImageFolder(data_folder(subjects.data), "train").columns else ""
    return lambda images: write(images, [column] * len(images), range(len(images)))


def open_seer(pipeline: Pipeline) -> dict[str, See]:
    """The flow's own encoder of pictures by its name, as directions `(N, T·D)`; nothing where it has none.

    Of local tokens it is the class token alone, `(N, D)`: the patches are hundreds, and say where something is.
    """
    conditioner: Any = pipeline.conditioner
    if not hasattr(conditioner, "embed"):
        return {}
    last = 1 if getattr(conditioner.image_encoder, "local_tokens", False) else None

    def see(images: Images) -> Any:
        parts = [images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE)]
        seen = [conditioner.embed(list(part))[:, :last].flatten(1).double().numpy() for part in parts]
        tokens = np.concatenate(seen)  # (N, T·D)
        return tokens / np.linalg.norm(tokens, axis=1, keepdims=True)

    return {"the flow's encoder": see}


def _captioner_writer(captioner: CaptionGenerator, steps: int) -> Write:
    """A bundle, which takes pictures of one size and the kinds of caption that it knows."""

    def write(images: Images, columns: Sequence[str], seeds: Sequence[int]) -> list[str]:
        written, shown = [""] * len(columns), [fit(Image.fromarray(image), captioner.size) for image in images]
        for column in dict.fromkeys(columns):
            own = [index for index, name in enumerate(columns) if name == column]
            kind = column if captioner.columns else ""
            captions = captioner.caption([shown[i] for i in own], [seeds[i] for i in own], kind, steps)
            for index, caption in zip(own, captions, strict=True):
                written[index] = caption.text
        return written

    return write


def _student_writer(pipeline: Pipeline, steps: int) -> Write:
    return lambda images, columns, seeds: _texts(pipeline, images, columns, seeds, steps)


def _texts(
    pipeline: Pipeline, images: Images, columns: Sequence[str], seeds: Sequence[int], *options: Any
) -> list[str]:
    known = columns if pipeline.classes else [""] * len(columns)
    seen = [Seen(image, column) for image, column in zip(images, known, strict=True)]
    autoencoder: Any = pipeline.autoencoder
    texts: list[str] = autoencoder.texts(pipeline.generate(seen, seeds, *options))
    return texts


def _by_column(split: ImageFolder, columns: Sequence[str], rows: np.ndarray[Any, Any]) -> dict[str, LabelledImages]:
    """The pictures of some rows `(N,)` with each kind of caption."""
    images, labels = split.images(rows), np.array(split.column("label"), np.int64)[rows]
    shown = [tuple(names) if isinstance(names, list) else () for names in split_column(split, "attributes")]
    attributes = tuple(shown[row] for row in rows)
    found = {}
    for column in columns:
        captions = split.captions(column)
        found[column] = LabelledImages(images, tuple(captions[row] for row in rows), labels, (), attributes)
    return found
