"""Whether image set, judge, teacher and student belong together, by what their files say; it draws and measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from base.errors import BadInput
from base.runs import data_folder
from data.imagefolder import ImageFolder
from evaluation.effort import LEAST
from evaluation.image_sets import split_column
from evaluation.subjects import Subjects, slot_judge
from metrics.judge_network import Judge
from models.pipeline import Pipeline
from models.task import Described, task_of
from training import latents

SPLITS = ("train", "validation", "test")


def check_set(subjects: Subjects, judge: Judge) -> list[ImageFolder]:
    """The set's splits. BadInput: one is missing, has pictures of several sizes or no labels; a judge of another set."""
    splits = [ImageFolder(data_folder(subjects.data), name).of_one_size() for name in SPLITS]
    labels = [split.labels() for split in splits]
    if (held_out := len(splits[1]) + len(splits[2])) < LEAST:
        raise BadInput(
            f"{subjects.data} holds out {held_out} pictures; at least {LEAST} are needed to measure anything"
        )
    if judge.config.slots:
        slot_judge(subjects.data, judge)
        return splits
    trained, whole = max(labels[0]) + 1, max(map(max, labels)) + 1
    if not trained <= judge.config.labels <= whole:
        raise BadInput(
            f"the judge {subjects.judge} knows {judge.config.labels} labels, {subjects.data} trains {trained}: train a judge "
            "of this set"
        )
    return splits


def check_student(subjects: Subjects, student: Described, teacher: Described) -> None:
    """BadInput: the student is for something else than its teacher, or knows other names."""
    if student.task != teacher.task:
        raise BadInput(
            f"{subjects.student} is for {student.task}, {subjects.teacher} for {teacher.task}: accepted are a student and a "
            "teacher of one task"
        )
    if tuple(student.classes) != tuple(teacher.classes) or _plain(student.slots) != _plain(teacher.slots):
        raise BadInput(
            f"{subjects.student} and {subjects.teacher} know other names, such as {_first_difference(student, teacher)}: "
            "accepted are a student and its own teacher"
        )


def check_inputs(subjects: Subjects, teacher: Pipeline, splits: list[ImageFolder]) -> None:
    """BadInput: the set's captions or labels are no inputs of the teacher, its pictures have another size, or its steps."""
    if not 1 <= subjects.steps <= len(teacher.schedule):
        raise BadInput(f"a teacher does not draw in {subjects.steps} steps; accepted: 1 to {len(teacher.schedule)}")
    text = "text" if "text" in splits[0].columns else "label"
    for split in splits:
        pairs = zip(split_column(split, "text"), split.labels(), strict=True)
        values = [str(label) if value is None else value for value, label in pairs]
        if task_of(teacher).tokenized:  # then any text will do, and rows of pictures beside each are large
            values = [value for value in values if not isinstance(value, str)][:1]
        try:
            if values:
                teacher.conditioner.tokenize(values)
        except BadInput as error:
            raise BadInput(
                f"{subjects.data} is not what {subjects.teacher} was trained on: column '{text}': {error}"
            ) from None
        latents.check(teacher, split)


def _plain(slots: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {slot: tuple(names) for slot, names in slots.items()}


def _first_difference(student: Described, teacher: Described) -> str:
    ours, theirs = (
        {*one.classes, *(name for names in one.slots.values() for name in names)} for one in (student, teacher)
    )
    return f"'{min(ours ^ theirs, default='their order')}'"
