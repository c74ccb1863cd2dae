"""What the start of a teacher or a student would refuse of its base and its image set; it loads no weights of a base.

Captions are tokenized, columns and sizes compared, and the student's terms opened; no picture is encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from base.config import Config
from base.runs import data_folder, trained
from data.imagefolder import ImageFolder
from models import bases
from models import folder as folders
from models.pipeline import Pipeline
from training import examples
from training.assemble import opened, to_train
from training.latents import sized
from training.student import pairs
from training.student.student_config import StudentConfig
from training.student.student_network import Student
from training.student.terms import TERMS
from training.teacher_config import TeacherConfig


def teacher(config: TeacherConfig) -> None:
    """BadInput: what the start of `ippo train teacher` would refuse."""
    _look(config, config.base)


def student(config: StudentConfig) -> None:
    """BadInput: what the start of `ippo train student` would refuse."""
    pipeline = _look(config, config.teacher)
    pairs.check(config.pairs, pipeline)
    with bases.outlines():
        with torch.device("meta"):
            network = Student(config, pipeline)
        for name, term in config.terms.items():
            TERMS[name](term, network)


METHODS: Mapping[str, Callable[[Any], None]] = {"student": student, "teacher": teacher}
"""By the name of the training."""


def _look(config: TeacherConfig | StudentConfig, base: str | Config) -> Pipeline:
    """The pipeline without its weights, unless it is made anew, with the shapes of the set."""
    splits = [ImageFolder(data_folder(config.data), name) for name in ("train", "validation")]
    with bases.outlines():
        pipeline = opened(base) if isinstance(base, str) else folders.build(base, trained)
    pipeline = sized(to_train(pipeline, base, config.flow), splits[0])
    for images in splits:
        examples.look(pipeline, images, config.captions, config.contexts)
    return pipeline
