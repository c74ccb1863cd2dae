"""What the tabs show of sets, runs and models, without a browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models import folder
from models.errors import BadInput
from models.trace import traced
from studio import drawing, library
from studio.drawing import Way
from studio.tabs import compare, data, monitor
from tests import tiny
from training.data.folder import ImageFolder
from training.data.report import Dropped, Report

Write = Callable[[str, int], Path]


def test_labels_are_counted_and_choose_pictures(home: Path) -> None:
    images = ImageFolder(library.image_set("squares"))
    assert data.label_columns(images)[0] == "label"
    assert data.label_counts(images, "label") == {"0": 6, "1": 6, "2": 6, "3": 6}
    assert data.rows(images, "text", "red") == [0, 4, 8, 12, 16, 20]
    shown = data.gallery_of("squares", "train", "text", "red", 1)
    assert shown.count("<img") == 6 and 'src="/picture/data/squares/train/004.png?' in shown
    assert "has no split 'other'" in data.gallery_of("squares", "other", None, data.EVERYTHING, 1)


def test_lists_of_attributes_are_labels_too(home: Path) -> None:
    table = library.image_set("squares") / "train" / "metadata.jsonl"
    rows = [json.loads(line) | {"attributes": ["Man", "Cap"][: 1 + number % 2]}
            for number, line in enumerate(table.read_text().splitlines())]  # fmt: skip
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    images = ImageFolder(library.image_set("squares"))
    assert data.label_counts(images, "attributes") == {"Man": 24, "Cap": 12}
    assert len(data.rows(images, "attributes", "Cap")) == 12


def test_the_report_says_what_was_dropped(home: Path) -> None:
    assert "no report" in data.report_of("squares")
    dropped = (Dropped("a<b>.png", "duplicate"), Dropped("c.png", "duplicate"), Dropped("d.png", "too small"))
    folder_of = library.image_set("squares")
    Report("ippo data build", folder_of, {"train": 24}, dropped, {"seed": 0}).save(folder_of)
    shown = data.report_of("squares")
    assert "<td>duplicate</td><td>2</td><td>a&lt;b&gt;.png</td>" in shown and "ippo data build" in shown


def test_the_monitor_sees_every_line_and_a_deleted_run(write_run: Write) -> None:
    run = write_run("a", 50)
    before = monitor.state_of("a")
    assert monitor.state_of("a") == before and 'aria-label="teacher/total"' in monitor.curves_of("a")
    with (run / "metrics.jsonl").open("a") as lines:
        lines.write("\n" + json.dumps({"step": 60, "teacher/total": 0.1, "seconds": 15.0}) + "\n")
    assert monitor.state_of("a") != before
    shutil.rmtree(run)
    with pytest.raises(BadInput, match="is gone"):
        monitor.state_of("a")


def test_runs_side_by_side_and_one_that_is_gone(write_run: Write) -> None:
    write_run("a", 50)
    write_run("b", 90)
    shown = compare.page(["a", "b", "gone"])
    assert shown.count("<polyline") == 2 and "the run &#x27;gone&#x27; is gone" in shown
    assert "<td>90</td>" in shown and shown.count('<img src="/picture/') == 2
    assert compare.page([]) == compare.CHOOSE


@pytest.mark.parametrize(
    ("pipeline", "values", "wanted"),
    [
        (tiny.teacher, ["a cat"], "a cat"),
        (tiny.pixel_teacher, ["blue"], "blue"),
        (tiny.attribute_teacher, ["Ape", 2.0, "", 1.0, "Pipe", 0.5], {"Ape": 2.0, "Pipe": 0.5}),
    ],
)
def test_what_is_asked_for_follows_the_pipeline(
    pipeline: Callable[[], object], values: list[object], wanted: object
) -> None:
    opened = pipeline()
    assert drawing.wanted(opened, values) == wanted  # type: ignore[arg-type]
    images = drawing.generate(opened, drawing.wanted(opened, values), [1, 2], Way(teacher_steps=2))  # type: ignore[arg-type]
    assert len(images) == 2


def test_a_traced_pipeline_draws_the_same_and_keeps_every_step() -> None:
    pipeline = tiny.pixel_teacher()
    followed = traced(pipeline)
    plain = pipeline.generate(["red"], [3], 4, 2.0)
    assert np.array_equal(followed.generate(["red"], [3], 4, 2.0), plain)
    assert len(followed.seen) == len(followed.expected) == 4
    assert np.array_equal(followed.expected[-1], plain) and not np.array_equal(followed.seen[0], plain)
    student = traced(tiny.pixel_student())
    drawn = student.generate(["red"], [3], 2)
    assert len(student.seen) == 2 and np.array_equal(student.expected[-1], drawn)


def test_a_model_of_a_run_is_opened_again_when_it_was_trained_on(write_run: Write) -> None:
    run = write_run("a", 100)
    folder.save(tiny.pixel_student(), run / "model")
    drawn = drawing.draw("a", "red", [1, 2, 3], Way())
    assert drawn.images.shape == (3, 16, 16, 3) and drawn.told == "1 step" and drawn.seconds > 0
    folder.save(tiny.pixel_teacher(1), run / "model")
    assert drawing.draw("a", "red", [1], Way(2)).told == "2 steps, ddim, guidance 2"
    with pytest.raises(BadInput, match="label 'violet' is unknown"):
        drawing.draw("a", "violet", [1], Way(2))
    shutil.rmtree(run)
    with pytest.raises(BadInput, match="the model 'a' is gone"):
        drawing.draw("a", "red", [1], Way())
