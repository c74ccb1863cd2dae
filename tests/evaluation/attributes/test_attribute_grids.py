"""The evaluation of a student of attributes, from drawn characters to a page, on tiny networks."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from data.attributed import SLOTS
from data.avatars import avatars
from data.imagefolder import ImageFolder
from evaluation import evaluation, image_sets
from evaluation.effort import Effort
from evaluation.pages import report_page
from evaluation.subjects import Subjects
from metrics import attribute_accuracy, judge_network
from models import ddpm, folder
from models.pipeline import Pipeline
from models.scheduler_configs import student_scheduler
from tests import tiny

EFFORT = Effort(
    images=8, captions=4, guidances=(1.0,), samplers=("ddim",), sweep=4, prompts=2, seeds=2, each=1, step_counts=(3, 2)
)  # fmt: skip
GRIDS = ("every attribute alone", "unseen combinations", "weight sweep", "steps")


@pytest.fixture(scope="module")
def characters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return avatars(tmp_path_factory.mktemp("data") / "avatars", 400).folder


def pipeline(slots: dict[str, list[str]]) -> Pipeline:
    unet = {**tiny.UNET, "sample_size": 24}
    return ddpm.build(
        ddpm.DDPMFromScratch.parse({"family": "ddpm", "width": 8, "attributes": slots, "unet": unet}, "test"), Path
    )


def test_test_images_are_told_apart_by_what_training_knows(characters: Path) -> None:
    seen, unseen = image_sets.open_attributed(str(characters))
    assert len(seen) == 20 and len(unseen) > 0
    train = {frozenset(names) for names in ImageFolder(str(characters), "train").column("attributes")}
    pairs = [set(names) for names in unseen.attributes]
    assert not any(pair <= names for names in train for pair in pairs)
    assert seen.images.shape[1:] == (24, 24, 3)


def test_the_page_shows_attributes(characters: Path, tmp_path: Path) -> None:
    slots = json.loads((characters / SLOTS).read_text())
    teacher, student = pipeline(slots), pipeline(slots)
    student.scheduler = student_scheduler(student.scheduler)
    folder.save(teacher, tmp_path / "teacher")
    folder.save(student, tmp_path / "student")
    judge_network.save(attribute_accuracy.open_judge(list(slots.values())), tmp_path / "judge")
    names = [str(tmp_path / name) for name in ("student", "teacher", "judge")]
    found = evaluation.evaluate(Subjects(*names, str(characters), steps=2, student_steps=(1,)), EFFORT)
    assert [line.name for line in found.compositions[1:]] == [line.name for line in found.report.lines[1:]]
    assert all(set(line.weights) == {0.0, 1.0, 2.0} for line in found.compositions[1:])
    assert set(GRIDS) <= set(found.grids)
    evaluation.save(found, tmp_path / "out")
    figures = json.loads((tmp_path / "out" / "quality.json").read_text())
    assert figures["attributes"][0]["name"] == "held-out reals"
    reals, *_, student = figures["attributes"]
    assert set(reals["by_name"]) == set(student["by_name"]) == {name for slot in slots.values() for name in slot}
    reals = replace(found.compositions[0], unseen=math.nan)  # as of a set without unknown combinations
    evaluation.save(replace(found, compositions=(reals,)), tmp_path / "strict")
    strictly = json.loads(
        (tmp_path / "strict" / "quality.json").read_text(), parse_constant=lambda name: pytest.fail(name)
    )
    assert strictly["attributes"][0]["unseen"] is None
    assert "The judge does not see on real images" in (tmp_path / "out" / "quality.md").read_text(), (
        "it has learnt nothing"
    )
    assert "Attributes seen by the judge" in (tmp_path / "out" / "quality.md").read_text()
    page = report_page.html(found)
    assert page.count("<img ") == 3 + 1 + len(GRIDS) and "Attributes seen least" in page
